"""From masks to what is heard, by windows: the masked spectra of all hops, overlapped and added, at the device's rate
again.

A spectrum waits until the masks that were made for it are there, is masked, synthesised over the short window,
brought up to the device's rate and limited; rings hold what is ready until the next block asks for it.
"""

import numpy as np

from streamsep.arrays import Array, Masks, Samples, Spectrum
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import Limiter
from streamsep.realtime.masking import apply, equal_shares
from streamsep.realtime.resample import HopSchedule, Upsampler
from streamsep.realtime.ring import Ring
from streamsep.realtime.stft import FrontEnd, Synthesis


class WindowPath:
    """What is heard and, once they are asked for, every source: one lane for each channel of each.

    Audio side: everything but `reset`. `terms`: its part of the latency ledger, in device samples."""

    filter_ms = None  # all its latency is in the terms

    def __init__(
        self, front: FrontEnd, schedule: HopSchedule, channels: int, slots: int, look_ahead: int, limiter: Limiter
    ) -> None:
        """look_ahead: hops by which masks are later than their spectrum. limiter: of what is heard, at the device's
        rate; the last thing it passes."""
        hop, lengths = front.hop, (front.window, front.synthesis_window, front.hop)
        lanes, longest = slots * channels, schedule.longest
        self._channels = channels
        self._past = np.zeros((look_ahead, channels, front.bins), np.complex128)
        self._past_clean = [True] * look_ahead
        self._past_at = 0
        self._delayed = np.zeros((channels, front.bins), np.complex128)
        self._full_synthesis = Synthesis(channels + lanes, *lengths)  # what is heard, then every source
        self.synthesis = self._full_synthesis.first(channels)
        self._source_spectra = self._full_synthesis.masked[channels:].reshape(slots, channels, front.bins)
        self._ones = np.ones(front.bins)
        self._dry_masks = equal_shares(slots, front.bins)

        ticks = (front.synthesis_window - hop + look_ahead * hop) * schedule.down
        self._up: Upsampler | None = None
        self._source_up: Upsampler | None = None
        filter_ticks = 0
        if schedule.rate != schedule.model_rate:
            filter_ticks = 2 * schedule.filter_ticks
            extra = -(ticks + filter_ticks) % schedule.up  # so that the whole delay is whole samples
            filter_ticks += extra
            self._up = Upsampler(channels, schedule, extra)
            self._source_up = Upsampler(lanes, schedule, extra)
        self._limiter = limiter
        self._longest = longest
        self._ready = Ring(channels, 2 * longest)
        self._sources_ready = Ring(lanes, 2 * longest + limiter.latency)
        self._separating = False
        self.terms = {
            "gathering a hop": longest,
            "window": (front.synthesis_window - hop) * schedule.down / schedule.up,
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
    def process(self, spectrum: Spectrum, total: Array, masks: Masks, sources: int, clean: bool) -> None:
        """A hop is complete: (channels, bins); (bins,) and (slots, bins) of the frame `look_ahead` hops ago. sources:
        how many of the slots there are now. A hop that was not clean is heard as it is."""
        if len(self._past):
            spectrum, clean = self._frame_of_masks(spectrum, clean)
        if not clean:
            total, masks = self._ones, self._dry_masks[sources]
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
        self._ready.write(self._limiter.process(out))
        if self._separating:
            if self._source_up is not None:
                each = self._source_up.process(each)
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
        self._full_synthesis.reset()
        for up in (self._up, self._source_up):
            if up is not None:
                up.reset()
        self._past.fill(0)
        self._past_clean = [True] * len(self._past)
        self._past_at = 0
        self._separating = False
        self._ready.reset(self._longest)
