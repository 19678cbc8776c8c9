"""The fade between two renderings of one mixture, in the mask domain, a step per hop.

The curve is an equal-gain raised cosine: two renderings of one mixture are correlated, and an equal-power fade would
swell by up to 3 dB in the middle. Blends are computed as a + w * (b - a), so that fading equals into equals changes
nothing.
"""

import numpy as np

from streamsep.arrays import Array
from streamsep.realtime.contract import audio_thread


def fade_hops(milliseconds: float, hop_s: float) -> int:
    """Hops of a fade of this length, at least one."""
    return max(1, round(milliseconds / 1000 / hop_s))


class Fade:
    """A position between 0 (the old) and 1 (the new) that moves one hop at a time, in either direction."""

    def __init__(self, hops: int) -> None:
        self._hops = hops
        # Python floats, made beforehand: indexing an array would make a new object every hop.
        self._curve = [float(0.5 - 0.5 * np.cos(np.pi * step / hops)) for step in range(hops + 1)]
        self._at = 0

    @property
    def weight(self) -> float:
        """Share of the new, exactly 0 and 1 at the ends."""
        return self._curve[self._at]

    @property
    def finished(self) -> bool:
        """Whether only the new is heard."""
        return self._at == self._hops

    @audio_thread
    def step(self, towards_new: bool = True) -> float:
        """Move one hop and return the weight."""
        if towards_new:
            self._at = min(self._at + 1, self._hops)
        else:
            self._at = max(self._at - 1, 0)
        return self._curve[self._at]

    @audio_thread
    def finish(self) -> float:
        """To the new alone, and return its weight."""
        self._at = self._hops
        return self.weight

    @audio_thread
    def restart(self, at_new: bool = False) -> None:
        """To one end at once: the old alone, or the new alone."""
        self._at = self._hops if at_new else 0


@audio_thread
def blend(old: Array, new: Array, weight: float, out: Array) -> None:
    """Fill out = old + weight * (new - old); all of one shape and type, and `out` neither of the other two."""
    np.subtract(new, old, out=out)
    np.multiply(out, weight, out=out)
    np.add(old, out, out=out)
