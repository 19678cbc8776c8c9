"""Separation by live clustering: centres in the embedding space that follow what the sources sound like now.

A mask head knows which source is which; clustering asks which bins belong together, and so it does for any number of
sources (Hershey et al. 2016). Here it happens while the sound comes in: soft k-means, one step a hop, from centres
that were found beforehand.
"""

import math

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Masks, Samples, Spectrum, State
from streamsep.realtime.bound_model import BoundGraph, copied, take_over
from streamsep.realtime.contract import audio_thread

# Chosen on the validation lists.
HARDNESS = 2.5  # of the masks; 0: all alike, infinite: the nearest centre takes all
FORGETTING_S = 0.5  # time constant of a centre that owns all of the sound; of half of it, twice the time
LOUD_DB = -10.0  # what a bin has above this, relative to the running mean power of a bin, moves a centre
SILENT_DB = -30.0  # but not in a hop whose mean power is this far below the running one,
SILENT_DBFS = -80.0  # nor in one that is no louder than this
LEVEL_S = 2.0  # time constant of the running mean

Tensor = NDArray[np.float32]


class Centres:
    """Centres that share out every bin of a hop among the sources, and then follow what they own.

    Masks are exp(-HARDNESS * squared distance to the centre) over their sum: the posterior of round Gaussians, alike
    in width and weight. A bin pulls the one centre that it is nearest to, weighted by posterior and loudness; so a
    centre that owns nothing stays where it is, however long, and no two can swap. In silence none moves; otherwise a
    centre that owns all goes hop / FORGETTING_S of the way to the mean of its bins, one that owns less, less."""

    def __init__(self, warm_start: Tensor, bins: int, hop_s: float) -> None:
        """warm_start: (sources, dims), where the centres are at first and after a reset."""
        sources, dims = warm_start.shape
        self._warm_start = np.array(warm_start, np.float32)
        self._centres = np.zeros((sources, dims), np.float32)
        self._level = np.zeros(2, np.float32)  # of the running mean: numerator, denominator
        self._rate = -math.expm1(-hop_s / FORGETTING_S)
        self._keep = math.exp(-hop_s / LEVEL_S)
        self._loud = 10 ** (LOUD_DB / 20)
        self._faint = 10 ** (SILENT_DB / 10)
        # Noise of power 1 has half a window of power in every bin (see `stft.analysis_taper`): the bins less 1.
        self._silent = 10 ** (SILENT_DBFS / 10) * (bins - 1)
        self._masks = np.zeros((sources, bins), np.float32)
        self._elsewhere = np.zeros((sources, bins), np.bool_)  # whether another centre is nearer
        self._nearest = np.zeros(bins, np.float32)
        self._total = np.zeros(bins, np.float32)
        self._weights = np.zeros(bins, np.float32)
        self._pulls = np.zeros((sources, bins), np.float32)
        self._shares = np.zeros(sources, np.float32)
        self._towards = np.zeros((sources, dims), np.float32)
        self._part = np.zeros(dims, np.float32)
        self._sum = np.zeros((), np.float32)
        self.reset()

    @audio_thread
    def process(self, embeddings: Tensor, magnitudes: Tensor) -> Masks:
        """(bins, dims) unit norm, (bins,) of an unscaled spectrum -> (sources, bins): masks by the centres so far.

        The returned array is overwritten by the next call."""
        self._share_out(embeddings)
        if self._weigh(magnitudes):
            self._follow(embeddings)
        return self._masks

    @audio_thread
    def _share_out(self, embeddings: Tensor) -> None:
        """Masks, and who is not nearest. |e - c|^2 = 1 - 2 (e.c - |c|^2 / 2), and the 1 is in all of them."""
        masks, nearest = self._masks, self._nearest
        np.dot(self._centres, embeddings.T, out=masks)
        for source in range(len(masks)):
            centre, mask = self._centres[source], masks[source]
            np.dot(centre, centre, out=self._sum)
            np.subtract(mask, float(self._sum) / 2, out=mask)
        np.maximum.reduce(masks, axis=0, out=nearest)
        for source in range(len(masks)):
            mask = masks[source]
            np.less(mask, nearest, out=self._elsewhere[source])
            np.subtract(mask, nearest, out=mask)  # at most 0, so that nothing overflows
        np.multiply(masks, 2 * HARDNESS, out=masks)
        np.exp(masks, out=masks)
        np.add.reduce(masks, axis=0, out=self._total)
        for source in range(len(masks)):
            np.divide(masks[source], self._total, out=masks[source])

    @audio_thread
    def _weigh(self, magnitudes: Tensor) -> bool:
        """How loud every bin is, all together 1. False in silence."""
        level, weights = self._level, self._weights
        np.dot(magnitudes, magnitudes, out=self._sum)
        np.multiply(level, self._keep, out=level)
        power = float(self._sum) / len(magnitudes)
        level[0] += power
        level[1] += 1
        mean = float(level[0]) / float(level[1])
        if power <= max(self._silent, self._faint * mean):
            return False
        np.subtract(magnitudes, self._loud * mean**0.5, out=weights)
        np.maximum(weights, 0, out=weights)
        np.add.reduce(weights, out=self._sum)
        total = float(self._sum)
        if total == 0:
            return False
        np.divide(weights, total, out=weights)
        return True

    @audio_thread
    def _follow(self, embeddings: Tensor) -> None:
        """Every centre a little way towards the mean of the loud bins that are its own."""
        for source in range(len(self._pulls)):
            pull = self._pulls[source]
            np.multiply(self._masks[source], self._weights, out=pull)
            np.copyto(pull, 0.0, where=self._elsewhere[source])
        np.multiply(self._pulls, self._rate, out=self._pulls)
        np.add.reduce(self._pulls, axis=1, out=self._shares)
        np.dot(self._pulls, embeddings, out=self._towards)
        for source in range(len(self._pulls)):
            centre = self._centres[source]
            np.multiply(centre, float(self._shares[source]), out=self._part)
            np.subtract(self._towards[source], self._part, out=self._part)
            np.add(centre, self._part, out=centre)

    @audio_thread
    def reset(self) -> None:
        """Back to the warm start."""
        self._centres[:] = self._warm_start
        self._level.fill(0)

    def memory(self) -> State:
        """The arrays themselves that hold all it remembers, by name; the dot keeps them apart from a graph's."""
        return {"clusters.centres": self._centres, "clusters.level": self._level}


