"""How sure a mean is, when the things it was taken over are not independent."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000  # the ends of an interval then repeat to about a fiftieth of its width whatever the seed


@dataclass(frozen=True)
class Interval:
    """A mean of `n` values with its 95 % confidence interval; mean, low and high are nan when n is 0."""

    mean: float
    low: float
    high: float
    n: int


def clustered_mean(values: Sequence[float], clusters: Sequence[Sequence[Hashable]], seed: int = 0) -> Interval:
    """The mean of the values and the 95 % bootstrap interval of it; values that are nan are left out.

    clusters: for every value, what it was made of (the clip in each slot). A clip that is in many mixtures pulls
    all of them the same way, and a mixture has two clips, so clips are drawn and not mixtures: in every draw each
    clip gets a random weight (exponential, mean 1) and each mixture the product of its clips' weights (Owen &
    Eckles 2012). A slot that groups the mixtures as an earlier one does (a voice that always comes with its own
    accompaniment) adds nothing. The interval tends to be too wide rather than too narrow. Of a single cluster it
    has no width: nothing is known of any other.

    >>> clustered_mean([1.0, 1.0, 1.0], [["a", "x"], ["a", "y"], ["b", "y"]])
    Interval(mean=1.0, low=1.0, high=1.0, n=3)
    """
    kept = [i for i, value in enumerate(values) if not np.isnan(value)]
    if not kept:
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    found = np.array([values[i] for i in kept], np.float64)
    weights = drawn_weights([clusters[i] for i in kept], seed)
    means = weights @ found / weights.sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(found.mean()), float(low), float(high), len(found))


def clustered_share(
    parts: Sequence[float], wholes: Sequence[float], clusters: Sequence[Sequence[Hashable]], seed: int = 0
) -> Interval:
    """The sum of the parts over the sum of the wholes, with its interval, drawn as that of `clustered_mean`; where
    either is nan both are left out.

    >>> clustered_share([1.0, 3.0], [2.0, 6.0], [["a"], ["b"]])
    Interval(mean=0.5, low=0.5, high=0.5, n=2)
    """
    kept = [i for i, both in enumerate(zip(parts, wholes, strict=True)) if not np.isnan(both).any()]
    some, every = (np.array([values[i] for i in kept], np.float64) for values in (parts, wholes))
    if not kept or not every.sum():
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    weights = drawn_weights([clusters[i] for i in kept], seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.nanquantile(weights @ some / (weights @ every), [0.025, 0.975])
    return Interval(float(some.sum() / every.sum()), float(low), float(high), len(kept))


def drawn_weights(clusters: Sequence[Sequence[Hashable]], seed: int = 0) -> NDArray[np.float64]:
    """(DRAWS, values): what each value weighs in each draw of the bootstrap; not to be written to."""
    return _drawn(tuple(map(tuple, clusters)), seed)


@lru_cache(maxsize=4)  # many figures are of the same mixtures
def _drawn(clusters: tuple[tuple[Hashable, ...], ...], seed: int) -> NDArray[np.float64]:
    labels = _numbered(clusters)
    random = np.random.default_rng(seed)
    weights: NDArray[np.float64] = random.exponential(size=(DRAWS, int(labels.max()) + 1))[:, labels].prod(axis=2)
    return weights


def _numbered(clusters: Sequence[Sequence[Hashable]]) -> NDArray[np.intp]:
    """(values, slots) -> whole numbers, equal where the clips are; of slots that group alike, the first."""
    slots: dict[tuple[int, ...], Sequence[Hashable]] = {}
    for slot in zip(*clusters, strict=True):
        slots.setdefault(_pattern(slot), slot)
    numbers: dict[Hashable, int] = {}
    return np.array([[numbers.setdefault(clip, len(numbers)) for clip in slot] for slot in slots.values()], np.intp).T


def _pattern(labels: Sequence[Hashable]) -> tuple[int, ...]:
    """The same for two sequences that are equal but for the names of their labels: (a, b, a) -> (0, 1, 0)."""
    seen: dict[Hashable, int] = {}
    return tuple(seen.setdefault(label, len(seen)) for label in labels)
