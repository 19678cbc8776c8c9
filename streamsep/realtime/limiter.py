"""The last thing before the ears: a limiter that no finite sound gets past.

The path of a call: level (the largest magnitude of any channel, or of the curve between its samples) -> held over the
look-ahead -> exponential release -> gain -> smoothed over the look-ahead -> applied to the delayed sound -> clipped.
A sound that stays below the ceiling takes none of these steps: its delayed self comes out, to the bit.

Every step but the release does the same arithmetic for a sample wherever a call begins, and the release counts its
powers from a grid that is fixed in time: a sound comes out the same, to the bit, for every partition into calls.

Arithmetic goes by rows, or over arrays in one piece: over a part of several rows NumPy would allocate buffers.
"""

import math

import numpy as np

from streamsep.arrays import Array, Samples
from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.line import Line

TAPS = 16  # of the true-peak interpolator, a phase: 12, as in ITU-R BS.1770, may miss 0.4 dB of a hostile sound
PHASES = 4  # points a sample at which the curve is looked at
TAPER = 3.0  # Kaiser's beta: so that at worst 0.20 dB are missed, by linear programming (tests/test_limiter.py)
HELD = 4  # samples to either side of a true peak over which its gain is held: the neighbours that matter most to it
RAMP = 12  # samples of gain ramp that true peak needs: a much shorter one bends the sound into new peaks
ROUNDING = 1e-12  # relative: far above what the release may be off, far below a step of float32


def float_ceiling(ceiling_db: float) -> float:
    """The largest float32 not above `ceiling_db`, so that no sample is above it after rounding to float32 either."""
    exact = 10 ** (ceiling_db / 20)
    rounded = np.float32(exact)
    # Compared as floats: next to a float32, NumPy would round `exact` to one as well, and find them equal.
    return float(rounded) if float(rounded) <= exact else float(np.nextafter(rounded, np.float32(0)))


def interpolator() -> Array:
    """(PHASES, TAPS): from TAPS neighbours to the curve 0, 1/4, 1/2 and 3/4 of a sample after the middle one.

    The middle one is number TAPS/2 - 1. A sinc under a Kaiser taper, with unit gain at 0 Hz in each phase; phase 0 is
    the sample itself, exactly.
    """
    half = TAPS // 2
    distance = np.arange(TAPS) - (half - 1) - np.arange(PHASES)[:, None] / PHASES
    taper = np.i0(TAPER * np.sqrt(np.maximum(1 - (distance / half) ** 2, 0)))
    taps = np.where(distance == np.round(distance), distance == 0, np.sinc(distance) * taper)
    return np.asarray(taps / taps.sum(axis=1, keepdims=True))


class Release:
    """An envelope that rises at once and falls exponentially: e[n] = max(level[n], e[n - 1] * exp(-1 / time)).

    `time` is in samples. With the levels scaled up by exp(m / time) the recursion is a running maximum, no loop over
    the samples. m counts from a grid that is fixed in time, so a call may begin anywhere.
    """

    def __init__(self, time: float) -> None:
        cell = math.ceil(min(64 * time, 4096))  # exp(64) times any sound is a finite number
        self._up = np.exp(np.arange(cell) / time)
        self._down = 1 / self._up
        self._decay = math.exp(-cell / time)
        self._scaled = 0.0  # the running maximum; the envelope is this times down[at]
        self._at = 0

    @audio_thread
    def process(self, levels: Array, envelope: Array) -> None:
        """(n,) -> (n,), filled; within a relative ROUNDING of the exact values."""
        done, samples, cell = 0, levels.shape[0], self._up.shape[0]
        while done < samples:
            begin = self._at
            count = min(samples - done, cell - begin)
            piece = envelope[done : done + count]
            np.multiply(levels[done : done + count], self._up[begin : begin + count], out=piece)
            piece[0] = max(float(piece[0]), self._scaled)
            np.maximum.accumulate(piece, out=piece)
            self._scaled = float(piece[-1])
            np.multiply(piece, self._down[begin : begin + count], out=piece)
            self._at = begin + count
            if self._at == cell:
                self._at = 0
                self._scaled *= self._decay
            done += count

    @audio_thread
    def rest(self, count: int) -> None:
        """The envelope is 0, and `count` samples pass."""
        self._scaled = 0.0
        self._at = (self._at + count) % self._up.shape[0]

    def reset(self) -> None:
        """The envelope is 0, and the grid begins here."""
        self._scaled = 0.0
        self._at = 0


