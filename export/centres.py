"""Where clustering live begins: the centres in a manifest, found on training mixtures.

In every mixture each source has a centre, the weighted mean of the embeddings of the bins that are truly its own. The
warm start is the mean of those over many mixtures. Where the slots have roles, slot by slot: k-means from there on
moves the centres away from the roles and was no better on the validation lists. Where the slots are alike, a talker
of one mixture is none of the next, and a mean says something only in the order that brings the centres of all
mixtures closest together; it was better than the centres of the most typical mixture, and than k-means over all.
There may then also be more sources than the model was trained to separate.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from export.augment import rms
from export.corpus import RATE
from export.mixtures import Mixer
from streamsep.evaluation.clustering import Positions, loud, means, squared_distances
from streamsep.models.loader import Batch
from streamsep.models.subject import hops_of

SECONDS = 3.0  # of a mixture
SETTLED_S = 0.5  # by then a recurrent network has found its feet
MIXTURES = 100
MORE = 3  # sources that alike ones get centres for too
ROUNDS = 20  # of finding the order; it takes three or four
DECIMALS = 4

Sources = NDArray[np.float32]  # (sources, samples)
WarmStarts = dict[int, tuple[tuple[float, ...], ...]]


def warm_starts(look_back: Batch, mixer: Mixer, seed: int = 0) -> WarmStarts:
    """What goes into a manifest as `centres`: for the model's own number of sources and, of alike ones, for three."""
    counts = {len(look_back.manifest.sources)} | ({MORE} if mixer.symmetric else set())
    found = {count: fit(look_back, examples(mixer, count, seed), mixer.symmetric) for count in sorted(counts)}
    return {
        count: tuple(tuple(round(float(part), DECIMALS) for part in centre) for centre in centres)
        for count, centres in found.items()
    }


def fit(look_back: Batch, mixtures: Iterable[Sources], alike: bool) -> Positions:
    """(sources, dims): the mean over the mixtures of the true owners' centres, each of norm 1 at most.

    alike: the sources of a mixture are in no particular order. Raises ValueError when there is no mixture in which
    every source has a loud bin."""
    each = [found for sources in mixtures if np.isfinite(found := owners_centres(look_back, sources)).all()]
    if not each:
        raise ValueError("centres: there is no mixture in which every source has a loud bin of its own")
    if not alike:
        return mean_of(each)
    mean = min(each, key=lambda one: sum(np.square(in_order(other, one) - one).sum() for other in each))
    for _ in range(ROUNDS):
        before, mean = mean, mean_of([in_order(one, mean) for one in each])
        if np.array_equal(before, mean):
            break
    return mean


def owners_centres(look_back: Batch, sources: Sources) -> Positions:
    """(sources, dims) of one mixture; nan for a source without a loud bin of its own."""
    front_end, late = look_back.manifest.front_end, look_back.manifest.look_ahead
    mixture = hops_of(front_end, sources.sum(0)).spectra
    parts = np.stack([np.abs(hops_of(front_end, source).spectra) for source in sources], -1)
    settled, end = round(SETTLED_S * RATE / front_end.hop), len(mixture) - late
    embeddings = look_back.run(mixture, look_back.start())[0][settled + late :]
    owners = np.eye(len(sources), dtype=np.float32)[parts[settled:end].argmax(-1)]
    weights = loud(np.abs(mixture[settled:end]))[..., None] * owners
    return means(embeddings.reshape(-1, embeddings.shape[-1]), weights.reshape(-1, len(sources)))


def mean_of(each: Sequence[Positions]) -> Positions:
    """(sources, dims), over the mixtures."""
    mean: Positions = np.mean(each, axis=0)
    return mean


def in_order(centres: Positions, wanted: Positions) -> Positions:
    """The centres in the order in which they are closest to those wanted, summed squares."""
    order = linear_sum_assignment(squared_distances(wanted, centres))[1]
    ordered: Positions = centres[order]
    return ordered


def examples(mixer: Mixer, count: int, seed: int) -> Iterator[Sources]:
    """Training mixtures of so many sources, each with sound in it; a third one is as loud as the first."""
    for number in range(MIXTURES):
        random = np.random.default_rng([seed, number])
        sources = np.zeros((0, round(SECONDS * RATE)), np.float32)
        while len(sources) < count:
            more = mixer.example(random, sources.shape[1])
            if not all(rms(source) > 0 for source in more):  # one in twenty has one source alone, or none
                continue
            if len(sources):
                more = more * np.float32(rms(sources[0]) / rms(more[0]))
            sources = np.concatenate([sources, more])
        yield sources[:count]
