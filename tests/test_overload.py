"""What is given up when callbacks are late, and when it is taken back."""

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


def hear(overload, late, seconds, period):
    """So many seconds of callbacks, all late or none; the levels after each."""
    levels = []
    for _ in range(round(seconds / period) + 1):
        overload.hear(late, period)
        levels.append(overload.level)
    return levels


@given(st.lists(st.booleans(), max_size=400), PERIODS)
def test_a_level_changes_by_one_and_says_so(lates, period):
    overload, before = Overload(), 0
    for late in lates:
        changed = overload.hear(late, period)
        assert changed == (overload.level != before)
        assert abs(overload.level - before) <= 1
        assert 0 <= overload.level <= HIGHEST
        before = overload.level
    assert overload.worst >= overload.level


@given(st.lists(st.integers(0, LATE_IN_A_ROW - 1), max_size=100), PERIODS)
def test_single_late_callbacks_change_nothing(runs, period):
    overload = Overload()
    for run in runs:
        for late in [True] * run + [False]:
            overload.hear(late, period)
    assert overload.level == overload.worst == 0


@given(PERIODS)
def test_a_machine_that_cannot_keep_up_gives_everything_up_step_by_step(period):
    overload = Overload()
    levels = hear(overload, True, HIGHEST * (SETTLE_S + (LATE_IN_A_ROW + 1) * period), period)
    assert levels[LATE_IN_A_ROW - 1] == 1
    assert levels == sorted(levels)
    assert levels[-1] == HIGHEST
    steps = [index for index in range(1, len(levels)) if levels[index] != levels[index - 1]]
    assert all((late - early) * period >= SETTLE_S - 1e-9 for early, late in itertools.pairwise(steps))


@given(PERIODS)
def test_everything_comes_back_by_itself(period):
    overload = Overload()
    hear(overload, True, 2.0, period)
    levels = hear(overload, False, HIGHEST * RECOVER_S + 1.0, period)
    assert levels[round((RECOVER_S - 0.5) / period)] == HIGHEST
    assert levels[-1] == 0


def test_what_fails_again_and_again_is_tried_less_often_but_for_ever():
    overload, period = Overload(), 0.02
    hear(overload, True, 2.0, period)
    pauses = []
    for _ in range(8):
        calm = 0
        while overload.level == HIGHEST:
            overload.hear(False, period)
            calm += 1
        pauses.append(calm * period)
        while overload.level < HIGHEST:
            overload.hear(True, period)
    assert pauses == sorted(pauses)
    assert pauses[0] < 1.1 * RECOVER_S
    assert abs(pauses[-1] - LONGEST_RECOVER_S) < 1.0


def test_after_a_long_calm_the_first_pause_counts_again():
    overload, period = Overload(), 0.02
    for _ in range(4):
        hear(overload, True, 2.0, period)
        while overload.level == HIGHEST:
            overload.hear(False, period)
    hear(overload, False, 4 * LONGEST_RECOVER_S + FORGIVEN_S, period)
    assert overload.level == 0
    hear(overload, True, 2.0, period)
    assert hear(overload, False, RECOVER_S + 0.5, period)[-1] == HIGHEST - 1
