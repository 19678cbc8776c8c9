"""The newest values of some rows, always in one piece: what filters look back over."""

import numpy as np

from streamsep.arrays import Array
from streamsep.realtime.contract import audio_thread


class Line:
    """The newest values of some rows, with `past` older ones before them, always in one piece."""

    def __init__(self, rows: int, past: int, max_samples: int, rest: float = 0.0, run: int = 1) -> None:
        """max_samples: the most that come at once. rest: what the values are before the first. run: length of the
        pieces that `runs` gives."""
        self._past = past
        self._rest = rest
        self._run = run
        # The past twice, so that when it moves back to the start the two places do not overlap; and room for several
        # calls, so that it seldom moves.
        self._values = np.full((rows, 2 * past + 8 * max_samples + run), rest)
        self._runs = np.lib.stride_tricks.sliding_window_view(self._values, run, axis=1)
        self._end = past

    @audio_thread
    def extend(self, count: int) -> Array:
        """(rows, count): room for the next `count` values, at most max_samples; the caller fills it."""
        if self._end + count > self._values.shape[1]:
            for row in self._values:
                row[: self._past] = row[self._end - self._past : self._end]
            self._end = self._past
        self._end += count
        return self._values[:, self._end - count : self._end]

    @audio_thread
    def newest(self, count: int) -> Array:
        """(rows, count): the newest `count` values; at most `past` more than there came last."""
        return self._values[:, self._end - count : self._end]

    @audio_thread
    def runs(self, count: int) -> Array:
        """(rows, count, run): for each of the newest `count` values, it and those before it; past >= run - 1."""
        first = self._end - count - (self._run - 1)
        return self._runs[:, first : first + count]

    @audio_thread
    def reset(self) -> None:
        """All values are at rest."""
        self._values[:] = self._rest
        self._end = self._past
