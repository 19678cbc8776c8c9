"""The laws of deciding, over any scores, any options and any clock."""

import copy
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looks import (
    DOMAINS,
    LOUD_DB,
    SILENCE,
    Look,
    decided,
    good_scores,
    looks,
    options,
    scores_db,
    steps_s,
    strange_steps_s,
    switches,
    watch,
)

from streamsep.errors import ConfigError
from streamsep.monitor.policy import (
    LONGEST_STEP_S,
    SLACK_S,
    Decision,
    PolicyOptions,
    PolicyState,
    Reason,
    Score,
    choose,
    decide,
)

law = settings(max_examples=60, deadline=None)

# ---------------------------------------------------------------------------------------------------- at any time


@law
@given(looks(steps=strange_steps_s), options())
def test_a_decision_is_what_is_remembered_and_nothing_that_was_known_is_changed(
    seen: list[Look], wanted: PolicyOptions
) -> None:
    kept = copy.deepcopy(seen)
    for look in watch(seen, wanted):
        unchanged = copy.deepcopy(look.before)
        assert decide(look.before, {}, look.at_s, wanted)[1] == Decision(
            look.before.active, False, Reason.NO_DECISION
        )
        assert look.before == unchanged
        assert look.decision.active == look.after.active
        assert look.decision.switched == (look.before.active != look.after.active)
        assert look.decision.switched == (look.decision.reason in {Reason.SWITCH, Reason.FALL_BACK})
        assert all(math.isfinite(score) for score in look.after.smoothed.values())
    assert seen == kept
    assert decided(watch(seen, wanted)) == decided(watch(seen, wanted))


@law
@given(looks(steps=strange_steps_s), options())
def test_two_switches_are_never_closer_than_the_minimum(seen: list[Look], wanted: PolicyOptions) -> None:
    times = [look.at_s for look in switches(watch(seen, wanted))]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap >= wanted.apart_s - 2 * SLACK_S for gap in gaps)


@law
@given(looks(), options())
def test_whoever_is_switched_to_has_been_better_for_the_whole_dwell(seen: list[Look], wanted: PolicyOptions) -> None:
    found = watch(seen, wanted)
    for index, look in enumerate(found):
        new = look.decision.active
        if not look.decision.switched or new is None:
            continue
        for earlier in reversed(found[: index + 1]):
            level = wanted.floor_db if look.before.active is None else earlier.after.smoothed[look.before.active]
            assert level is not None
            lead_db = earlier.after.smoothed[new] - level
            enter = wanted.hysteresis_db if look.before.active is None else wanted.margin_db
            assert lead_db > enter - wanted.hysteresis_db
            if look.at_s - earlier.at_s >= wanted.dwell_s - 2 * SLACK_S:
                break
        assert look.at_s - earlier.at_s >= wanted.dwell_s - 2 * SLACK_S
        assert wanted.floor_db is None or look.after.smoothed[new] >= wanted.floor_db


@law
@given(looks(), options())
def test_the_dry_sound_comes_only_when_no_model_has_been_confident_for_long(
    seen: list[Look], wanted: PolicyOptions
) -> None:
    found = watch(seen, wanted)
    for index, look in enumerate(found):
        if look.decision.switched and look.decision.active is None:
            for earlier in reversed(found[: index + 1]):
                assert max(earlier.after.smoothed.values()) < wanted.floor_db
                if look.at_s - earlier.at_s >= wanted.fall_back_s - 2 * SLACK_S:
                    break
            assert look.at_s - earlier.at_s >= wanted.fall_back_s - 2 * SLACK_S
            assert look.decision.reason == Reason.FALL_BACK
    if wanted.floor_db is None:
        assert all(look.decision.active is not None for look in found)


