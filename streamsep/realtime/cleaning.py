"""What comes in is made into sound: numbers, and none of them louder than any sound."""

import numpy as np

from streamsep.arrays import Block, Samples
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import within

LOUDEST = 1e4  # +80 dBFS: what is louder is no sound, and would overflow inside a float32 model


class Cleaner:
    """Of at most `longest` samples of every channel at a time."""

    def __init__(self, channels: int, longest: int) -> None:
        self._finite = np.ones((channels, longest), np.bool_)

    @audio_thread
    def process(self, new: Block, samples: Samples) -> bool:
        """(channels, samples) into `samples`, the same: silence for what is no number. Whether all were numbers.

        They are looked at before they are copied: a signaling NaN would complain when it becomes a float64."""
        finite = self._finite[:, : samples.shape[1]]
        np.isfinite(new, out=finite)
        clean = bool(np.logical_and.reduce(finite, axis=None))
        if clean:
            samples[:] = new
        else:
            samples.fill(0)
            np.copyto(samples, new, where=finite)
        if not within(samples, LOUDEST):
            np.minimum(samples, LOUDEST, out=samples)
            np.maximum(samples, -LOUDEST, out=samples)
        return clean
