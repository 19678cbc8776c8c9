"""What is given up when hops are late, and when it is taken back."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamsep.realtime.overload import (
    FORGIVEN_S,
    HIGHEST,
    LATE_IN_A_ROW,
    LONGEST_RECOVER_S,
    RECOVER_S,
    SETTLE_S,
    Overload,
)

PERIODS = st.sampled_from([0.001, 128 / 48_000, 0.02])
HOPS = st.sampled_from([(True,), (False, True, True), (False, False, True), (False,) * 7 + (True,)])  # by callback


def hear(overload, late, seconds, period, hops=(True,)):
    """So many seconds of callbacks, in all or none of which the hops are late; the levels after each."""
    levels = []
    for _, hop in zip(range(round(seconds / period) + 1), itertools.cycle(hops), strict=False):
        overload.hear(hop, late and hop, period)
        levels.append(overload.level)
    return levels


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=400), PERIODS)
def test_a_level_changes_by_one_and_says_so(callbacks, period):
    overload, before = Overload(), 0
    for hop, late in callbacks:
        changed = overload.hear(hop, late, period)
        assert changed == (overload.level != before)
        assert abs(overload.level - before) <= 1
        assert 0 <= overload.level <= HIGHEST
        before = overload.level
    assert overload.worst >= overload.level


@given(st.lists(st.tuples(st.integers(0, LATE_IN_A_ROW - 1), st.lists(st.booleans())), max_size=100), PERIODS)
def test_single_late_hops_change_nothing_whatever_lies_between_them(runs, period):
    overload = Overload()
    for run, between in runs:
        for late in [True] * run + [False]:
            overload.hear(True, late, period)
            for other in between:
                overload.hear(False, other, period)
    assert overload.level == overload.worst == 0


@given(PERIODS, HOPS)
def test_a_machine_that_cannot_keep_up_gives_everything_up_step_by_step(period, hops):
    overload, pattern = Overload(), len(hops)
    levels = hear(overload, True, HIGHEST * (SETTLE_S + (LATE_IN_A_ROW + 1) * pattern * period), period, hops)
    third = [index for index, hop in zip(range(99), itertools.cycle(hops), strict=False) if hop][LATE_IN_A_ROW - 1]
    assert levels[: third + 1] == [0] * third + [1]
    assert levels == sorted(levels)
    assert levels[-1] == HIGHEST
    steps = [index for index in range(1, len(levels)) if levels[index] != levels[index - 1]]
    assert all((late - early) * period >= SETTLE_S - 1e-9 for early, late in itertools.pairwise(steps))


@given(PERIODS, HOPS | st.just((False,)))
def test_everything_comes_back_by_itself(period, hops):
    overload = Overload()
    hear(overload, True, 2.0, period)
    levels = hear(overload, False, HIGHEST * RECOVER_S + 1.0, period, hops)
    assert levels[round((RECOVER_S - 0.5) / period)] == HIGHEST
    assert levels[-1] == 0


@given(PERIODS, HOPS, st.integers(0, LATE_IN_A_ROW))
def test_only_hops_late_in_a_row_keep_things_from_coming_back(period, hops, run):
    """A busy machine has late callbacks now and then for ever."""
    overload = Overload()
    hear(overload, True, 2.0, period)
    since = itertools.count()  # hops
    for hop in itertools.islice(itertools.cycle(hops), round((HIGHEST * RECOVER_S + 1.0) / period)):
        overload.hear(hop, next(since) % 20 < run if hop else True, period)
    assert overload.level == (HIGHEST if run == LATE_IN_A_ROW else 0)


def test_what_fails_again_and_again_is_tried_less_often_but_for_ever():
    overload, period = Overload(), 0.02
    hear(overload, True, 2.0, period)
    pauses = []
    for _ in range(8):
        calm = 0
        while overload.level == HIGHEST:
            overload.hear(True, False, period)
            calm += 1
        pauses.append(calm * period)
        while overload.level < HIGHEST:
            overload.hear(True, True, period)
    assert pauses == sorted(pauses)
    assert pauses[0] < 1.1 * RECOVER_S
    assert abs(pauses[-1] - LONGEST_RECOVER_S) < 1.0


def test_after_a_long_calm_the_first_pause_counts_again():
    overload, period = Overload(), 0.02
    for _ in range(4):
        hear(overload, True, 2.0, period)
        while overload.level == HIGHEST:
            overload.hear(True, False, period)
    hear(overload, False, 4 * LONGEST_RECOVER_S + FORGIVEN_S, period)
    assert overload.level == 0
    hear(overload, True, 2.0, period)
    assert hear(overload, False, RECOVER_S + 0.5, period)[-1] == HIGHEST - 1