@law
@given(looks(steps=strange_steps_s), options(), st.permutations(DOMAINS))
def test_other_names_change_nothing_but_the_names(seen: list[Look], wanted: PolicyOptions, names: list[str]) -> None:
    new = dict(zip(DOMAINS, names, strict=True))
    renamed = [(step_s, {new[domain]: score for domain, score in scores.items()}) for step_s, scores in seen]
    there = [
        replace(decision, active=decision.active and new[decision.active])
        for decision in decided(watch(seen, wanted))
    ]
    assert decided(watch(renamed, wanted, PolicyState(new["noise"]))) == there


@law
@given(looks(steps=strange_steps_s), options())
def test_what_is_missing_or_not_finite_is_no_decision(seen: list[Look], wanted: PolicyOptions) -> None:
    missing = [
        (step_s, {domain: score for domain, score in scores.items() if score is not None and math.isfinite(score)})
        for step_s, scores in seen
    ]
    assert decided(watch(missing, wanted)) == decided(watch(seen, wanted))


# --------------------------------------------------------------------------------------------------- no decision


@law
@given(looks(), looks(), options(), st.lists(strange_steps_s, max_size=30))
def test_no_decision_changes_nothing_however_long(
    first: list[Look], second: list[Look], wanted: PolicyOptions, silent_s: list[float]
) -> None:
    wanted = replace(wanted, apart_s=0.0)  # the time between two switches passes in silence, too
    begin = watch([(0.0, SILENCE), *first], wanted)[-1].after
    silence = watch([(step_s, SILENCE) for step_s in silent_s], wanted, begin)
    for look in silence:
        assert look.decision == Decision(begin.active, False, Reason.NO_DECISION)
        assert (look.after.smoothed, look.after.better_s) == (begin.smoothed, begin.better_s)
    after = watch(second, wanted, silence[-1].after if silence else begin)
    assert [look.active for look in decided(after)] == [look.active for look in decided(watch(second, wanted, begin))]


def test_nobody_waits_through_a_silence_to_be_better_after_it() -> None:
    wanted = PolicyOptions(smoothing_s=0.0, dwell_s=1.0, floor_db=None)
    music = {"noise": 0.0, "music": 5.0}
    found = watch([(0.1, music), (0.1, music), *[(0.5, {})] * 20, *[(0.1, music)] * 12], wanted)
    assert [look.at_s for look in switches(found)] == pytest.approx([0.2 + 10 + 0.9])


# ------------------------------------------------------------------------------------------- what must and must not


@law
@given(good_scores, looks(), options(), steps_s)
def test_where_nothing_changes_it_settles_and_stays(
    scores: dict[str, float], before: list[Look], wanted: PolicyOptions, step_s: float
) -> None:
    start = watch([(0.0, SILENCE), *before], wanted)[-1].after
    long_s = 30 * wanted.smoothing_s + 3 * (wanted.dwell_s + wanted.apart_s + wanted.fall_back_s) + 3
    looks = math.ceil(long_s / step_s) + 10  # however slow the looks, some for the few switches there may be
    found = watch([(step_s, scores)] * looks, wanted, start)
    half = len(found) // 2
    assert len(switches(found)) <= 4
    assert not switches(found[half:])
    active = found[-1].decision.active
    best = max(scores.values())
    if active is not None:
        level = scores[active]
        assert wanted.floor_db is None or best >= wanted.floor_db - 1e-3
        assert best <= level + wanted.margin_db + 1e-3 or (
            wanted.floor_db is not None and best < wanted.floor_db + 1e-3
        )
    else:
        assert best <= wanted.floor_db + wanted.hysteresis_db + 1e-3


@law
@given(
    st.permutations(DOMAINS[:2]),
    scores_db,
    st.floats(0, 40),
    options(dry=False),
    st.floats(0.01, 0.9),
    st.integers(0, 1),
)
def test_scores_that_flip_at_every_look_never_switch(
    names: list[str], level_db: float, apart_db: float, wanted: PolicyOptions, part: float, first: int
) -> None:
    wanted = replace(wanted, dwell_s=max(wanted.dwell_s, 0.02))
    step_s = min(part * wanted.dwell_s, LONGEST_STEP_S)
    flips = [
        {names[0]: level_db, names[1]: level_db + apart_db},
        {names[0]: level_db + apart_db, names[1]: level_db},
    ]
    assert not switches(watch([(step_s, flips[(first + index) % 2]) for index in range(200)], wanted))


