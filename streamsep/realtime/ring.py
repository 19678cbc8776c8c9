"""A ring of samples between a writer and a reader that run at their own pace.

The hand-over for *every sample*, in order. One writer and one reader, which may be two threads: the writer alone
moves `_written`, the reader alone moves `_read`, both only ever grow, and neither waits for the other.
"""

import numpy as np

from streamsep.arrays import Array
from streamsep.realtime.contract import audio_thread


class Ring:
    """(lanes, capacity) samples, float64, first in first out."""

    def __init__(self, lanes: int, capacity: int) -> None:
        self._capacity = capacity
        self._samples = np.zeros((lanes, capacity))
        self._written = 0
        self._read = 0

    @property
    def filled(self) -> int:
        """Samples that wait to be read: at least this many for the reader, at most this many for the writer."""
        return self._written - self._read

    @audio_thread
    def write(self, samples: Array) -> bool:
        """Append (lanes, samples), of any float type; False, and nothing done, if there is no room. The writer's."""
        count = samples.shape[1]
        if count > self._capacity - self.filled:
            return False
        at = self._written % self._capacity
        first = min(count, self._capacity - at)
        self._samples[:, at : at + first] = samples[:, :first]
        if first < count:
            self._samples[:, : count - first] = samples[:, first:]
        self._written += count
        return True

    @audio_thread
    def read(self, out: Array) -> bool:
        """Fill `out` (lanes, samples), of any float type; False, and nothing done, if too few wait. The reader's."""
        count = out.shape[1]
        if count > self.filled:
            return False
        at = self._read % self._capacity
        first = min(count, self._capacity - at)
        out[:, :first] = self._samples[:, at : at + first]
        if first < count:
            out[:, first:] = self._samples[:, : count - first]
        self._read += count
        return True

    @audio_thread
    def skip(self, count: int) -> int:
        """Leave out the next `count` samples, or all that wait: how many. The reader's."""
        count = min(count, self.filled)
        self._read += count
        return count

    @audio_thread
    def reset(self, silence: int) -> None:
        """Start over with this many samples of silence waiting. Nobody else may be using the ring."""
        self._samples[:] = 0
        self._read = 0
        self._written = silence
