"""A switch never swaps what may not be swapped, and finds every source that the listener was hearing."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from streamsep.arrays import Array
from streamsep.realtime.alignment import Alignment

law = settings(max_examples=60, deadline=None)
BINS = 8


def made(seed: int, frames: int, sources: int) -> Array:
    """(frames, sources, bins) that sum to 1 over the sources, some of them hard."""
    random = np.random.default_rng(seed)
    shares = random.exponential(size=(frames, sources, BINS)) ** random.uniform(0.5, 8)
    return shares / shares.sum(axis=1, keepdims=True)


def spectra(seed: int, frames: int, channels: int = 1) -> Array:
    random = np.random.default_rng(seed + 1)
    return random.normal(size=(frames, channels, BINS)) + 1j * random.normal(size=(frames, channels, BINS))


def listened(old: Array, new: Array, mixture: Array) -> Alignment:
    alignment = Alignment(old.shape[1], BINS)
    for frame in zip(old, new, mixture, strict=True):
        alignment.hear(*frame)
    return alignment


def pairs_of(roles: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((i, j) for j in range(len(roles)) for i in range(j) if roles[i] == roles[j])


@law
@given(seeds, st.integers(1, 5), st.integers(1, 3))
def test_what_is_kept_is_the_energy_of_the_mixture_times_both_masks(seed: int, sources: int, channels: int) -> None:
    old, new, mixture = made(seed, 4, sources), made(seed + 7, 4, sources), spectra(seed, 4, channels)
    wanted = np.einsum("fob,fnb,fb->on", old, new, np.square(np.abs(mixture)).sum(axis=1))
    alignment = listened(old, new, mixture)
    np.testing.assert_allclose(alignment.energy, wanted, rtol=1e-9)
    alignment.restart()
    assert not alignment.energy.any()


@law
@given(seeds, st.lists(st.sampled_from(("talker", "event", "speech")), min_size=2, max_size=4).map(tuple))
def test_only_sources_of_one_role_change_places_and_no_exchange_of_two_would_keep_more(
    seed: int, roles: tuple[str, ...]
) -> None:
    old, new = made(seed, 5, len(roles)), made(seed + 3, 5, len(roles))
    alignment, order = listened(old, new, spectra(seed, 5)), list(range(len(roles)))
    alignment.order(pairs_of(roles), order)
    assert [roles[source] for source in order] == list(roles)

    def kept(some: list[int] | tuple[int, ...]) -> float:
        return sum(alignment.energy[slot, source] for slot, source in enumerate(some))

    for one, other in pairs_of(roles):
        swapped = list(order)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        assert kept(swapped) <= kept(order) * (1 + 1e-12)
    allowed = [some for some in permutations(order) if [roles[source] for source in some] == list(roles)]
    if len(allowed) <= 2:
        assert kept(order) >= max(map(kept, allowed)) * (1 - 1e-12)


@law
@given(seeds, st.permutations(range(3)))
def test_sources_that_only_changed_places_are_found(seed: int, places: list[int]) -> None:
    old = (made(seed, 20, 3) > 0.5).astype(np.float64)
    alignment, order = listened(old, old[:, places], spectra(seed, 20)), [0, 1, 2]
    alignment.order(pairs_of(("talker",) * 3), order)
    kept = sum(alignment.energy[slot, source] for slot, source in enumerate(order))
    assert kept >= (1 - 1e-9) * sum(alignment.energy[places[source], source] for source in range(3))


def test_in_silence_everything_stays_where_it_is() -> None:
    old = made(0, 3, 2)
    for order in ([0, 1], [1, 0]):
        before = list(order)
        listened(old, old, np.zeros((3, 1, BINS), np.complex128)).order(((0, 1),), order)
        assert order == before


def test_quiet_bins_do_not_outvote_loud_ones() -> None:
    old = np.zeros((1, 2, BINS))
    old[:, 0], old[:, 1] = 0.9, 0.1
    new = old[:, ::-1].copy()
    new[:, :, 0] = old[:, :, 0]
    mixture = np.full((1, 1, BINS), 1e-3 + 0j)
    mixture[..., 0] = 1
    order = [0, 1]
    listened(old, new, mixture).order(((0, 1),), order)
    assert order == [0, 1]
    mixture[..., 0] = 1e-3
    listened(old, new, mixture).order(((0, 1),), order)
    assert order == [1, 0]
