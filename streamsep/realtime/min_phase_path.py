"""From masks to what is heard, without a window: every sample goes straight through a filter and out again.

The filter is made of the mask that is heard, at the device's rate, whenever a step of the models is complete; the
models run beside the sound, not in its way. Nothing is late but by the filter's own group delay, which is not one
number: it changes with the mask and the frequency, and is zero where the sound is dry.
"""

import numpy as np

from streamsep.arrays import Array, Samples, Spectrum
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.limiter import Limiter
from streamsep.realtime.line import Line
from streamsep.realtime.masking import equal_shares
from streamsep.realtime.min_phase import FadingFilter, MinimumPhase
from streamsep.realtime.stft import FrontEnd

# Of filters of so many ms: the mean group delay in ms, weighted by the energy of what comes out, and the delay that
# 95 % of that energy do not exceed. Speech in noise, the shipped model, noise at -18 dB: export/latency.csv.
MEASURED_MS = (
    (1.33, 0.03, 0.16),
    (2.67, 0.08, 0.34),
    (4.0, 0.11, 0.47),
    (8.0, 0.18, 0.69),
    (16.0, 0.26, 1.04),
)


def typical_delay_ms(length_ms: float) -> tuple[float, float]:
    """Mean and 95th percentile for a filter of this length, between those that were measured."""
    lengths_ms, mean_ms, p95_ms = zip(*MEASURED_MS, strict=True)
    mean, p95 = (float(np.interp(length_ms, lengths_ms, values)) for values in (mean_ms, p95_ms))
    return round(mean, 2), round(p95, 2)


class MinPhasePath:
    """What is heard and, once they are asked for, every source through a filter of its own mask.

    The phases of those filters differ, so the sources do not add up to the mixture. Masks that come late because a
    model looks ahead are applied late: the sound does not wait for them.

    Audio side: everything but `reset`. `terms`: its part of the latency ledger, in device samples: none. `filter_ms`:
    the filter's, which is not one number; see `Ledger`."""

    def __init__(
        self, front: FrontEnd, rate: int, longest: int, channels: int, slots: int, taps: int, limiter: Limiter
    ) -> None:
        """rate: the device's, in Hz. longest: samples of the longest hop at that rate. limiter: of what is heard; the
        last thing it passes. Raises ConfigError for a number of taps that cannot be."""
        self.filter = FadingFilter(1, channels, taps, longest)
        self.source_filter = FadingFilter(slots, channels, taps, longest)
        self.synthesis = MinimumPhase(1, front, rate, taps)  # what a hop costs here
        self._source_design = MinimumPhase(slots, front, rate, taps)
        self._line = Line(channels, taps - 1, longest, run=taps)
        self._limiter = limiter
        self._sources_late = Line(slots * channels, limiter.latency, longest)
        self._total = self._ones = np.ones(front.bins)
        self._shares = equal_shares(slots, front.bins)
        self._masks, self._sources = self._shares[0], 0
        self._separating = False
        self._new = True
        self.terms: dict[str, float] = {}
        self.filter_ms = typical_delay_ms(1000 * taps / rate)

    @audio_thread
    def begin_sources(self) -> None:
        """From now on the sources are made too."""
        self._separating = True
        self._sources_late.reset()
        self.source_filter.be(self._source_design.process(self._masks))

    @audio_thread
    def pass_on(self, samples: Samples, out: Array) -> None:
        """(channels, samples) -> the same, filtered and limited. They stay within a hop."""
        count = samples.shape[1]
        self._line.extend(count)[:] = samples
        out[:] = self._limiter.process(self.filter.process(self._line, count)[0])

    @audio_thread
    def pass_on_sources(self, samples: Samples, out: Array) -> None:
        """The same samples once more -> (slots * channels, samples), as late as what is heard."""
        count = samples.shape[1]
        lanes = self.source_filter.process(self._line, count).reshape(out.shape)
        late = self._limiter.latency
        if late:
            self._sources_late.extend(count)[:] = lanes
            lanes = self._sources_late.newest(count + late)[:, :count]
        out[:] = lanes

    @audio_thread
    def take(self, total: Array, masks: Array, sources: int) -> None:
        """What is to be applied until the next step: (bins,) to what is heard, (slots, bins) to the sources, of which
        there are `sources` now. The arrays stay the caller's."""
        self._total, self._masks, self._sources = total, masks, sources
        if self._new:
            self._new = False
            self.filter.be(self.synthesis.process(total[np.newaxis]))

    @audio_thread
    def process(self, device: Samples, samples: Samples, spectrum: Spectrum, clean: bool) -> None:
        """A hop is complete: go over to the filter of what was taken; or to the dry sound, if the hop was not clean,
        of which every source has an equal share."""
        total, masks = (self._total, self._masks) if clean else (self._ones, self._shares[self._sources])
        self.filter.aim(self.synthesis.process(total[np.newaxis]))
        if self._separating:
            self.source_filter.aim(self._source_design.process(masks))

    def reset(self) -> None:
        """As new: the first masks that are taken count at once."""
        self._line.reset()
        self._separating = False
        self._new = True