@audio_thread
def slide(combine: np.ufunc, values: Array, length: int, scratch: Array) -> Array:
    """(length - 1 + n,) -> (n,): combine every `length` neighbours, by doubling. Returns a part of `scratch`.

    scratch: (2, length - 1 + n or more). np.maximum gives the maximum of the neighbours. np.add gives a weighted sum:
    the last two windows, each a power of two long, overlap in the middle, where the weights are 2, else 1; all
    together they are `slide_weight(length)`, a power of two, so that a gain of 1 stays exactly 1.
    """
    into: Array = scratch[0]
    other: Array = scratch[1]
    width = 1
    while 2 * width <= length:
        count = values.shape[0] - width
        combine(values[width:], values[:count], out=into[:count])
        values, into, other = into[:count], other, into
        width *= 2
    rest = length - width
    count = values.shape[0] - rest
    combine(values[rest:], values[:count], out=into[:count])
    return into[:count]


def slide_weight(length: int) -> int:
    """The sum of the weights of `slide` with np.add.

    >>> slide(np.add, np.ones(7), 5, np.zeros((2, 7))).tolist(), slide_weight(5)
    ([8.0, 8.0, 8.0], 8)
    """
    return 1 << length.bit_length()


class Limiter:
    """The last thing before the ears: no sample above the ceiling, whatever comes in.

    One gain for all channels, so that the image stays where it is. Without look-ahead it falls at once; with it, on a
    ramp that arrives when the peak does. It recovers exponentially: by 8.7 dB in `release_ms`, once the peak is out.
    With `true_peak` the level is that of the curve between the samples, and a meter that interpolates by 4 with 20
    taps (scipy.signal.resample_poly) sees at most 0.3 dB more than the ceiling. Measured on hostile signals: 0.05 dB;
    the meter of ITU-R BS.1770 sees 0.40 dB. No interpolator satisfies every meter: a longer one finds more.
    """

    latency: int  # samples: the look-ahead, and with true peak half the interpolator
    limited: int  # how many calls came out with a gain below 1

    def __init__(
        self,
        channels: int,
        rate: int,
        max_samples: int,
        ceiling_db: float = -1.0,
        release_ms: float = 80.0,
        look_ahead_ms: float = 0.0,
        true_peak: bool = False,
    ) -> None:
        """With the rate in Hz, the most samples of one call, and the settings; raises ConfigError.

        ceiling_db in [-60, 0]; release_ms in [1, 10000], a time constant; look_ahead_ms in [0, 100], to the nearest
        sample, and with true peak at least HELD + RAMP samples.
        """
        if min(channels, rate, max_samples) < 1:
            raise ConfigError(f"the limiter needs at least 1 of each, got {channels=}, {rate=}, {max_samples=}")
        if not -60 <= ceiling_db <= 0:
            raise ConfigError(f"ceiling_db must be in [-60, 0], got {ceiling_db}")
        if not 1 <= release_ms <= 10_000:
            raise ConfigError(f"release_ms must be in [1, 10000], got {release_ms}")
        if not 0 <= look_ahead_ms <= 100:
            raise ConfigError(f"look_ahead_ms must be in [0, 100], got {look_ahead_ms}")
        look_ahead = round(look_ahead_ms * rate / 1000)
        if true_peak and look_ahead < HELD + RAMP:
            least = math.ceil((HELD + RAMP) / rate * 1e5) / 100
            raise ConfigError(f"true_peak at {rate} Hz needs look_ahead_ms of at least {least}, got {look_ahead_ms}")
        self.latency = look_ahead + (TAPS // 2 if true_peak else 0)  # a true peak is known half the taps later
        self.limited = 0
        held = HELD if true_peak else 0
        self._hold = look_ahead + 1 + held
        self._ramp = look_ahead + 1 - held
        self._true_peak = true_peak
        self._ceiling = float_ceiling(ceiling_db)
        self._least = self._ceiling * (1 + ROUNDING)  # of the envelope: a sound just at the ceiling passes untouched
        self._taps = interpolator()
        overshoot = float(np.abs(self._taps).sum(axis=1).max()) if true_peak else 1.0
        self._harmless = self._ceiling / overshoot  # no curve through samples up to here exceeds the ceiling
        self._idle = True  # neither a level above the ceiling nor a gain below 1 is remembered

        self._sound = Line(channels, self.latency, max_samples, run=TAPS)
        self._levels = Line(1, self._hold - 1, max_samples)
        self._gains = Line(1, self._ramp - 1, max_samples, rest=1.0)
        self._release = Release(release_ms * rate / 1000)
        self._level = np.zeros(max_samples)
        self._term = np.zeros(max_samples)
        self._envelope = np.zeros(max_samples)
        self._scratch = np.zeros((2, self._hold - 1 + max_samples))
        self._out = np.zeros(channels * max_samples)

    @audio_thread
    def process(self, samples: Samples) -> Samples:
        """(channels, n), n in [1, max_samples], finite, to 1e200 -> (channels, n), `latency` samples later.

        Returns `samples` themselves, untouched, or an array of the limiter's that the next call overwrites."""
        count = samples.shape[1]
        delayed = heard = samples
        if self.latency:
            self._sound.extend(count)[:] = samples
            delayed = self._sound.newest(count + self.latency)[:, :count]
        if self._true_peak:
            heard = self._sound.newest(count + TAPS - 1)
        if self._idle and within(heard, self._harmless):
            self._release.rest(count)
            return delayed
        level = self._measure(samples)
        if self._idle and highest(level) <= self._ceiling:
            self._release.rest(count)
            return delayed
        return self._apply(self._follow(level), delayed)

    @audio_thread
    def _measure(self, samples: Samples) -> Array:
        """(channels, n) -> (n,): the loudest channel's magnitude, or that of the curve TAPS/2 samples ago."""
        count = samples.shape[1]
        level, term = self._level[:count], self._term[:count]
        level[:] = 0
        if self._true_peak:
            for run in self._sound.runs(count):
                for taps in self._taps:
                    np.vecdot(run, taps, out=term)
                    np.abs(term, out=term)
                    np.maximum(level, term, out=level)
        else:
            for row in samples:
                np.abs(row, out=term)
                np.maximum(level, term, out=level)
        return level

    @audio_thread
    def _follow(self, level: Array) -> Array:
        """(n,) -> (n,), in (0, 1]: the gain of each sample that comes out."""
        count = level.shape[0]
        envelope = self._envelope[:count]
        self._levels.extend(count)[0] = level
        held = slide(np.maximum, self._levels.newest(count + self._hold - 1)[0], self._hold, self._scratch)
        self._release.process(held, envelope)
        below = float(envelope[-1]) < self._ceiling * (1 - ROUNDING)
        np.maximum(envelope, self._least, out=envelope)
        np.divide(self._least, envelope, out=self._gains.extend(count)[0])
        gains = self._gains.newest(count + self._ramp - 1)[0]
        # While idle, levels and gains are not written down: those in the lines are as harmless as those that passed.
        self._idle = below and (self._ramp == 1 or lowest(gains[count:]) == 1)
        gain = slide(np.add, gains, self._ramp, self._scratch)
        np.multiply(gain, 1 / slide_weight(self._ramp), out=gain)
        return gain

    @audio_thread
    def _apply(self, gain: Array, delayed: Samples) -> Samples:
        """(n,), (channels, n) -> (channels, n)"""
        out = self._out[: delayed.size].reshape(delayed.shape)
        for row, limited in zip(delayed, out, strict=True):
            np.multiply(row, gain, out=limited)
        np.minimum(out, self._ceiling, out=out)  # the gain is right but for rounding
        np.maximum(out, -self._ceiling, out=out)
        self.limited += lowest(gain) < 1
        return out

    def reset(self) -> None:
        """As new: nothing is remembered, nothing counted."""
        for line in (self._sound, self._levels, self._gains):
            line.reset()
        self._release.reset()
        self._idle = True
        self.limited = 0


@audio_thread
def within(samples: Samples, bound: float) -> bool:
    """Whether no sample of (channels, n) exceeds +-bound."""
    return all(-bound <= lowest(row) and highest(row) <= bound for row in samples)


@audio_thread
def highest(row: Array) -> float:
    """As row.max() of a row in one piece, but that allocates a kilobyte."""
    return float(row[row.argmax()])


@audio_thread
def lowest(row: Array) -> float:
    """As row.min() of a row in one piece, but that allocates a kilobyte."""
    return float(row[row.argmin()])
