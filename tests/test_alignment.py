"""A switch never swaps what may not be swapped, and finds every source that the listener was hearing."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from streamsep.arrays import Array
from streamsep.errors import ModelError
from streamsep.monitor.alignment import align, assign

ROLES = ("talker", "event", "speech")
law = settings(max_examples=60, deadline=None)
some_roles = st.lists(st.sampled_from(ROLES), min_size=1, max_size=5).map(tuple)


def made(seed: int, frames: int, sources: int, bins: int) -> Array:
    """(frames, sources, bins) that sum to 1 over the sources, some of them hard."""
    random = np.random.default_rng(seed)
    shares = random.exponential(size=(frames, sources, bins)) ** random.uniform(0.5, 8)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def kept_energy(old: Array, new: Array, weights: Array, order: tuple[int, ...]) -> float:
    """What stays in its slot, added up bin by bin."""
    frames, bins = weights.shape
    return sum(
        float(weights[t, f]) * float(old[t, slot, f]) * float(new[t, order[slot], f])
        for t, f in product(range(frames), range(bins))
        for slot in range(min(old.shape[1], new.shape[1]))
    )


@law
@given(seeds, st.integers(0, 4), st.integers(1, 5), some_roles, some_roles)
def test_it_is_the_best_of_all_orders_that_may_be(
    seed: int, frames: int, bins: int, old_roles: tuple[str, ...], new_roles: tuple[str, ...]
) -> None:
    old, new = made(seed, frames, len(old_roles), bins), made(seed + 1, frames, len(new_roles), bins)
    weights = np.random.default_rng(seed).exponential(size=(frames, bins))
    order = align(old, new, weights, old_roles, new_roles)
    assert [new_roles[source] for source in order] == list(new_roles)
    allowed = [
        other
        for other in permutations(range(len(new_roles)))
        if all(new_roles[source] == role for source, role in zip(other, new_roles, strict=True))
    ]
    assert order in allowed
    best = max(kept_energy(old, new, weights, other) for other in allowed)
    assert kept_energy(old, new, weights, order) == pytest.approx(best)


@law
@given(seeds, st.permutations(range(4)), st.floats(0, 0.4))
def test_sources_of_one_role_that_are_only_shuffled_are_found(seed: int, shuffle: list[int], blurred: float) -> None:
    old = made(seed, 20, 4, 9)
    new = ((1 - blurred) * old + blurred / 4)[:, shuffle]
    order = align(old, new, np.ones((20, 9)), ("event",) * 4, ("event",) * 4)
    assert order == tuple(shuffle.index(slot) for slot in range(4))


@law
@given(seeds, st.permutations(range(3)), st.integers(0, 2), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_source_that_is_not_finite_does_not_hide_the_others(
    seed: int, shuffle: list[int], broken: int, fault: float
) -> None:
    old = made(seed, 20, 3, 9)
    new = old[:, shuffle]
    new[3, broken, 2] = fault
    order = align(old, new, np.ones((20, 9)), ("talker",) * 3, ("talker",) * 3)
    assert order == tuple(shuffle.index(slot) for slot in range(3))


@law
@given(seeds, st.permutations(ROLES))
def test_sources_of_different_roles_keep_their_slots_whatever_they_look_like(seed: int, roles: list[str]) -> None:
    old = made(seed, 5, 3, 4)
    assert align(old, old[:, ::-1], np.ones((5, 4)), ("talker",) * 3, tuple(roles)) == (0, 1, 2)


@law
@given(seeds, some_roles, some_roles)
def test_where_there_is_nothing_to_go_by_the_order_is_the_usual_one(
    seed: int, old_roles: tuple[str, ...], new_roles: tuple[str, ...]
) -> None:
    old, new = made(seed, 3, len(old_roles), 4), made(seed + 1, 3, len(new_roles), 4)
    usual = tuple(range(len(new_roles)))
    assert align(old, new, np.zeros((3, 4)), old_roles, new_roles) == usual
    assert align(old, np.full_like(new, np.nan), np.ones((3, 4)), old_roles, new_roles) == usual
    assert align(old[:0], new[:0], np.ones((0, 4)), old_roles, new_roles) == usual


@law
@given(seeds)
def test_quiet_bins_do_not_outvote_loud_ones(seed: int) -> None:
    old = made(seed, 6, 2, 8)
    new = old[:, ::-1].copy()
    new[:, :, :1] = old[:, :, :1]
    weights = np.full((6, 8), 1e-4)
    weights[:, 0] = 1
    old[:, 0, 0], old[:, 1, 0] = 0.9, 0.1
    new[:, 0, 0], new[:, 1, 0] = 0.8, 0.2
    talkers = ("talker", "talker")
    assert align(old, new, weights, talkers, talkers) == (0, 1)
    assert align(old, new[:, ::-1], weights, talkers, talkers) == (1, 0)


@law
@given(seeds, st.integers(0, 7))
def test_an_assignment_is_the_best_of_all(seed: int, count: int) -> None:
    energy = np.random.default_rng(seed).integers(0, 6, (count, count)).astype(np.float64)
    best = max(permutations(range(count)), key=lambda order: sum(energy[slot, order[slot]] for slot in range(count)))
    assert assign(energy) == best


def test_masks_that_do_not_fit_are_refused_with_the_shape_they_should_have() -> None:
    masks, weights = made(0, 3, 2, 4), np.ones((3, 4))
    with pytest.raises(
        ModelError, match=r"new masks: expected \(frames, sources, bins\) = \(3, 1, 4\), got \(3, 2, 4\)"
    ):
        align(masks, masks, weights, ("speech", "noise"), ("speech",))
    with pytest.raises(ModelError, match=r"old masks: .* got \(2, 2, 4\)"):
        align(masks[:2], masks, weights, ("speech", "noise"), ("speech", "noise"))
