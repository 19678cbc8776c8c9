"""Above what the models hear: the rest of the device's sound, weighted as the top of what they do hear. At rates
below the models' that is the end of the device's own band, which the filters between the rates cannot keep.

The high band is the device's sound, delayed, less what becomes of it when it goes down to the models' rate and up
again unmasked. So the two bands with a gain of 1 are a pure delay, however the filters between them look. Its gain is
the mean of a mask over its top bins, the nearest there is, and follows it with one time constant up and down: that is
linear, so the gains of sources whose masks add up to one do so as well.
"""

import math

import numpy as np

from streamsep.arrays import Array, Samples
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.resample import HopSchedule, Upsampler
from streamsep.realtime.ring import Ring

TOP = (0.8, 0.95)  # in units of the lower Nyquist frequency, of models or device: the bins whose mean is the gain
FOLLOW_MS = 4.0  # time constant of the gain, rising and falling


class HighBand:
    """One band for every channel, and a gain for what is heard and for each source."""

    def __init__(
        self, channels: int, slots: int, bins: int, schedule: HopSchedule, late: int, late_out: int, extra: int
    ) -> None:
        """late: samples at the models' rate from analysis to synthesis. late_out: device samples from there through
        both resamplers. extra: ticks, as of the upsampler of the low band."""
        self._up = Upsampler(channels, schedule, extra)
        self._late, self._late_out = late, late_out
        self._samples = Ring(channels, late + schedule.hop)
        self._sound = Ring(channels, late_out + schedule.longest)
        self._low = np.zeros((channels, schedule.hop))
        self._high = np.zeros((channels, schedule.longest))
        self._top = np.zeros(bins)
        highest = (bins - 1) * min(1.0, schedule.rate / schedule.model_rate)
        first, last = (round(edge * highest) for edge in TOP)
        self._top[first : last + 1] = 1 / (last + 1 - first)
        self._targets = np.ones(1 + slots)  # of what is heard, then of every source
        self._heard_target, self._source_targets = self._targets[0, ...], self._targets[1:]
        self._gains = np.ones(1 + slots)
        self._steps = np.zeros(1 + slots)
        self._share = 1 - math.exp(-1000 * schedule.hop / schedule.model_rate / FOLLOW_MS)
        self._rise = np.arange(schedule.longest) / schedule.longest
        self._curve = np.zeros(schedule.longest)
        self._term = np.zeros(schedule.longest)
        self._new = True
        self.reset()

    @audio_thread
    def take(self, total: Array, masks: Array) -> None:
        """The masks from now on: (bins,) of what is heard, (slots, bins) of every source."""
        np.vecdot(total, self._top, out=self._heard_target)
        np.dot(masks, self._top, out=self._source_targets)
        if self._new:
            self._gains[:] = self._targets

    @audio_thread
    def process(self, sound: Samples, samples: Samples) -> None:
        """A hop further: (channels, length of this hop) of the device, and what the models get of it, (channels,
        hop)."""
        self._new = False
        self._samples.write(samples)
        self._samples.read(self._low)
        low = self._up.process(self._low)
        count = sound.shape[1]
        high = self._high[:, :count]
        self._sound.write(sound)
        self._sound.read(high)
        for channel in range(len(high)):  # by rows, or NumPy buffers
            np.subtract(high[channel], low[channel], out=high[channel])
        np.add(self._gains, self._steps, out=self._gains)
        np.subtract(self._targets, self._gains, out=self._steps)
        np.multiply(self._steps, self._share, out=self._steps)

    @audio_thread
    def add_heard(self, out: Samples) -> None:
        """Add this hop of the band to what is heard of the low one, (channels, length of this hop)."""
        self._add(0, out)

    @audio_thread
    def add_sources(self, out: Samples) -> None:
        """The same for every source, (slots * channels, length of this hop)."""
        channels = len(self._high)
        for slot in range(len(self._source_targets)):
            self._add(1 + slot, out[slot * channels : (slot + 1) * channels])

    @audio_thread
    def _add(self, which: int, out: Samples) -> None:
        count = out.shape[1]
        curve, term = self._curve[:count], self._term[:count]
        np.multiply(self._rise[:count], self._steps[which], out=curve)
        np.add(curve, self._gains[which], out=curve)
        for channel in range(len(out)):
            np.multiply(self._high[channel, :count], curve, out=term)
            np.add(out[channel], term, out=out[channel])

    def reset(self) -> None:
        """As new: the gains begin where the masks before the first hop are."""
        self._up.reset()
        self._samples.reset(self._late)
        self._sound.reset(self._late_out)
        self._steps[:] = 0
        self._new = True