class ClusteredSeparator:
    """A separator (see `contract.Separator`) around a look-back graph, run hop by hop, and its centres."""

    def __init__(self, sources: tuple[str, ...], look_ahead: int, graph: BoundGraph, centres: Centres) -> None:
        """graph: gives embeddings (bins, dims), `look_ahead` hops late; centres: one a source."""
        self.sources = sources
        self.look_ahead = look_ahead
        self.bins = graph.bins
        self._graph = graph
        self._centres = centres
        self._magnitudes = np.zeros((look_ahead + 1, graph.bins), np.float32)  # oldest first

    @audio_thread
    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        """(channels, bins), unused -> (sources, bins): masks of the mono downmix, overwritten by the next call."""
        embeddings = self._graph.run(spectrum)
        magnitudes = self._magnitudes
        for older in range(self.look_ahead):
            magnitudes[older] = magnitudes[older + 1]
        np.abs(self._graph.spectrum, out=magnitudes[-1])
        return self._centres.process(embeddings, magnitudes[0])

    @audio_thread
    def reset(self) -> None:
        """The next hop is the first one; the centres are where they started."""
        self._graph.reset()
        self._centres.reset()
        self._magnitudes.fill(0)

    def state(self) -> State:
        """A copy of the state before the next hop, by name: the graph's, and with "clusters." before it the rest."""
        return copied(self._memory())

    def set_state(self, state: State) -> None:
        """Take over a state from `state()`. Raises ModelError when a name or a shape is wrong."""
        take_over(state, self._memory())

    def _memory(self) -> State:
        return self._graph.memory() | self._centres.memory() | {"clusters.magnitudes": self._magnitudes[1:]}
