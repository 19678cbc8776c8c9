"""How good the models are on fixed lists of mixtures, heard through the whole engine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Protocol

import numpy as np

from streamsep.arrays import Block
from streamsep.errors import ModelError
from streamsep.evaluation.intervals import Interval, clustered_mean
from streamsep.evaluation.lists import Mixture
from streamsep.evaluation.metrics import best_order, si_sdr_improvement_db
from streamsep.models.manifest import Manifest
from streamsep.realtime.ledger import Ledger


class Separated(Protocol):
    """What `streamsep.separate` returns, as far as it is measured here."""

    @property
    def sources(self) -> Mapping[str, Block]:
        """By name of the slot, in order, (samples,) each, aligned with the mixture."""
        ...

    @property
    def latency(self) -> Ledger:
        """The latency that was taken out again."""
        ...

    @property
    def manifest(self) -> Manifest:
        """Of the model that did it."""
        ...


Separate = Callable[[Block, str], Separated]  # mixture (samples,) at the lists' rate, domain


@dataclass(frozen=True)
class Score:
    """What a model made of one mixture."""

    mixture: str
    clips: tuple[str, ...]
    improvements_db: dict[str, float]  # SI-SDR improvement by name of the slot; nan: there was nothing to gain
    latency_ms: float


def measure(separate: Separate, mixtures: Iterable[Mixture], processes: int = 1) -> Iterator[Score]:
    """The score of every mixture, in order, each as soon as it is there; the same for any number of processes.

    With more than one process, `separate` must be a function of a module or a `functools.partial` of one. Raises
    ModelError for a model with another number of sources than the list.
    """
    task = partial(score, separate)
    if processes == 1:
        yield from map(task, mixtures)
        return
    # "spawn", because a process that holds ONNX Runtime's threads must not be forked
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        yield from pool.map(task, mixtures)


def score(separate: Separate, mixture: Mixture) -> Score:
    """Separate one mixture and hold the estimates against its sources."""
    total = mixture.sources.sum(axis=0)
    result = separate(total, mixture.domain)
    names = list(result.sources)
    if len(names) != len(mixture.sources):
        raise ModelError(f"{mixture.name} has {len(mixture.sources)} sources, the model gives {', '.join(names)}")
    estimates = np.stack([result.sources[name] for name in names])
    order = best_order(estimates, mixture.sources, result.manifest.sources)
    improvements = {
        name: si_sdr_improvement_db(estimates[slot], source, total)
        for name, slot, source in zip(names, order, mixture.sources, strict=True)
    }
    return Score(mixture.name, mixture.clips, improvements, result.latency.ms)


def summarise(scores: Sequence[Score], prefix: str) -> dict[str, Interval]:
    """Mean SI-SDR improvement in dB with its 95 % interval, clustered by clip, under the names of reports and cards.

    "PREFIX.si_sdri_db" is that of the mean of all slots, "PREFIX.SLOT.si_sdri_db" that of one.
    """
    slots = {name: [score.improvements_db[name] for score in scores] for name in scores[0].improvements_db}
    figures = {f"{prefix}.si_sdri_db": np.mean(list(slots.values()), axis=0).tolist()}
    figures |= {f"{prefix}.{name}.si_sdri_db": values for name, values in slots.items()}
    return {key: clustered_mean(values, [score.clips for score in scores]) for key, values in figures.items()}
