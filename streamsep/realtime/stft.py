"""Streaming Fourier analysis and synthesis with unequal windows: a long look, a short delay.

A frame looks back over `window` samples, but only its last `synthesis` samples are synthesised, so the delay is that
of the short window and the frequency resolution that of the long one (Mauler & Martin 2007). Lengths are in samples.
"""

import copy
from dataclasses import dataclass

import numpy as np

from streamsep.arrays import Curve, Samples, Spectrum
from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread


@dataclass(frozen=True)
class FrontEnd:
    """What every model of a bank must agree on; rate in Hz, lengths in samples at that rate."""

    sample_rate: int
    window: int
    synthesis_window: int
    hop: int

    @property
    def bins(self) -> int:
        """Bins of a frame."""
        return self.window // 2 + 1

    def shortened(self, synthesis_ms: float | None) -> "FrontEnd":
        """The same look, synthesised over a window of so many ms, and half of it, or the hop if that is shorter, as
        the hop. None: as it is.

        Raises ConfigError for a window that is longer than this one's, or whose hop does not divide this one's."""
        if synthesis_ms is None:
            return self
        own_ms = 1000 * self.synthesis_window / self.sample_rate
        if not 0 < synthesis_ms <= own_ms:
            raise ConfigError(
                f"synthesis_ms: at most {own_ms:g} ms, as the models were trained, got {synthesis_ms:g}"
            )
        if synthesis_ms == own_ms:
            return self
        synthesis = synthesis_ms * self.sample_rate / 1000
        hop = min(synthesis / 2, self.hop)
        if hop % 1 or self.hop % hop or synthesis % hop:
            raise ConfigError(
                f"synthesis_ms: half a window must divide the models' step of {self.hop} samples; "
                f"{synthesis_ms:g} ms are {synthesis:g} samples"
            )
        return FrontEnd(self.sample_rate, self.window, int(synthesis), int(hop))


def check_lengths(window: int, synthesis: int, hop: int) -> None:
    """Raise ConfigError unless `hop` divides both windows, and hop < synthesis <= window; all positive."""
    if min(window, synthesis, hop) < 1:
        raise ConfigError(f"window lengths must be at least 1 sample, got {window=}, {synthesis=}, {hop=}")
    if window % hop or synthesis % hop:
        raise ConfigError(f"hop must divide window and synthesis, got {window=}, {synthesis=}, {hop=}")
    if not hop < synthesis <= window:
        raise ConfigError(f"need hop < synthesis <= window, got {window=}, {synthesis=}, {hop=}")
    if synthesis % 2 or window % 2:
        raise ConfigError(f"window and synthesis must be even, got {window=}, {synthesis=}")


def analysis_taper(window: int, synthesis: int) -> Curve:
    """(window,), in [0, 1]: a root-Hann rise over all but the newest synthesis/2 samples, a root-Hann fall over
    those."""
    fall = synthesis // 2
    rise = window - fall
    return np.concatenate(
        [np.sin(0.5 * np.pi * np.arange(rise) / rise), np.cos(0.5 * np.pi * np.arange(fall) / fall)]
    )


def synthesis_taper(window: int, synthesis: int, hop: int) -> Curve:
    """(synthesis,): what makes analysis taper x synthesis taper a Hann window whose hops add up to one.

    >>> both = analysis_taper(512, 128)[-128:] * synthesis_taper(512, 128, 64)
    >>> bool(np.allclose(both[:64] + both[64:], 1.0))
    True
    """
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(synthesis) / synthesis)
    overlap = synthesis / (2 * hop)  # what the Hann windows add up to at this hop
    seen = analysis_taper(window, synthesis)[-synthesis:]
    return np.divide(hann / overlap, seen, out=np.zeros(synthesis), where=seen > 0)


class Analysis:
    """Short-time Fourier transform of every channel, one hop at a time."""

    def __init__(self, channels: int, window: int, synthesis: int, hop: int) -> None:
        check_lengths(window, synthesis, hop)
        self._tapers = np.tile(analysis_taper(window, synthesis), (channels, 1))  # in full: to broadcast is to buffer
        # Every sample is written twice, a window apart, so that the newest window is always one contiguous piece. For
        # each place of a hop in turn: where it is written, where again, and the window that it completes.
        twice = self._twice = np.zeros((channels, 2 * window))
        self._places = [
            (twice[:, at : at + hop], twice[:, at + window :][:, :hop], twice[:, at + hop :][:, :window])
            for at in range(0, window, hop)
        ]
        self._at = 0
        self._tapered = np.zeros((channels, window))
        self._spectrum = np.zeros((channels, window // 2 + 1), np.complex128)

    @audio_thread
    def process(self, samples: Samples) -> Spectrum:
        """(channels, hop) -> (channels, bins). The returned array is overwritten by the next call."""
        here, again, newest = self._places[self._at]
        self._at = (self._at + 1) % len(self._places)
        here[:] = samples
        again[:] = samples
        self._tapered[:] = newest
        np.multiply(self._tapered, self._tapers, out=self._tapered)
        return np.fft.rfft(self._tapered, out=self._spectrum)

    def reset(self) -> None:
        """Forget the past: the window is silent again."""
        self._twice[:] = 0
        self._at = 0


class Synthesis:
    """Inverse transform with overlap-add over the short window, one hop at a time; delay: synthesis - hop samples.

    `masked` is where the caller writes the spectrum to be heard, one lane for each channel of each thing
    synthesised."""

    def __init__(self, lanes: int, window: int, synthesis: int, hop: int) -> None:
        check_lengths(window, synthesis, hop)
        self._tapers = np.tile(synthesis_taper(window, synthesis, hop), (lanes, 1))  # in full, as in Analysis
        self.masked = np.zeros((lanes, window // 2 + 1), np.complex128)
        self._frame = np.zeros((lanes, window))
        self._sum = np.zeros((lanes, synthesis))  # of all frames so far, over the samples that the newest one reaches
        self._before = np.zeros((lanes, synthesis))  # the sum of the frames before it; silent in the last hop
        self._out = np.zeros((lanes, hop))
        self._name_parts()

    def first(self, lanes: int) -> "Synthesis":
        """The synthesis of the first lanes alone. Both share their memory: in a hop, call one or the other."""
        part = copy.copy(self)
        part._tapers, part.masked, part._frame = self._tapers[:lanes], self.masked[:lanes], self._frame[:lanes]
        part._sum, part._before, part._out = self._sum[:lanes], self._before[:lanes], self._out[:lanes]
        part._name_parts()
        return part

    def _name_parts(self) -> None:
        synthesis, hop = self._sum.shape[1], self._out.shape[1]
        self._newest = self._frame[:, -synthesis:]
        self._complete, self._unfinished = self._sum[:, :hop], self._sum[:, hop:]
        self._begun = self._before[:, :-hop]

    @audio_thread
    def process(self) -> Samples:
        """`masked` (lanes, bins) -> (lanes, hop). The returned array is overwritten by the next call."""
        np.fft.irfft(self.masked, out=self._frame)
        self._sum[:] = self._newest
        np.multiply(self._sum, self._tapers, out=self._sum)
        np.add(self._before, self._sum, out=self._sum)
        self._out[:] = self._complete
        self._begun[:] = self._unfinished
        return self._out

    def reset(self) -> None:
        """Forget the past: nothing is left to overlap."""
        self._begun[:] = 0
