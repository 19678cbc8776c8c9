"""How good an estimate of a source is: scale-invariant signal-to-distortion ratio (Le Roux et al. 2019), in dB.

All functions are pure and compute in float64. Nothing is centred: an offset is an error like any other.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamsep.errors import AudioError

LIMIT_DB = 100.0  # more than 16-bit sound can hold; keeps means finite


def si_sdr_db(estimate: ArrayLike, source: ArrayLike) -> float:
    """How far the source stands out of everything else in the estimate, whatever the loudness of either, in dB.

    estimate, source: (samples,). The estimate is split into its projection on the source and the rest; the figure is
    the ratio of their energies, kept within +-LIMIT_DB. 0: as much of the source as of everything else; LIMIT_DB: the
    source itself; -LIMIT_DB: nothing of it, and so too for a silent estimate; nan: the source is silent, there is
    nothing to find. Raises AudioError for shapes that differ and for samples that are not finite.

    >>> si_sdr_db([2.0, 2.0], [1.0, 0.0])
    0.0
    """
    heard, wanted = _unit_peak(estimate, "estimate"), _unit_peak(source, "source")
    if heard.shape != wanted.shape:
        raise AudioError(f"estimate and source must be equally long, got {len(heard)} and {len(wanted)} samples")
    if not wanted.any():
        return float("nan")
    along = wanted * (heard @ wanted / (wanted @ wanted))
    rest = heard - along
    found, lost = float(along @ along), float(rest @ rest)
    if found <= lost * 10 ** (-LIMIT_DB / 10):
        return -LIMIT_DB
    if lost <= found * 10 ** (-LIMIT_DB / 10):
        return LIMIT_DB
    return float(10 * np.log10(found / lost))


def si_sdr_improvement_db(estimate: ArrayLike, source: ArrayLike, mixture: ArrayLike) -> float:
    """How much better the estimate is than the mixture itself, in dB: all arrays (samples,); 0: no better.

    nan where there is nothing to gain: the source is silent, or is all there is in the mixture.

    >>> round(si_sdr_improvement_db([3.0, 1.0], [1.0, 0.0], [1.0, 1.0]), 2)
    9.54
    """
    before = si_sdr_db(mixture, source)
    after = si_sdr_db(estimate, source)
    return after - before if before < LIMIT_DB else float("nan")


def best_order(
    estimates: NDArray[np.floating], sources: NDArray[np.floating], roles: Sequence[str]
) -> tuple[int, ...]:
    """Which estimate to hold against which source: entry i is the estimate of source i; (sources, samples) each.

    Only slots of the same role may change places: two talkers come in no particular order, speech and noise do. It is
    the order of the largest SI-SDR summed over the slots, the first of equals; silent sources do not count.
    """
    figures = np.nan_to_num([[si_sdr_db(estimate, source) for estimate in estimates] for source in sources])
    slots = range(len(roles))
    allowed = (order for order in permutations(slots) if all(roles[i] == roles[order[i]] for i in slots))
    return max(allowed, key=lambda order: sum(figures[i, order[i]] for i in slots))


def _unit_peak(samples: ArrayLike, name: str) -> NDArray[np.float64]:
    """(samples,) with its loudest sample at 1, so that no loudness overflows or underflows; silence stays silent."""
    sound = np.asarray(samples, np.float64)
    if sound.ndim != 1 or not len(sound):
        raise AudioError(f"{name} must have shape (samples,) and at least one sample, got shape {sound.shape}")
    if not np.isfinite(sound).all():
        raise AudioError(f"{name} holds samples that are not finite")
    peak = np.abs(sound).max()
    return sound / peak if peak else sound
