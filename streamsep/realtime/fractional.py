"""Sound read at very nearly its own rate: between the samples, at a ratio that may change from call to call.

Each output is 32 inputs weighted by a Kaiser-windowed sinc around the moment that it is for, 16 samples before the
newest of them. The weights are tabulated for 512 moments between two samples and interpolated linearly between
those. In units of the Nyquist frequency it is flat to 0.83 (within 0.01 dB; 20 kHz at 48 kHz), 0.3 dB down at 0.9;
for a sine in that band everything that does not belong (images, and what the table leaves) is at least 79 dB down.
"""

import numpy as np

from streamsep.arrays import Curve, Samples
from streamsep.realtime.contract import audio_thread

TAPS = 32
PHASES = 512
BETA = 8.0  # shape of the Kaiser window
LONGEST = 64  # outputs of a call
FASTEST = 1.01  # ratio of a call


class Fractional:
    """(lanes, samples) -> (lanes, samples), in calls of up to 64 outputs; ratio: inputs an output, 0.99 to 1.01.

    `room` says how many inputs the next outputs need and where to put them, then `process` makes the outputs. What
    follows does not depend on how the outputs are divided into calls, but for rounding.
    """

    def __init__(self, lanes: int) -> None:
        self.offset = 0.0  # of the next output, in samples after the middle of the oldest window that is left: [0, 1)
        self._table = weights()
        self._line = np.zeros((lanes, TAPS + int(LONGEST * FASTEST) + 1))
        self._past = np.zeros((lanes, TAPS))
        self._count_up = np.arange(LONGEST, dtype=float)
        self._reach = np.tile(np.arange(TAPS, dtype=np.intp), (LONGEST, 1))
        self._moments, self._whole = np.zeros(LONGEST), np.zeros(LONGEST)
        self._first, self._phase = np.zeros(LONGEST, np.intp), np.zeros(LONGEST, np.intp)
        self._columns = np.zeros((LONGEST, TAPS), np.intp)
        self._rows, self._next_rows = np.zeros((LONGEST, TAPS)), np.zeros((LONGEST, TAPS))
        self._windows = np.zeros((lanes, LONGEST, TAPS))
        self._out, self._next_out = np.zeros((lanes, LONGEST)), np.zeros((lanes, LONGEST))

    @audio_thread
    def begin(self, offset: float) -> Samples:
        """Start over, this far ([0, 1)) after the middle of the first window: (lanes, 32), to be filled with it."""
        self.offset = offset
        return self._line[:, :TAPS]

    @audio_thread
    def room(self, count: int, ratio: float) -> Samples:
        """(lanes, inputs that the next `count` outputs need), to be filled with them."""
        return self._line[:, TAPS : TAPS + int(self.offset + count * ratio)]

    @audio_thread
    def process(self, count: int, ratio: float) -> Samples:
        """-> (lanes, count), from the room that was filled. The returned array is overwritten by the next call."""
        moments, whole, phase = self._moments, self._whole, self._phase
        np.multiply(self._count_up, ratio, out=moments)
        np.add(moments, self.offset, out=moments)
        np.floor(moments, out=whole)
        np.copyto(self._first, whole, casting="unsafe")
        np.subtract(moments, whole, out=moments)
        np.multiply(moments, PHASES, out=moments)
        np.floor(moments, out=whole)
        np.copyto(phase, whole, casting="unsafe")
        np.subtract(moments, whole, out=moments)  # how far it is from one row of the table to the next
        self._columns[:] = self._first[:, np.newaxis]
        np.add(self._columns, self._reach, out=self._columns)
        np.take(self._line, self._columns, axis=1, out=self._windows, mode="clip")
        np.take(self._table, phase, axis=0, out=self._rows, mode="clip")
        np.add(phase, 1, out=phase)
        np.take(self._table, phase, axis=0, out=self._next_rows, mode="clip")
        out, after = self._out, self._next_out
        np.vecdot(self._windows, self._rows, out=out)
        np.vecdot(self._windows, self._next_rows, out=after)
        np.subtract(after, out, out=after)
        np.multiply(after, moments, out=after)
        np.add(out, after, out=out)
        end = self.offset + count * ratio
        used = int(end)
        self.offset = end - used
        self._past[:] = self._line[:, used : used + TAPS]
        self._line[:, :TAPS] = self._past
        return out[:, :count]


def weights() -> Curve:
    """(513, 32): row p is for a moment p / 512 of a sample after the 16th of 32 inputs; every row adds up to 1."""
    distance = np.arange(TAPS) - TAPS / 2 + 1 - np.arange(PHASES + 1)[:, np.newaxis] / PHASES
    taper = np.i0(BETA * np.sqrt(1 - (distance / (TAPS / 2)) ** 2))
    rows: Curve = np.sinc(distance) * taper
    rows /= rows.sum(axis=1, keepdims=True)
    return rows
