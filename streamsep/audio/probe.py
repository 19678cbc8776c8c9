"""A sound that tells when it comes back: a maximum-length sequence, and the correlation that finds it."""

import math
from dataclasses import dataclass

import numpy as np

from streamsep.arrays import Array

LENGTH_S = 0.4  # of a probe, at most; the longer, the more noise may lie over it
EDGE_S = 0.01  # it rises and falls so long
TAPS = {  # feedback of shift registers that come by all their states but zero; any table of primitive polynomials
    9: (9, 5), 10: (10, 7), 11: (11, 9), 12: (12, 11, 10, 4), 13: (13, 12, 11, 8), 14: (14, 13, 12, 2), 15: (15, 14),
    16: (16, 15, 13, 4), 17: (17, 14),
}  # fmt: skip
CLEAR = 3.0  # a peak is believed that is so many times the greatest that noise would make


@dataclass(frozen=True)
class Echo:
    """Where a probe was found in a recording, and how clearly: 1 is noise, see CLEAR."""

    delay: int  # samples
    clarity: float

    @property
    def clear(self) -> bool:
        """Whether it can be believed."""
        return self.clarity >= CLEAR


def sequence(order: int) -> Array:
    """(2^order - 1,) of 1 and -1: a maximum-length sequence, whose circular autocorrelation is its length at 0 and -1
    everywhere else.

    >>> float(sequence(9).sum())
    -1.0
    """
    register = [1] * order
    length = 2**order - 1
    bits = np.empty(length)
    for index in range(length):
        bits[index] = register[-1]
        register = [sum(register[tap - 1] for tap in TAPS[order]) % 2, *register[:-1]]
    return 1 - 2 * bits


def make_probe(rate: int, level_dbfs: float) -> Array:
    """(samples,): a maximum-length sequence at this peak level, which is its loudness too; at most LENGTH_S long."""
    order = min(max(math.floor(math.log2(LENGTH_S * rate + 1)), min(TAPS)), max(TAPS))
    probe = 10 ** (level_dbfs / 20) * sequence(order)
    edge = 0.5 - 0.5 * np.cos(np.pi * np.arange(round(EDGE_S * rate)) / round(EDGE_S * rate))
    probe[: len(edge)] *= edge
    probe[-len(edge) :] *= edge[::-1]
    return probe


def find(probe: Array, recorded: Array) -> Echo:
    """Where in the recording the probe begins: the delay of the strongest correlation, of either sign.

    probe: (samples,); recorded: (more samples,). Clarity: that peak over the median of the correlation's magnitude,
    in units of what a median of noise is expected to be below its greatest value over so many delays."""
    delays = len(recorded) - len(probe) + 1
    size = 2 ** math.ceil(math.log2(len(recorded)))
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(probe, size))
    strength = np.abs(np.fft.irfft(spectrum, size)[:delays])
    delay = int(np.argmax(strength))
    noise = float(np.median(strength)) * math.sqrt(2 * math.log(max(delays, 2))) / 0.6745
    return Echo(delay, float(strength[delay]) / noise if noise else 0.0)
