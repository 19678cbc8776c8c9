"""From masks to minimum-phase filters, and the filter that the sound passes through, sample by sample.

Of all filters with the magnitude of a mask, the minimum-phase one is the least late. Its phase follows from the
magnitude: fold the cepstrum of the log magnitude onto the positive times, and take the exponential of its spectrum
(Oppenheim & Schafer, Discrete-Time Signal Processing, chapter on cepstrum analysis). A mask of ones has the logarithm
zero, and its filter is the unit impulse, exactly.

The constants were chosen on validation mixtures of speech in noise, by delay, SI-SDR, ESTOI and PESQ.
"""

import math

import numpy as np

from streamsep.arrays import Array, Curve
from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import highest
from streamsep.realtime.line import Line
from streamsep.realtime.stft import FrontEnd

FEWEST_TAPS, MOST_TAPS = 64, 256
FLOOR = 10 ** (-40 / 20)  # under the loudest bin of a mask: a hole that is deeper only bends the phase
LEAST = 1e-6  # of the loudest bin, -120 dB: what is below is as good as nothing
OVERSIZE = 4  # transform over taps: what folds back in time is 98 dB down, twice the taps leave 35 dB
EDGE, TOP = 0.875, 0.75  # of the models' Nyquist frequency: from there on their masks mean little at other rates, and
# the mean over the band below, down to TOP, goes on instead


def to_cepstrum(front: FrontEnd, rate: int, taps: int) -> Array:
    """(taps, bins): what makes a folded cepstrum, at `rate` Hz, of a log mask at the models' bins. Raises ConfigError
    where these are so few that none lies between TOP and EDGE.

    Between the bins the log mask is a straight line; at rates above the models', its mean from TOP to EDGE goes on
    above EDGE. The cepstrum fades out over its length, which smooths the log mask to what so many taps can follow."""
    nyquist = front.sample_rate / 2
    at = np.linspace(0, nyquist, front.bins)  # Hz, of the bins
    size = _power_of_two(max(4 * rate / at[1], 4 * taps))  # of the filter's own grid: four points a bin
    grid = np.arange(size // 2 + 1) * rate / size
    basis = np.eye(front.bins)
    if rate > front.sample_rate:
        above, top = at >= EDGE * nyquist, (at >= TOP * nyquist) & (at < EDGE * nyquist)
        if not top.any():
            raise ConfigError(f"window: {front.window} samples are too few for the minimum-phase path at {rate} Hz")
        basis[above] = top / top.sum()
    columns = [np.fft.irfft(np.interp(grid, at, column))[:taps] for column in basis.T]
    fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(taps) / taps)
    folded = np.stack(columns, axis=1) * (2 * fade)[:, None]
    folded[0] /= 2
    return folded


class MinimumPhase:
    """Masks to minimum-phase filters, some rows at once."""

    def __init__(self, rows: int, front: FrontEnd, rate: int, taps: int) -> None:
        """front: that of the masks. rate: of the filters, in Hz. Raises ConfigError for a number of taps that is not
        from FEWEST_TAPS to MOST_TAPS."""
        if not FEWEST_TAPS <= taps <= MOST_TAPS:
            raise ConfigError(f"taps: must be from {FEWEST_TAPS} to {MOST_TAPS}, got {taps}")
        size = _power_of_two(OVERSIZE * taps)
        self._to_cepstrum = to_cepstrum(front, rate, taps)
        self._log = np.zeros(front.bins)
        self._folded = np.zeros((rows, size))
        self._cepstra = self._folded[:, :taps]
        self._spectra = np.zeros((rows, size // 2 + 1), np.complex128)
        self._responses = np.zeros((rows, size))
        self._taps = np.zeros((rows, taps))

    @audio_thread
    def process(self, masks: Array) -> Array:
        """(rows, bins), none below 0 -> (rows, taps), newest sample first; overwritten by the next call."""
        log = self._log
        for mask, cepstrum in zip(masks, self._cepstra, strict=True):
            np.divide(mask, max(highest(mask), LEAST), out=log)
            np.maximum(log, FLOOR, out=log)
            np.log(log, out=log)
            np.vecdot(self._to_cepstrum, log, out=cepstrum)  # a matrix product might wake threads for it
        np.fft.rfft(self._folded, out=self._spectra)
        np.exp(self._spectra, out=self._spectra)
        np.fft.irfft(self._spectra, out=self._responses)
        for mask, response, taps in zip(masks, self._responses, self._taps, strict=True):
            np.multiply(response[: len(taps)], highest(mask), out=taps)
        return self._taps


class FadingFilter:
    """Some filters, each on every channel of a Line, that go over to others without a jump.

    A sample comes out of the old filter, a, or the new one, b, or in between, a + w * (b - a), by its place in the
    hop alone, and every sum has the same length: the same samples come out in blocks of any length."""

    def __init__(self, rows: int, channels: int, taps: int, longest: int) -> None:
        """longest: samples of the longest hop; half of it is the fade, because a mask is old enough when it comes."""
        fade = max(1, longest // 2)
        self._fade = fade
        self._curve: Curve = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / (fade + 1))
        self._old = np.zeros((rows, taps))  # oldest sample first, as in the line
        self._new = np.zeros((rows, taps))
        self._lanes = rows, channels
        self._from_old = np.zeros(fade)
        self._out = np.zeros(rows * channels * longest)
        self._at = fade

    @property
    def taps(self) -> Array:
        """(rows, taps), newest sample first: those that are gone over to, or already in use."""
        return self._new[:, ::-1]

    @audio_thread
    def aim(self, taps: Array) -> None:
        """(rows, taps), newest sample first: go over to these, from the next sample on."""
        self._old[:] = self._new
        self._new[:] = taps[:, ::-1]
        self._at = 0

    @audio_thread
    def process(self, line: Line, count: int) -> Array:
        """The newest `count` values of the line, at most to the end of the hop -> (rows, channels, count).

        The returned array is overwritten by the next call."""
        rows, channels = self._lanes
        out = self._out[: rows * channels * count].reshape(rows, channels, count)
        begin = self._at
        self._at = end = min(begin + count, self._fade)
        runs, fading = line.runs(count), end - begin
        for row in range(rows):
            for channel in range(channels):
                heard = out[row, channel]
                np.vecdot(runs[channel], self._new[row], out=heard)
                if fading:
                    old, heard = self._from_old[:fading], heard[:fading]
                    np.vecdot(runs[channel, :fading], self._old[row], out=old)
                    np.subtract(heard, old, out=heard)
                    np.multiply(heard, self._curve[begin:end], out=heard)
                    np.add(old, heard, out=heard)
        return out

    @audio_thread
    def be(self, taps: Array) -> None:
        """(rows, taps), newest sample first: these, without a fade."""
        self._new[:] = taps[:, ::-1]
        self._at = self._fade


def _power_of_two(least: float) -> int:
    """The smallest that is not below `least`."""
    return 1 << (math.ceil(least) - 1).bit_length()
