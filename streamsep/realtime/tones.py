"""The tones in a sound, hop by hop: which is the loudest, how it came to be so, and whether it is by itself.

From hop to hop every bin of the spectrum turns: the newest value times the conjugate of the one before has the bin's
power for its magnitude, and for its angle how far the phase has advanced. The three bins of a tone turn alike, so
they are added; a bin without a tone in it turns at random.
"""

import math

import numpy as np

from streamsep.arrays import Array, Samples
from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import highest

HOP_S = 0.012
HOPS = 4  # of a window
LOWEST_HZ, HIGHEST_HZ = 100.0, 20_000.0  # of the tones that are looked at: what is heard
KEPT = 85  # hops of the past: a second
SILENT = 1e-30
WHOLE = 0  # in place of a bin: the sound as a whole


def power(db: float) -> float:
    """A ratio of powers."""
    return float(10 ** (db / 10))


ABOVE_BESIDE = power(12)  # what is 80 to 250 Hz away
ABOVE_KIN, RINGING_ABOVE_KIN = power(15), power(10)  # harmonics, and what it may be a harmonic of
OF_ALL, MOST_OF_ALL = power(-6), power(-3)  # shares of the sound
LEAST = power(3)  # of a rise in a span
UNEVEN = 2  # the greatest rise may have so many times the dB of the least


class Tones:
    """Levels are powers: 1 is a full-scale sine. A tone goes by the number of its bin."""

    def __init__(self, rate: int, channels: int) -> None:
        """Of `rate` Hz. Raises ConfigError for one that is too low to hear tones in."""
        self.hop = round(HOP_S * rate)  # samples
        window = HOPS * self.hop
        self.bin_hz = rate / window
        bins = min(math.ceil(HIGHEST_HZ / self.bin_hz), window // 2)
        self._lowest, self._highest = math.ceil(LOWEST_HZ / self.bin_hz), bins - 5
        if self._lowest >= self._highest:
            raise ConfigError(f"rate: too low to hear tones in, got {rate} Hz")
        # A Hann window; the three bins of a full-scale sine have a power of 1 together.
        taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
        self._taper = taper * (2 / taper.sum() / math.sqrt(1.5))
        self._sound = np.zeros((channels, window))
        self._tapered = np.zeros(window)
        self._spectrum = np.zeros(window // 2 + 1, np.complex128)
        self._before = np.zeros((channels, bins), np.complex128)
        self._term = np.zeros(bins, np.complex128)
        # The turns of KEPT hops, each row twice, KEPT rows apart, so that the newest are always in one piece.
        self._turns = np.zeros((2 * KEPT, bins), np.complex128)
        self._at = 0
        self._levels = np.zeros(bins)
        self._total = np.zeros(())
        self._near = np.zeros(())
        self._tone = np.zeros(KEPT, np.complex128)
        self._angles = np.zeros(KEPT, np.complex128)
        self._evenness = np.zeros((), np.complex128)
        self.past = np.zeros(KEPT)  # levels of the tone that was looked back at, the newest last
        self.loudest = self._lowest
        self.stayed = 0  # hops for which it has been that

    @audio_thread
    def observe(self, samples: Samples) -> None:
        """The next hop, (channels, hop)."""
        hop, turn = self.hop, self._turns[self._at]
        turn.fill(0)
        for fresh, sound, before in zip(samples, self._sound, self._before, strict=True):
            sound[:-hop] = sound[hop:]
            sound[-hop:] = fresh
            np.multiply(sound, self._taper, out=self._tapered)
            np.fft.rfft(self._tapered, out=self._spectrum)
            now = self._spectrum[: len(before)]
            np.conjugate(before, out=before)
            np.multiply(now, before, out=self._term)
            np.add(turn, self._term, out=turn)
            before[:] = now
        self._turns[self._at + KEPT] = turn
        self._at = (self._at + 1) % KEPT
        np.abs(turn, out=self._levels)
        np.add.reduce(self._levels, out=self._total)
        loudest = self._lowest + int(self._levels[self._lowest : self._highest].argmax())
        self.stayed = self.stayed + 1 if abs(loudest - self.loudest) <= 1 else 0
        self.loudest = loudest

    @audio_thread
    def level(self, tone: int) -> float:
        """Of a tone, or of the sound as a whole, in the newest hop."""
        if tone == WHOLE:
            return float(self._total)
        turn = self._turns[self._at + KEPT - 1]
        return float(abs(turn[tone - 1] + turn[tone] + turn[tone + 1]))

    @audio_thread
    def stands_out(self, tone: int) -> bool:
        """Whether it is by itself: nothing much beside it, no harmonics, not one of the harmonics of another."""
        if self.level(tone) < OF_ALL * self._total or not self._without_kin(tone, ABOVE_KIN):
            return False
        levels = self._levels
        beside = max(highest(levels[max(tone - 12, 0) : tone - 3]), highest(levels[tone + 4 : tone + 13]))
        return float(levels[tone]) >= ABOVE_BESIDE * beside

    @audio_thread
    def rings(self, tone: int) -> bool:
        """Whether most of the sound is near it, without harmonics: a mode of a loop, or some that are neighbours."""
        np.add.reduce(self._levels[max(tone - 12, 0) : tone + 13], out=self._near)
        return bool(self._near >= MOST_OF_ALL * self._total) and self._without_kin(tone, RINGING_ABOVE_KIN)

    @audio_thread
    def _without_kin(self, tone: int, above: float) -> bool:
        """Whether there is next to nothing at its harmonics and at its own octave below."""
        levels = self._levels
        peak = float(levels[tone])
        for kin in (tone // 2, 2 * tone, 3 * tone):
            if 4 <= kin < len(levels) - 2 and peak < above * highest(levels[kin - 2 : kin + 3]):
                return False
        return True

    @audio_thread
    def look_back(self, tone: int) -> None:
        """Its last second, for `past` and `even`."""
        turns = self._turns[self._at : self._at + KEPT]
        np.add(turns[:, tone - 1], turns[:, tone], out=self._tone)
        np.add(self._tone, turns[:, tone + 1], out=self._tone)
        np.abs(self._tone, out=self.past)
        np.add(self.past, SILENT, out=self.past)

    @audio_thread
    def even(self, hops: int) -> float:
        """How evenly the phase of what was looked back at has advanced: 1 for one frequency, near 0 for noise."""
        angles = self._angles[:hops]
        angles[:] = self.past[-hops:]
        np.divide(self._tone[-hops:], angles, out=angles)
        np.add.reduce(angles, out=self._evenness)
        return float(abs(self._evenness)) / hops


@audio_thread
def rises(levels: Array, span: int) -> bool:
    """Whether the newest of these powers, (hops,), was reached by a straight rise in dB over three spans of hops.

    >>> rises(power(3) ** np.arange(16.0), 5), rises(power(3) ** np.minimum(np.arange(16.0), 9), 5)
    (True, False)
    """
    newest, second, first, oldest = levels[-1], levels[-1 - span], levels[-1 - 2 * span], levels[-1 - 3 * span]
    steps = (newest / second, second / first, first / oldest)
    return bool(min(steps) >= LEAST and max(steps) <= min(steps) ** UNEVEN)
