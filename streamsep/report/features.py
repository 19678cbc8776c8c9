"""What a learned judge may know of a mixture and of what a model made of it, without the sources: a few dozen
numbers, in the spirit of Manilow et al. (2017). None of them knows the embeddings."""

import numpy as np
from numpy.typing import NDArray

from streamsep.monitor.mel import mel_bands
from streamsep.realtime.stft import FrontEnd

BANDS = 12  # of the mixture and of every slot
FLOOR = 1e-4  # of the mean power: what is below counts as this much
FRAMES = 4  # that are put together, 16 ms

Floats = NDArray[np.float64]


def powers(front: FrontEnd, spectrum: NDArray[np.complexfloating], bands: int) -> Floats:
    """(..., frames, bins) -> (..., frames / FRAMES, bands)."""
    found = np.abs(spectrum) ** 2 @ mel_bands(front.bins, front.sample_rate, bands).T
    *outer, frames, _ = found.shape
    whole = found[..., : frames // FRAMES * FRAMES, :].reshape(*outer, frames // FRAMES, FRAMES, bands)
    mean: Floats = whole.mean(axis=-2)
    return mean


def decibels(power: Floats) -> Floats:
    """Above its mean, so loudness does not matter; not below FLOOR of it. Silence is 0 dB throughout."""
    mean = power.mean() or 1.0
    found: Floats = 10 * np.log10(np.maximum(power / mean, FLOOR)) if power.any() else np.zeros(power.shape)
    return found


def of_the_mixture(front: FrontEnd, spectrum: NDArray[np.complex128]) -> dict[str, float]:
    """spectrum: (frames, bins)."""
    power = powers(front, spectrum, BANDS)
    db = decibels(power)
    level_db = decibels(power.mean(axis=1))
    found = {f"mixture.level.{band}": value for band, value in enumerate(db.mean(axis=0))}
    found |= {f"mixture.swing.{band}": value for band, value in enumerate(db.std(axis=0))}
    return _floats(
        found
        | {
            "mixture.swing": level_db.std(),
            "mixture.steadiness": _correlation(db[1:], db[:-1]),
            "mixture.flatness": float(np.mean(db.mean(axis=1) - decibels(power.mean(axis=1)))),
        }
    )


def of_the_estimates(
    front: FrontEnd, spectrum: NDArray[np.complex128], masks: NDArray[np.float32]
) -> dict[str, float]:
    """masks: (frames, slots, bins). The slots' order does not matter: the louder one comes first."""
    slots = masks.swapaxes(0, 1) * spectrum
    power = powers(front, slots, BANDS)
    power = power[np.argsort(-power.sum(axis=(1, 2)), kind="stable")]
    shares = power.sum(axis=(1, 2)) / (power.sum() or 1.0)
    weights = np.abs(spectrum)[:, None] / (np.abs(spectrum).sum() or 1.0)
    surprise = -masks * np.log2(np.maximum(masks, 1e-6))
    levels = np.stack([decibels(each.mean(axis=1)) for each in power])
    found = {
        "estimates.loudest": shares[0],
        "estimates.strength": (masks.max(axis=1, keepdims=True) * weights).sum(),
        "estimates.doubt": (surprise.sum(axis=1, keepdims=True) * weights).sum(),
        "estimates.flicker": float(np.mean(np.abs(np.diff(masks, axis=0)))),
        "estimates.roughness": float(np.mean(np.abs(np.diff(masks, axis=2)))),
        "estimates.together": _correlation(levels[0], levels[-1]),
        "estimates.alike": _correlation(decibels(power[0]), decibels(power[-1])),
    }
    for number in (0, -1):
        name, db = ("first", "last")[number], decibels(power[number])
        found |= {f"estimates.{name}.level.{band}": value for band, value in enumerate(db.mean(axis=0))}
        found |= {
            f"estimates.{name}.swing": levels[number].std(),
            f"estimates.{name}.steadiness": _correlation(db[1:], db[:-1]),
        }
    return _floats(found)


def _correlation(one: Floats, other: Floats) -> float:
    """Of all numbers of two arrays; 0 where one does not vary."""
    x, y = one.ravel() - one.mean(), other.ravel() - other.mean()
    scale = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / scale) if scale else 0.0


def _floats(values: dict[str, float]) -> dict[str, float]:
    """For JSON, which does not know NumPy's."""
    return {name: float(value) for name, value in values.items()}
