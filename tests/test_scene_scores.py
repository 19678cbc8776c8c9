"""How scenes are scored: laws that any timeline and any rendering must obey."""

import math
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.errors import ModelError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.scene_figures import draw_delays, draw_worth
from streamsep.evaluation.scene_run import Kept, SceneScore, Switched, measure_scenes
from streamsep.evaluation.scene_summary import summarise, summarise_choices
from streamsep.evaluation.scenes import Scene, Segment
from streamsep.evaluation.switching import (
    SETTLED_S,
    Slots,
    Timeline,
    changes,
    choices,
    improvements_db,
    settled,
    systems_db,
)

law = settings(max_examples=50, deadline=None)
DOMAINS = ("environment", "music", "noise", "speech")

lengths = st.lists(st.tuples(st.integers(5, 15), st.sampled_from(DOMAINS)), min_size=1, max_size=5)


def scene_of(
    parts: Sequence[tuple[int, str | None]], gap: int = 0, name: str = "scene", sound: bool = False
) -> Scene:
    """Segments of so many seconds, `gap` seconds between them; None: nobody knows the domain."""
    segments, at = [], 0
    for seconds, domain in parts:
        segments.append(Segment(at, at + seconds * RATE, frozenset([domain] if domain else [])))
        at += (seconds + gap) * RATE
    samples = segments[-1].stop if sound else 0
    sources = np.random.default_rng(len(name)).standard_normal((2, samples)).astype(np.float32)
    return Scene(name, tuple(segments), sources, ())


def oracle(scene: Scene, late_s: float = 0.0) -> Timeline:
    """The right domain, so long after every change."""
    first = min(scene.segments[0].domains, default=None)
    return [(0.0, first), *((change.at_s + late_s, min(change.domains)) for change in changes(scene))]


@law
@given(parts=lengths, gap=st.integers(0, 3))
def test_the_right_domain_at_once_scores_everything(parts: list[tuple[int, str]], gap: int) -> None:
    scene = scene_of(parts, gap)
    found = choices(scene, oracle(scene))
    assert found.right_s == pytest.approx(found.judged_s)
    assert found.right_settled_s == pytest.approx(found.judged_settled_s)
    assert found.delays_s == (0.0,) * len(changes(scene))
    assert (found.first_s, found.false_switches) == (0, 0)
    assert found.judged_s == sum(seconds for seconds, _ in parts)


@law
@given(parts=lengths, gap=st.integers(0, 3), late_s=st.floats(0, 3.9))
def test_a_timeline_that_is_late_has_that_delay(parts: list[tuple[int, str]], gap: int, late_s: float) -> None:
    scene = scene_of(parts, gap)
    found = choices(scene, oracle(scene, late_s))
    assert found.delays_s == pytest.approx((late_s,) * len(changes(scene)), abs=1e-9)
    assert found.false_switches == 0
    lost_s = max(0.0, late_s - gap / 2) * len(changes(scene))  # in a blend there is nothing to lose
    assert found.right_s == pytest.approx(found.judged_s - lost_s)
    assert found.right_settled_s == pytest.approx(found.judged_settled_s)


@law
@given(parts=lengths, domain=st.sampled_from((*DOMAINS, None)))
def test_to_stay_with_one_domain_is_right_as_long_as_it_is(parts: list[tuple[int, str]], domain: str | None) -> None:
    scene = scene_of(parts)
    found = choices(scene, [(0.0, domain)])
    assert found.right_s == sum(seconds for seconds, right in parts if right == domain)
    assert found.false_switches == 0
    assert found.delays_s == tuple(0.0 if domain in change.domains else math.inf for change in changes(scene))