@law
@given(looks(good_scores), good_scores, st.sampled_from(DOMAINS), st.floats(1, 10), options(dry=False), steps_s)
def test_one_that_is_clearly_better_is_heard_in_time(
    before: list[Look], scores: dict[str, float], best: str, more_db: float, wanted: PolicyOptions, step_s: float
) -> None:
    start = watch([(0.0, dict.fromkeys(DOMAINS, 0.0)), *before], wanted)[-1].after
    scores[best] = max(scores.values()) + wanted.margin_db + more_db
    settled_s = wanted.smoothing_s * math.log(6 * LOUD_DB / more_db)  # until the rest of the past is below that
    bound_s = settled_s + max(wanted.dwell_s, wanted.apart_s)
    found = watch([(step_s, scores)] * (math.ceil(bound_s / step_s) + 3), wanted, start)
    assert found[-1].decision.active == best


@law
@given(st.floats(1, 10), options(dry=False), steps_s)
def test_from_the_start_it_takes_the_smoothing_and_the_dwell(
    more_db: float, wanted: PolicyOptions, step_s: float
) -> None:
    scores = {"noise": 0.0, "music": wanted.margin_db + more_db}
    found = watch([(step_s, scores)] * 2000, wanted)
    rise_s = wanted.smoothing_s * math.log(scores["music"] / more_db)
    (switch,) = switches(found)
    assert (
        rise_s + wanted.dwell_s - 1e-3 <= switch.at_s - found[0].at_s <= rise_s + wanted.dwell_s + 2 * step_s + 1e-3
    )


def test_two_that_are_both_better_do_not_keep_each_other_from_it() -> None:
    turns = [{"noise": -5.0, "music": 5.0 + more, "speech": 5.0 - more} for more in (-0.5, 0.5)]
    found = watch([(0.25, turns[index % 2]) for index in range(12)], PolicyOptions(smoothing_s=0.0, dwell_s=1.0))
    assert [look.at_s for look in switches(found)] == [1.25]


