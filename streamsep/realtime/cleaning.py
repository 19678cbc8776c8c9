"""What comes in is made into sound: numbers, and none of them louder than any sound."""

import numpy as np

from streamsep.arrays import Samples
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import within

LOUDEST = 1e4  # +80 dBFS: what is louder is no sound, and would overflow inside a float32 model


class Cleaner:
    """Of at most `longest` samples of every channel at a time."""

    def __init__(self, channels: int, longest: int) -> None:
        self._finite = np.ones((channels, longest), np.bool_)

    @audio_thread
    def process(self, samples: Samples) -> bool:
        """(channels, samples), in place: silence for what is no number. Whether all of them were numbers."""
        if within(samples, LOUDEST):  # NaN never is
            return True
        finite = self._finite[:, : samples.shape[1]]
        np.isfinite(samples, out=finite)
        clean = bool(finite.all())
        if not clean:
            np.logical_not(finite, out=finite)
            np.copyto(samples, 0.0, where=finite)
        np.minimum(samples, LOUDEST, out=samples)
        np.maximum(samples, -LOUDEST, out=samples)
        return clean