@law
@given(looks=st.lists(st.tuples(st.floats(0, 40), st.sampled_from((*DOMAINS, None))), max_size=12), parts=lengths)
def test_no_timeline_scores_beyond_the_scales(
    looks: list[tuple[float, str | None]], parts: list[tuple[int, str]]
) -> None:
    scene = scene_of(parts)
    timeline = [(0.0, None), *sorted(looks, key=lambda look: look[0])]
    found = choices(scene, timeline)
    assert -1e-9 <= found.right_s <= found.judged_s + 1e-9
    assert found.right_settled_s <= found.judged_settled_s + 1e-9
    assert found.false_switches <= len(looks)
    assert all(delay >= 0 for delay in (*found.delays_s, found.first_s))
    twice = [look for look in timeline for _ in range(2)]
    assert choices(scene, twice) == found  # who says the same again says nothing more


@law
@given(times=st.lists(st.floats(0, 60), unique=True, max_size=10).map(sorted))
def test_every_switch_in_a_settled_recording_that_nobody_mixed_is_nervousness(times: list[float]) -> None:
    scene = scene_of([(60, None)])
    timeline = [(0.0, None), *((at_s, DOMAINS[number % 4]) for number, at_s in enumerate(times))]
    found = choices(scene, timeline)
    assert found.unmixed_switches == sum(SETTLED_S <= at_s < 60 for at_s in times)
    assert (found.unmixed_s, found.judged_s, found.false_switches) == (60 - SETTLED_S, 0, 0)
    assert math.isnan(found.first_s)


def test_a_visit_of_less_than_a_second_is_no_decision_but_a_wrong_switch_is_one() -> None:
    scene = scene_of([(10, "noise"), (10, "music")])
    timeline = [(0, "noise"), (10.5, "music"), (11.2, "noise"), (13, "music"), (17, "speech"), (18, "music")]
    found = choices(scene, timeline)
    assert found.delays_s == (3.0,)
    assert found.false_switches == 1  # those within 4 s of the change do not count
    assert found.settled_s == 12
    assert found.right_s == pytest.approx(10 + 0.7 + 4 + 2)
    assert choices(scene, [(0, "noise"), (19.5, "music")]).delays_s == (9.5,)  # nobody knows whether it stays
    assert choices(scene, [(0, "noise"), (20, "music")]).delays_s == (math.inf,)


def test_where_several_domains_are_right_each_is() -> None:
    parts = (
        Segment(0, 10 * RATE, frozenset({"music"})),
        Segment(10 * RATE, 20 * RATE, frozenset({"noise", "speech"})),
    )
    scene = Scene("alone", parts, np.zeros((2, 0), np.float32), ())
    for timeline in ([(0, "music"), (11, "noise")], [(0, "music"), (11, "speech")]):
        assert choices(scene, timeline).delays_s == (1.0,)
    over = choices(scene, [(0, "music"), (11, "noise"), (15, "speech")])
    assert (over.false_switches, over.right_s) == (0, 19)
    same = Scene("same", (parts[1], Segment(20 * RATE, 30 * RATE, frozenset({"noise"}))), scene.sources, ())
    assert not changes(same)
    assert settled(same)[1][0] == 20 * RATE


# ----------------------------------------------------------------------------------------------------------------- dB


def mixed(scene: Scene, share: float) -> Slots:
    """Slots that hold so much of the other source."""
    return scene.sources + np.float32(share) * scene.sources[::-1]


@law
@given(
    fixed=st.dictionaries(st.sampled_from(DOMAINS), st.floats(-30, 30), min_size=1),
    switched=st.floats(-30, 30),
    right=st.frozensets(st.sampled_from(DOMAINS)),
)
def test_random_is_the_mean_and_the_oracle_one_of_the_models(
    fixed: dict[str, float], switched: float, right: frozenset[str]
) -> None:
    found = systems_db(fixed, switched, right)
    assert found["random"] == pytest.approx(sum(fixed.values()) / len(fixed))
    assert found["switched"] == switched
    assert found["best-per-segment"] == max(fixed.values())
    allowed = [fixed[domain] for domain in fixed if domain in right]
    assert found["oracle"] in allowed if allowed else math.isnan(found["oracle"])


