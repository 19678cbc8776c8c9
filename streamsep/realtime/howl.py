"""The howling guard: when the microphone hears the loudspeaker, turn down before it hurts.

A loop whose gain is above 1 at some frequency gives a tone that grows by as many dB with every turn, keeps its
frequency, and ends at the limiter's ceiling. Hop by hop the guard looks at what is about to be heard, and suspects

- growth: the loudest tone rose straight, by about as many dB in each of three equal spans, its phase advanced evenly,
  and it stands out: far above what is beside it, above its harmonics and its own octave below;
- a tone that stands out at the limiter's ceiling and was much quieter within the last second;
- a sound at the ceiling most of which has been near one frequency for RINGING_S, without harmonics: modes that beat;
- a sound of any kind that has been at the ceiling for PINNED_S.

Those are criteria as howling detectors have them: a peak against its neighbours and its harmonics, its persistence,
how even its slope is (van Waterschoot & Moonen 2011, "Fifty years of acoustic feedback control"); the phase takes the
place of a finer frequency resolution. A note may meet them all, so a suspect is put on trial: the output is ducked.
What feeds on the output falls, and stays down, if the loop is no longer than 0.3 s; what is at the input goes on, is
let go after TRIAL_S, and is left alone until it fades, or at the ceiling for TRUSTED_S. After a howl the gain stays
down for a while and rises slowly, to a little below where it howled: that bound is set lower the more often it howls
in a row, and creeps up again over minutes.

A gain found in one hop is heard in the next: nothing is delayed, and any partition gives the same samples.
"""

import math

import numpy as np

from streamsep.arrays import Block
from streamsep.errors import ConfigError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import lowest, within
from streamsep.realtime.tones import HOP_S, WHOLE, Tones, power, rises

SPANS = (5, 14, 28)  # hops of a third of the rise: 60 ms of a fast one, 340 ms of a slow one
STEADY = 16  # hops over which the phase must advance evenly, or as many as a longer span has
EVEN = 0.995
TWICE = 2  # hops in a row that must look alike
QUIET = power(-40)  # no tone below is suspected
GREW = power(10)
RINGING_S, PINNED_S = 0.4, 3.0
RINGING, PINNED = math.ceil(RINGING_S / HOP_S), math.ceil(PINNED_S / HOP_S)  # hops
FALLEN, DOWN = power(-10), 12  # who falls so far, for so many hops, fed on the output
FADED = power(-12)
NOBODY = -9  # in place of a tone
TRIAL_S, TRUSTED_S, HOLD_S, LONGEST_HOLD_S, IN_A_ROW_S = 0.6, 10.0, 0.5, 2.0, 30.0
DUCK, LEAST_BOUND = 10 ** (-40 / 20), 10 ** (-30 / 20)
STEP = 10 ** (-3 / 20)  # from the gain that howled down to the bound, once for each howl in a row
RISING_DB_S, CREEPING_DB_S = 10.0, 0.2


