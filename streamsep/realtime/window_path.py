"""From masks to what is heard, by windows: the masked spectra of all hops, overlapped and added, at the device's rate
again.

A spectrum waits until the masks that were made for it are there, is masked, synthesised over the short window and
brought up to the device's rate, where the high band is added; limited, it waits in a ring until the next block asks
for it.
"""

import numpy as np

from streamsep.arrays import Array, Samples, Spectrum
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.high_band import HighBand
from streamsep.realtime.limiter import Limiter
from streamsep.realtime.masking import apply, equal_shares
from streamsep.realtime.resample import HopSchedule, Upsampler
from streamsep.realtime.ring import Ring
from streamsep.realtime.stft import Analysis, FrontEnd, Synthesis


class WindowPath:
    """What is heard and, once they are asked for, every source: one lane for each channel of each.

    Audio side: everything but `reset`. `terms`: its part of the latency ledger, in device samples."""

    filter_ms = None  # all its latency is in the terms

    def __init__(
        self,
        front: FrontEnd,
        heard: FrontEnd,
        schedule: HopSchedule,
        channels: int,
        slots: int,
        look_ahead: int,
        limiter: Limiter,
        full_band: bool,
    ) -> None:
        """front: what the models see. heard: the same, or with a shorter synthesis window; the schedule is of its
        hops. look_ahead: steps of the models by which masks are later than their spectrum. limiter: of what is heard,
        at the device's rate; the last thing it passes. full_band: whether what the resamplers lose is heard: what
        is above the models' band or, at rates below theirs, the top of the device's."""
        hop, lengths = heard.hop, (heard.window, heard.synthesis_window, heard.hop)
        lanes, longest = slots * channels, schedule.longest
        look_ahead *= front.hop // hop
        # Another synthesis window needs another taper before it: the models see theirs, the listener hears this one.
        self._analysis = None if heard == front else Analysis(channels, *lengths)
        self._channels = channels
        self._past = np.zeros((look_ahead, channels, front.bins), np.complex128)
        self._past_clean = [True] * look_ahead
        self._past_at = 0
        self._delayed = np.zeros((channels, front.bins), np.complex128)
        self._full_synthesis = Synthesis(channels + lanes, *lengths)  # what is heard, then every source
        self.synthesis = self._full_synthesis.first(channels)
        self._source_spectra = self._full_synthesis.masked[channels:].reshape(slots, channels, front.bins)
        self._total = self._ones = np.ones(front.bins)
        self._dry_masks = equal_shares(slots, front.bins)
        self._masks, self._sources = self._dry_masks[0], 0

        late = heard.synthesis_window - hop + look_ahead * hop
        self._up: Upsampler | None = None
        self._source_up: Upsampler | None = None
        self._high: HighBand | None = None
        filter_ticks = 0
        if schedule.rate != schedule.model_rate:
            filter_ticks = 2 * schedule.filter_ticks
            extra = -(late * schedule.down + filter_ticks) % schedule.up  # so that the whole delay is whole samples
            filter_ticks += extra
            self._up = Upsampler(channels, schedule, extra)
            self._source_up = Upsampler(lanes, schedule, extra)
            if full_band:
                late_out = (late * schedule.down + filter_ticks) // schedule.up
                self._high = HighBand(channels, slots, front.bins, schedule, late, late_out, extra)
        self._limiter = limiter
        self._longest = longest
        self._ready = Ring(channels, 2 * longest)
        self._sources_ready = Ring(lanes, 2 * longest + limiter.latency)
        self._separating = False
        self.terms = {
            "gathering a hop": longest,
            "window": (heard.synthesis_window - hop) * schedule.down / schedule.up,
            "look-ahead": look_ahead * hop * schedule.down / schedule.up,
            "resampler": filter_ticks / schedule.up,
        }

    @audio_thread
    def begin_sources(self) -> None:
        """From now on the sources are made and read too."""
        self._separating = True
        self._sources_ready.reset(self._ready.filled + self._limiter.latency)

    @audio_thread
    def pass_on(self, samples: Samples, out: Array) -> None:
        """As many samples of what is heard, (channels, samples), as come in. They stay within a hop."""
        self._ready.read(out)

    @audio_thread
    def pass_on_sources(self, samples: Samples, out: Array) -> None:
        """The same of the sources, (slots * channels, samples)."""
        self._sources_ready.read(out)

    @audio_thread
    def take(self, total: Array, masks: Array, sources: int) -> None:
        """What to apply until the next step of the models: (bins,) to what is heard, (slots, bins) to the sources,
        of which there are `sources` now. The arrays stay the caller's."""
        self._total, self._masks, self._sources = total, masks, sources
        if self._high is not None:
            self._high.take(total, masks)

    @audio_thread
    def process(self, sound: Samples, samples: Samples, spectrum: Spectrum, clean: bool) -> None:
        """A hop is complete: (channels, its length) as the device gave it, (channels, hop) at the models' rate, and
        the newest spectrum that the models see, (channels, bins). A hop that was not clean is heard as it is."""
        if self._analysis is not None:
            spectrum = self._analysis.process(samples)
        if len(self._past):
            spectrum, clean = self._frame_of_masks(spectrum, clean)
        total, masks = (self._total, self._masks) if clean else (self._ones, self._dry_masks[self._sources])
        apply(spectrum, total, self.synthesis.masked)
        if self._separating:
            for slot, into in enumerate(self._source_spectra):
                apply(spectrum, masks[slot], into)
            together = self._full_synthesis.process()
            out, each = together[: self._channels], together[self._channels :]
        else:
            out = self.synthesis.process()
        if self._up is not None:
            out = self._up.process(out)
        if self._high is not None:
            self._high.process(sound, samples)
            self._high.add_heard(out)
        self._ready.write(self._limiter.process(out))
        if self._separating:
            if self._source_up is not None:
                each = self._source_up.process(each)
            if self._high is not None:
                self._high.add_sources(each)
            self._sources_ready.write(each)
        elif self._source_up is not None:
            self._source_up.skip()

    @audio_thread
    def _frame_of_masks(self, spectrum: Spectrum, clean: bool) -> tuple[Spectrum, bool]:
        """The newest frame, (channels, bins), and whether its hop was finite -> those of `look_ahead` hops ago."""
        at = self._past_at
        self._delayed[:] = self._past[at]
        self._past[at] = spectrum
        clean, self._past_clean[at] = self._past_clean[at], clean
        self._past_at = (at + 1) % len(self._past)
        return self._delayed, clean

    def reset(self) -> None:
        """As new."""
        for part in (self._analysis, self._full_synthesis, self._up, self._source_up, self._high):
            if part is not None:
                part.reset()
        self._past.fill(0)
        self._past_clean = [True] * len(self._past)
        self._past_at = 0
        self._separating = False
        self._ready.reset(self._longest)