@settings(max_examples=10, deadline=None)
@given(share=st.floats(0.01, 0.5), gain=st.floats(0.1, 10), swap=st.booleans())
def test_improvement_knows_neither_gain_nor_order_and_falls_with_what_leaks(
    share: float, gain: float, swap: bool
) -> None:
    scene = scene_of([(5, "noise"), (6, "music")], sound=True)
    slots = mixed(scene, share)
    found = improvements_db(scene, slots)
    again = improvements_db(scene, gain * (slots[::-1] if swap else slots))
    worse = improvements_db(scene, mixed(scene, 1.2 * share))
    for which in ("whole", "settled"):
        for segment, other, less in zip(found, again, worse, strict=True):
            assert segment[which] == pytest.approx(other[which], abs=1e-3)
            assert segment[which] > less[which]
            assert segment[which] == pytest.approx(-20 * math.log10(share), abs=0.5)  # sources are equally loud


def test_where_a_source_is_silent_there_is_nothing_to_improve() -> None:
    scene = scene_of([(5, "noise"), (6, "music"), (5, None)], sound=True)
    scene.sources[1, scene.segments[1].start :] = 0
    found = improvements_db(scene, mixed(scene, 0.1))
    assert [math.isnan(segment["whole"]) for segment in found] == [False, True, True]


def test_slots_of_another_shape_are_refused() -> None:
    scene = scene_of([(5, "noise")], sound=True)
    with pytest.raises(ModelError, match=r"scene: expected slots of shape \(2, 80000\), got \(3, 80000\)"):
        improvements_db(scene, np.zeros((3, 5 * RATE), np.float32))


# ---------------------------------------------------------------------------------------------------------- the whole


LEAKS = {"environment": 0.5, "music": 0.1, "noise": 0.3, "speech": 0.4}


@cache
def scenes() -> list[Scene]:
    made = [scene_of([(6, "noise"), (5, "music"), (6, "noise")], 0, f"scene-{'i' * at}", True) for at in range(2)]
    long = scene_of([(60, None)], name="long", sound=True)
    long.sources[1] = 0
    return [*made, long]


def fixed(folder: Path | None, mixture: np.ndarray, domain: str) -> Slots:
    """Every model leaks its share; what was rendered is written down."""
    if folder is not None:
        with open(folder / "rendered", "a") as file:
            file.write(f"{domain}\n")
    (scene,) = (scene for scene in scenes() if np.array_equal(scene.mixture, mixture))
    return mixed(scene, LEAKS[domain])


def switched(domain: str | None, late_s: float, mixture: np.ndarray) -> Switched:
    """One model all the time; or, without one, the right one, but so late."""
    (scene,) = (scene for scene in scenes() if np.array_equal(scene.mixture, mixture))
    if domain is not None:
        return Switched(fixed(None, mixture, domain), [(0.0, domain)])
    timeline = oracle(scene, late_s)
    slots = np.zeros_like(scene.sources)
    for at_s, right in timeline:
        at = round(at_s * RATE)
        slots[:, at:] = mixed(scene, LEAKS[right] if right else 1.0)[:, at:]
    return Switched(slots, timeline)


@cache
def measured(domain: str | None, late_s: float = 0.0) -> list[SceneScore]:
    return list(measure_scenes(scenes(), DOMAINS, partial(fixed, None), partial(switched, domain, late_s)))


@pytest.mark.parametrize("domain", DOMAINS)
def test_who_never_switches_scores_like_the_model_that_is_heard(domain: str) -> None:
    found = summarise(measured(domain))
    for which in ("whole", "settled"):
        assert found[f"si_sdri_db.{which}.switched"] == found[f"si_sdri_db.{which}.fixed.{domain}"]
        assert found[f"si_sdri_db.{which}.best-fixed"] == found[f"si_sdri_db.{which}.fixed.music"]
        assert found[f"si_sdri_db.{which}.switched"].n == 6
        means = [found[f"si_sdri_db.{which}.fixed.{name}"].mean for name in DOMAINS]
        assert found[f"si_sdri_db.{which}.random"].mean == pytest.approx(sum(means) / 4)
    assert found["delay_never"].mean == (0.5 if domain in ("noise", "music") else 1.0)
    assert found["unmixed_switches_per_minute"].mean == 0