def test_after_a_switch_the_next_one_waits_however_much_better_the_other_is() -> None:
    turns = [{"noise": 9.0, "music": 0.0}, {"noise": 0.0, "music": 9.0}]
    seen = [(0.5, turns[index // 4 % 2]) for index in range(40)]
    found = watch(seen, PolicyOptions(smoothing_s=0.0, dwell_s=0.5, apart_s=7.0))
    assert [look.at_s for look in switches(found)] == [3.0, 10.0, 19.0]
    assert found[8].decision.reason == Reason.DWELL
    assert found[9].decision.reason == Reason.APART


def test_while_a_model_has_nothing_to_say_it_is_not_better() -> None:
    both, alone = {"noise": 0.0, "music": 6.0}, {"noise": 0.0}
    seen = [(0.25, both)] * 2 + [(0.25, alone)] * 20 + [(0.25, both)] * 8
    found = watch(seen, PolicyOptions(smoothing_s=0.0, dwell_s=1.0))
    assert [look.at_s for look in switches(found)] == [0.25 * (2 + 20 + 3)]


def test_a_model_that_has_nothing_more_to_say_is_not_waited_for() -> None:
    both, second = {"noise": 0.0, "music": 3.0, "speech": 6.0}, {"noise": 0.0, "music": 3.0}
    found = watch([(0.25, both)] * 3 + [(0.25, second)] * 10, PolicyOptions(smoothing_s=0.0, dwell_s=1.0))
    assert [(look.at_s, look.decision.active) for look in switches(found)] == [(1.25, "music")]


def test_the_best_is_waited_for_rather_than_switching_twice() -> None:
    second, best = {"noise": 0.0, "music": 3.0, "speech": 0.0}, {"noise": 0.0, "music": 3.0, "speech": 6.0}
    found = watch(
        [(0.25, second)] * 3 + [(0.25, best)] * 20, PolicyOptions(smoothing_s=0.0, dwell_s=1.0, apart_s=0.0)
    )
    assert [(look.at_s, look.decision.active) for look in switches(found)] == [(2.0, "speech")]


@pytest.mark.parametrize(("dip_db", "at_s"), [(1.5, 1.25), (0.5, 2.0)])
def test_what_stays_within_the_hysteresis_need_not_begin_anew(dip_db: float, at_s: float) -> None:
    wanted = PolicyOptions(smoothing_s=0.0, margin_db=2.0, hysteresis_db=1.0, dwell_s=1.0, floor_db=None)
    leads_db = [2.5, 2.5, dip_db, 2.5, 2.5, 2.5, 2.5, 2.5]
    found = watch([(0.25, {"noise": 0.0, "music": lead_db}) for lead_db in leads_db], wanted)
    assert [look.at_s for look in switches(found)] == [at_s]


@law
@given(looks(good_scores), options(), st.integers(1, 5))
def test_how_often_one_looks_does_not_change_the_smoothing(
    seen: list[Look], wanted: PolicyOptions, times: int
) -> None:
    wanted = replace(wanted, dwell_s=30.0, fall_back_s=60.0)
    often = [(step_s / times, scores) for step_s, scores in seen for _ in range(times)]
    start = watch([(0.0, dict.fromkeys(DOMAINS, 0.0))], wanted)[-1].after
    if seen:
        once, many = watch(seen, wanted, start)[-1].after, watch(often, wanted, start)[-1].after
        assert many.smoothed == pytest.approx(once.smoothed, abs=1e-6)


# ------------------------------------------------------------------------------------------------------ the dry sound


@law
@given(good_scores, options(dry=False))
def test_without_a_floor_the_best_is_heard_after_the_dry_sound_at_the_beginning(
    scores: dict[str, Score], wanted: PolicyOptions
) -> None:
    found = watch([(0.5, scores)] * 40, wanted, PolicyState(None))
    assert found[-1].decision.active == max(scores, key=lambda domain: scores[domain] or 0.0)
    assert len(switches(found)) == 1


def test_without_confidence_the_dry_sound_is_heard_and_with_it_the_best_model() -> None:
    wanted = PolicyOptions(
        smoothing_s=0.0, dwell_s=0.5, apart_s=1.0, floor_db=0.0, fall_back_s=2.0, hysteresis_db=0.5
    )
    bad, nearly, good = ({"noise": x - 1, "music": x} for x in (-3.0, 0.4, 0.8))
    found = watch([(0.5, bad)] * 6 + [(0.5, nearly)] * 6 + [(0.5, good)] * 4, wanted)
    assert [(look.at_s, look.decision.active) for look in switches(found)] == [(2.5, None), (7.0, "music")]
    reasons = [look.decision.reason for look in found]
    assert reasons == [
        *[Reason.DWELL] * 4, Reason.FALL_BACK, *[Reason.NO_CONFIDENCE] * 7, Reason.DWELL, Reason.SWITCH,
        *[Reason.BEST] * 2,
    ]  # fmt: skip


def test_a_better_model_that_is_not_confident_either_is_no_reason_to_switch() -> None:
    found = watch([(0.5, {"noise": -9.0, "music": -2.0})] * 20, PolicyOptions(fall_back_s=5.0))
    assert [look.decision.active for look in switches(found)] == [None]
    begin = PolicyState("noise", {"noise": -9.0, "speech": 3.0})  # the only confident one has nothing to say
    assert not switches(watch([(0.5, {"noise": -9.0, "music": -2.0})] * 20, PolicyOptions(), begin))


# ------------------------------------------------------------------------------------------------------- the listener


@law
@given(looks(), looks(steps=strange_steps_s), looks(), options(), st.sampled_from(DOMAINS))
def test_a_lock_holds_whatever_is_seen_and_leaves_no_haste(
    before: list[Look], seen: list[Look], after: list[Look], wanted: PolicyOptions, domain: str
) -> None:
    free = watch([(0.0, SILENCE), *before], wanted)[-1].after
    held = watch([(0.0, SILENCE), *seen], wanted, free, locked=domain)
    assert held[0].decision == Decision(domain, free.active != domain, Reason.LOCKED)
    assert all(look.decision == Decision(domain, False, Reason.LOCKED) for look in held[1:])
    assert not held[-1].after.better_s
    freed = switches(watch(after, wanted, held[-1].after))
    assert not freed or freed[0].at_s >= min(wanted.dwell_s, wanted.fall_back_s) - 2 * SLACK_S


@law
@given(looks(), looks(), options(), st.sampled_from([*DOMAINS, None]))
def test_a_choice_is_heard_at_once_and_left_again_no_sooner_than_a_switch(
    before: list[Look], after: list[Look], wanted: PolicyOptions, domain: str | None
) -> None:
    state = choose(watch([(0.0, SILENCE), *before], wanted)[-1].after, domain)
    assert state.active == domain
    assert decide(state, {}, 0.0, wanted)[1] == Decision(domain, False, Reason.NO_DECISION)
    left = switches(watch(after, wanted, state))
    earliest_s = max(wanted.apart_s, min(wanted.dwell_s, wanted.fall_back_s))
    assert not left or left[0].at_s >= earliest_s - 2 * SLACK_S


def test_who_was_better_before_a_lock_or_a_choice_begins_anew_after_it() -> None:
    wanted, music = PolicyOptions(smoothing_s=0.0, dwell_s=1.0, apart_s=0.0), (0.5, {"noise": 0.0, "music": 9.0})
    nearly = watch([music] * 2, wanted)[-1].after
    locked = watch([music], wanted, nearly, locked="noise")[-1].after
    for begin in (locked, choose(nearly, "noise")):
        assert [look.at_s for look in switches(watch([music] * 5, wanted, begin))] == [1.5]


# ---------------------------------------------------------------------------------------------------------- the clock


@law
@given(looks(), good_scores, looks(), options(), st.floats(0, 1e6))
def test_a_clock_that_jumps_back_only_loses_the_time_of_the_jump(
    first: list[Look], scores: dict[str, Score], second: list[Look], wanted: PolicyOptions, back_s: float
) -> None:
    begin = [(0.0, SILENCE), *first]
    jumped = watch([*begin, (-back_s, scores), *second], wanted)
    stood = watch([*begin, (0.0, scores), *second], wanted)
    assert jumped[len(begin)].after.smoothed == stood[len(begin)].after.smoothed
    assert jumped[len(begin)].after.better_s == stood[len(begin)].after.better_s
    assert [look.active for look in decided(jumped)] == [look.active for look in decided(stood)]


def test_after_a_long_pause_one_look_is_not_enough() -> None:
    wanted = PolicyOptions(smoothing_s=2.0, dwell_s=2.0, floor_db=None)
    found = watch([(0.5, {"noise": 5.0, "music": 0.0})] * 4 + [(3600.0, {"noise": 0.0, "music": 6.0})] * 2, wanted)
    assert not switches(found)


# -------------------------------------------------------------------------------------------------------- the options


@pytest.mark.parametrize(
    ("name", "value"),
    [("smoothing_s", -0.1), ("smoothing_s", 31), ("margin_db", 21), ("hysteresis_db", 1.5), ("dwell_s", -1),
     ("apart_s", 61), ("floor_db", 21), ("fall_back_s", math.nan), ("margin_db", math.nan)],
)  # fmt: skip
def test_options_out_of_range_are_refused_with_the_range(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{name} must be between -?\d+ and [\d.]+, got {value}"):
        PolicyOptions(**{name: value})
