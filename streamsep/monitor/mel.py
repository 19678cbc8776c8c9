"""Bands of a spectrum that are as wide as the ear's: narrow below, wide above."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=8)
def mel_bands(bins: int, rate: int, bands: int, lowest: int = 0) -> NDArray[np.float64]:
    """(bands, bins): overlapping triangles, evenly spaced in mel (O'Shaughnessy 1987) from the bin `lowest` to the
    highest, each with the sum 1. A band that lies between two bins is the bin next to its middle.

    rate: of the sound in Hz, whose half is the highest bin. The array is shared: not to be written to."""
    mel = 2595 * np.log10(1 + np.linspace(0, rate / 2, bins) / 700)
    edges = np.linspace(mel[lowest], mel[-1], bands + 2)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.clip(np.minimum((mel - low) / (middle - low), (high - mel) / (high - middle)), 0, None)
    empty = triangles.sum(axis=1) == 0
    triangles[empty, np.abs(mel - middle).argmin(axis=1)[empty]] = 1
    shares: NDArray[np.float64] = triangles / triangles.sum(axis=1, keepdims=True)
    shares.flags.writeable = False
    return shares