def test_who_is_always_right_wins_all_there_is_and_who_is_late_wins_it_when_settled() -> None:
    at_once, late = summarise(measured(None)), summarise(measured(None, 2.0))
    assert at_once["won.whole"].mean == pytest.approx(1.0)
    assert at_once["won.settled"].mean == pytest.approx(1.0)
    assert late["won.settled"].mean == pytest.approx(1.0)
    assert late["won.whole"].mean < 1.0
    assert at_once["correct_share"].mean == 1.0
    assert late["correct_share"].mean == pytest.approx(1 - 2 * 2 / 17)
    assert late["correct_share_settled"].mean == 1.0
    for name in ("delay_median_s", "delay_p90_s"):
        assert (at_once[name].mean, late[name].mean) == (0, 2)
        assert late[name].n == 4
    assert late["delay_within_4_s"].mean == 1


def test_figures_are_kept_and_only_what_changed_is_rendered_again(tmp_path: Path) -> None:
    def run(made_with: dict[str, str]) -> list[SceneScore]:
        kept = Kept(tmp_path / "kept", made_with)
        return list(
            measure_scenes(scenes()[1:], DOMAINS, partial(fixed, tmp_path), partial(switched, None, 1), 1, kept)
        )

    def rendered() -> list[str]:
        return (tmp_path / "rendered").read_text().split()

    once = run({})
    assert rendered() == list(DOMAINS)  # and the long recording, which has one source, by none of them
    assert run({}) == once
    assert rendered() == list(DOMAINS)
    assert run({"music": "another model"}) == once
    assert rendered() == [*DOMAINS, "music"]
    assert not list((tmp_path / "kept").glob("*.part"))


def test_processes_change_nothing() -> None:
    one, two = (
        list(measure_scenes(scenes()[:2], DOMAINS[1:3], partial(fixed, None), partial(switched, None, 1), processes))
        for processes in (1, 2)
    )
    assert one == two


def test_a_scene_whose_domain_the_bank_does_not_have_is_refused() -> None:
    with pytest.raises(ModelError, match=r"scene-: its domains are music, noise; the bank has no music"):
        list(measure_scenes(scenes(), ["noise"], partial(fixed, None), partial(switched, None, 1.0)))


def test_the_interval_holds_what_was_found_and_shrinks_where_scenes_agree() -> None:
    scene = scene_of([(10, "noise"), (10, "music")])
    mixed_bag = [choices(scene, oracle(scene, late_s)) for late_s in (0, 1, 2, 3, 8)]
    found = summarise_choices(mixed_bag)
    for interval in found.values():
        assert interval.n == 0 or interval.low <= interval.mean <= interval.high
    assert found["delay_median_s"].mean == 2
    assert found["delay_p90_s"].mean == 8
    alike = summarise_choices([choices(scene, oracle(scene, 1.5))] * 4)
    assert {(interval.low, interval.high) for name, interval in alike.items() if "delay_p" in name} == {(1.5, 1.5)}
    assert alike["unmixed_switches_per_minute"].n == 0


def test_the_pictures_are_pictures(tmp_path: Path) -> None:
    scores = measured(None, 1.0)
    draw_worth(tmp_path / "worth.png", summarise(scores))
    draw_delays(tmp_path / "delays.png", scores)
    for path in tmp_path.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000


def test_where_there_is_nothing_to_separate_the_picture_says_so(tmp_path: Path) -> None:
    alone = summarise_choices([choices(scene, oracle(scene, 0.0)) for scene in [scene_of([(10, "noise")])]])
    draw_worth(tmp_path / "worth.png", alone)
    assert (tmp_path / "worth.png").read_bytes().startswith(b"\x89PNG")
