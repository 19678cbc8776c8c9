"""Scores, options and clocks nobody chose, and what a policy makes of them."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from hypothesis import strategies as st

from streamsep.monitor.policy import LONGEST_STEP_S, Decision, PolicyOptions, PolicyState, Score, decide

DOMAINS = ("noise", "music", "speech")
SILENCE = dict.fromkeys(DOMAINS)
LOUD_DB = 20.0  # no score is larger here

scores_db = st.floats(-LOUD_DB, LOUD_DB)
any_score = st.one_of(scores_db, st.sampled_from([None, math.nan, math.inf, -math.inf]))
all_scores = st.fixed_dictionaries(dict.fromkeys(DOMAINS, any_score))
good_scores = st.fixed_dictionaries(dict.fromkeys(DOMAINS, scores_db))
steps_s = st.floats(0.05, LONGEST_STEP_S)
strange_steps_s = st.one_of(steps_s, st.floats(-100, 0), st.floats(1, 1000))
Look = tuple[float, dict[str, Score]]  # seconds since the one before, scores


@st.composite
def options(draw: st.DrawFn, dry: bool = True) -> PolicyOptions:
    margin_db = draw(st.floats(0, 6))
    return PolicyOptions(
        smoothing_s=draw(st.floats(0, 3)),
        margin_db=margin_db,
        hysteresis_db=draw(st.floats(0, margin_db)),
        dwell_s=draw(st.floats(0, 3)),
        apart_s=draw(st.floats(0, 5)),
        floor_db=draw(st.one_of(st.none(), st.floats(-6, 6))) if dry else None,
        fall_back_s=draw(st.floats(0, 4)),
    )


def looks(scores: st.SearchStrategy = all_scores, steps: st.SearchStrategy = steps_s) -> st.SearchStrategy:
    """What is seen over a while: of long stretches of the same as well as of one thing after the other."""
    stretch = st.tuples(steps, scores, st.integers(1, 12)).map(lambda drawn: [drawn[:2]] * drawn[2])
    return st.lists(stretch, max_size=8).map(lambda stretches: list(chain(*stretches)))


class Seen(NamedTuple):
    """One look, and what came of it."""

    at_s: float  # that have passed since the beginning; a clock that jumps back stands still
    before: PolicyState
    after: PolicyState
    decision: Decision


def watch(
    seen: Sequence[Look], wanted: PolicyOptions, state: PolicyState | None = None, locked: str | None = None
) -> list[Seen]:
    state = PolicyState("noise") if state is None else state
    now_s, passed_s, found = state.at_s or 0.0, 0.0, []
    for step_s, scores in seen:
        now_s += step_s
        passed_s += max(0.0, step_s)
        before = state
        state, decision = decide(before, scores, now_s, wanted, locked)
        found.append(Seen(passed_s, before, state, decision))
    return found


def decided(found: Sequence[Seen]) -> list[Decision]:
    return [look.decision for look in found]


def switches(found: Sequence[Seen]) -> list[Seen]:
    return [look for look in found if look.decision.switched]