class HowlGuard:
    """Ducks what howls; after the limiter. As long as nothing is suspected it changes nothing.

    Audio side: `process`. Any thread may read the rest.
    """

    howls: int  # how often it howled
    trials: int  # how often something was suspected: the howls, and what was let go again
    tone_hz: float  # of the last howl; 0 if that was no single tone
    gain: float  # at the end of the last hop, linear

    def __init__(self, rate: int, channels: int, ceiling_db: float = -1.0, start_db: float = 0.0) -> None:
        """Of `rate` Hz; ceiling_db: the limiter's. start_db, -40 to 0: the gain to begin with; it rises as after a
        howl, so that a loop is found out while it is weak. Raises ConfigError."""
        if not -40 <= start_db <= 0:
            raise ConfigError(f"start_db must be from -40 to 0, got {start_db}")
        self.howls = self.trials = 0
        self.tone_hz = 0.0
        self.gain = 10 ** (start_db / 20)
        self._tones = Tones(rate, channels)
        hop = self._tones.hop
        self._gathered = np.zeros((channels, hop))
        self._filled = 0
        curve = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, hop + 1) / hop)).astype(np.float32)
        self._curve = np.repeat(curve[:, None], channels, axis=1)
        self._gains = np.full((hop, channels), self.gain, np.float32)
        self._rising, self._creeping = (10 ** (speed * HOP_S / 20) for speed in (RISING_DB_S, CREEPING_DB_S))
        self._bound = 1.0  # of the gain
        self._pinned_from = 0.98 * 10 ** (ceiling_db / 20)
        # Hops at the ceiling, of any sound and of one that rings, less the others; no more than are suspicious, so
        # that what was loud for minutes is forgotten within seconds.
        self._pinned = self._ringing = 0
        self._suspect = WHOLE  # a tone, or the sound as a whole
        self._doubts = 0  # suspicious hops in a row
        self._tried = 0  # hops for which the output has been ducked
        self._guilty = self._at_the_ceiling = False
        self._down = 0  # hops in a row for which the suspect has fallen
        self._level_tried = self._whole_tried = 0.0
        self._gain_tried = 1.0
        self._cleared = NOBODY  # the tone that was tried last and is at the input, as long as it lasts
        self._level_cleared = 0.0
        self._trusted = 0  # hops for which a sound at the ceiling that was tried needs no other trial
        self._hold_s = 0.0
        self._in_a_row = 0
        self._since = 0  # hops since the last howl

    @audio_thread
    def process(self, block: Block) -> None:
        """(samples, channels), float32, finite: changed where it is."""
        done, count, hop = 0, len(block), self._tones.hop
        while done < count:
            filled = self._filled
            step = min(count - done, hop - filled)
            piece = block[done : done + step]
            self._gathered[:, filled : filled + step] = piece.T
            np.multiply(piece, self._gains[filled : filled + step], out=piece)
            done += step
            self._filled = filled + step
            if self._filled == hop:
                self._hop()

    @audio_thread
    def _hop(self) -> None:
        """Look at the hop that is complete, and decide on the gain of the next."""
        tones = self._tones
        tones.observe(self._gathered)
        below = within(self._gathered, self._pinned_from)
        self._pinned = max(0, self._pinned - 1) if below else min(PINNED + TWICE, self._pinned + 1)
        rings = not below and tones.rings(tones.loudest)
        self._ringing = min(RINGING + TWICE, self._ringing + 1) if rings else max(0, self._ringing - 1)
        self._since += 1
        if self._cleared != NOBODY and tones.level(self._cleared) < FADED * self._level_cleared:
            self._cleared = NOBODY
        self._trusted = 0 if tones.level(WHOLE) < FADED * self._whole_tried else max(0, self._trusted - 1)
        gain = self.gain * self._rising
        if self._tried:
            gain = self._try()
        else:
            self._doubts = self._doubts + 1 if self._suspicious() else 0
            if self._doubts == TWICE:
                self._accuse()
                gain = DUCK
        self._bound = min(1.0, self._bound * self._creeping)
        gain = min(gain, self._bound)
        np.multiply(self._curve, gain - self.gain, out=self._gains)
        np.add(self._gains, self.gain, out=self._gains)
        self.gain = gain
        self._filled = 0

    @audio_thread
    def _suspicious(self) -> bool:
        """Whether what is heard now may be howling; `_suspect` says what it is."""
        if not self._trusted and (self._ringing >= RINGING or self._pinned >= PINNED):
            self._suspect = WHOLE
            return True
        tones = self._tones
        tone = self._suspect = tones.loudest
        if tones.stayed < 3 or tones.level(tone) < QUIET or abs(tone - self._cleared) <= 2:
            return False
        if not tones.stands_out(tone):
            return False
        tones.look_back(tone)
        if self._pinned >= STEADY and not self._trusted:
            return bool(tones.past[-1] >= GREW * lowest(tones.past[:-STEADY])) and tones.even(STEADY) >= EVEN
        return any(rises(tones.past, span) and tones.even(max(span, STEADY)) >= EVEN for span in SPANS)

    @audio_thread
    def _accuse(self) -> None:
        """The trial begins."""
        self.trials += 1
        self._tried, self._doubts, self._down, self._guilty = 1, 0, 0, False
        self._at_the_ceiling = self._pinned > 0
        self._level_tried, self._whole_tried = self._tones.level(self._suspect), self._tones.level(WHOLE)
        self._gain_tried = self.gain

    @audio_thread
    def _try(self) -> float:
        """The gain of a hop of the trial: ducked, until it is known whether that made the suspect fall."""
        self._tried += 1
        ducked_s = self._tried * HOP_S
        if self._guilty:
            if ducked_s > self._hold_s:
                self._tried = 0
            return DUCK
        fell = self._tones.level(self._suspect) < FALLEN * self._level_tried
        if self._at_the_ceiling:  # nothing else can be there beside a howl, but after a note there comes another
            fell = fell and self._tones.level(WHOLE) < FALLEN * self._whole_tried
        self._down = self._down + 1 if fell else 0
        if self._down == DOWN:
            self._convict()
        elif ducked_s > TRIAL_S:
            self._acquit()
            return self._gain_tried
        return DUCK

    @audio_thread
    def _acquit(self) -> None:
        """It did not fall: it is at the input."""
        self._tried = 0
        if self._suspect != WHOLE:
            self._cleared, self._level_cleared = self._suspect, self._level_tried
        if self._at_the_ceiling:
            self._trusted = round(TRUSTED_S / HOP_S)

    @audio_thread
    def _convict(self) -> None:
        """It fell: it howls at the gain that was heard before the trial."""
        self._guilty = True
        self._in_a_row = self._in_a_row + 1 if self._since * HOP_S < IN_A_ROW_S else 1
        self._since = 0
        self._hold_s = min(HOLD_S * self._in_a_row, LONGEST_HOLD_S)
        self._bound = max(self._gain_tried * STEP**self._in_a_row, LEAST_BOUND)
        self.howls += 1
        self.tone_hz = self._suspect * self._tones.bin_hz
