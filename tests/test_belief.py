"""What is believed after many looks: exactly what a hidden Markov model says, summed over everything that may have
been."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.errors import ConfigError
from streamsep.monitor.belief import LEAST, LONGEST_STEP_S, Belief, BeliefOptions, believe

DOMAINS = ("environment", "music", "noise")
law = settings(max_examples=100, deadline=None)
steps_s = st.floats(0.05, LONGEST_STEP_S)


@st.composite
def shares(draw: st.DrawFn) -> dict[str, float]:
    weights = [draw(st.floats(0.01, 1)) for _ in DOMAINS]
    return {domain: weight / sum(weights) for domain, weight in zip(DOMAINS, weights, strict=True)}


options = st.builds(BeliefOptions, st.floats(0.1, 100), st.floats(0, 10))
looks = st.lists(st.tuples(st.one_of(st.none(), shares()), steps_s), min_size=1, max_size=6)


def after(seen: list[tuple[dict[str, float] | None, float]], wanted: BeliefOptions) -> Belief | None:
    belief: Belief | None = None
    for look, step_s in seen:
        belief = believe(belief, look, step_s, wanted)
    return belief


@law
@given(looks, options)
def test_it_is_the_sum_over_every_way_the_domains_may_have_followed_each_other(
    seen: list[tuple[dict[str, float] | None, float]], wanted: BeliefOptions
) -> None:
    while seen and seen[0][0] is None:
        seen = seen[1:]  # nothing is known yet
    found = after(seen, wanted)
    if found is None:
        assert not seen
        return
    joint = np.zeros(len(DOMAINS))
    for path in product(range(len(DOMAINS)), repeat=len(seen)):
        likelihood = 1 / len(DOMAINS)
        for number, (state, (look, step_s)) in enumerate(zip(path, seen, strict=True)):
            stayed = math.exp(-step_s / wanted.stay_s)
            if number:
                likelihood *= stayed * (state == path[number - 1]) + (1 - stayed) / len(DOMAINS)
            if look is not None:
                likelihood *= max(look[DOMAINS[state]], LEAST) ** (wanted.evidence_per_s * step_s)
        joint[path[-1]] += likelihood
    assert list(found) == list(DOMAINS)
    np.testing.assert_allclose(list(found.values()), joint / joint.sum(), rtol=1e-9)


@law
@given(shares(), st.floats(0.05, 1), options)
def test_looks_that_agree_are_believed_more_and_more(
    seen: dict[str, float], step_s: float, wanted: BeliefOptions
) -> None:
    best = max(seen, key=seen.__getitem__)
    belief: Belief | None = None
    before = 1 / len(DOMAINS)
    for _ in range(10):
        belief = believe(belief, seen, step_s, wanted)
        assert belief is not None
        assert belief[best] >= before - 1e-12
        before = belief[best]


@law
@given(shares(), shares(), st.floats(0.05, 0.5), st.floats(0.1, 10))
def test_two_looks_of_half_the_time_say_as_much_as_one(
    before: dict[str, float], seen: dict[str, float], half_s: float, evidence: float
) -> None:
    for_ever = BeliefOptions(stay_s=1000, evidence_per_s=evidence)
    once = believe(before, seen, 2 * half_s, for_ever)
    twice = believe(believe(before, seen, half_s, for_ever), seen, half_s, for_ever)
    assert once is not None
    assert twice == pytest.approx(once, abs=3e-3)


@law
@given(shares(), steps_s, options)
def test_without_anything_to_judge_what_was_known_ages(
    before: dict[str, float], step_s: float, wanted: BeliefOptions
) -> None:
    found = believe(before, None, step_s, wanted)
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    for domain in DOMAINS:  # towards an even belief, and not beyond
        even = 1 / len(DOMAINS)
        assert min(before[domain], even) - 1e-12 <= found[domain] <= max(before[domain], even) + 1e-12
    assert believe(None, None, step_s, wanted) is None
    assert believe(before, None, 1e9, wanted) == pytest.approx(dict.fromkeys(DOMAINS, 1 / 3))


@law
@given(shares(), shares(), st.floats(-1e6, 0), options)
def test_where_the_clock_stands_still_or_jumps_back_nothing_is_learnt(
    before: dict[str, float], seen: dict[str, float], step_s: float, wanted: BeliefOptions
) -> None:
    assert believe(before, seen, step_s, wanted) == pytest.approx(before)


def test_no_look_is_certain_for_ever() -> None:
    wanted, certain = BeliefOptions(), {"music": 1.0, "noise": 0.0}
    belief: Belief | None = None
    for _ in range(1000):
        belief = believe(belief, certain, 0.5, wanted)
    for _ in range(4):
        belief = believe(belief, {"music": 0.05, "noise": 0.95}, 0.5, wanted)
    assert belief is not None
    assert belief["noise"] > 0.5


@pytest.mark.parametrize(
    ("field", "value"), [("stay_s", 0.0), ("stay_s", math.nan), ("evidence_per_s", -0.1), ("evidence_per_s", 11.0)]
)
def test_an_option_out_of_range_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{field} must be between .*, got"):
        BeliefOptions(**{field: value})
