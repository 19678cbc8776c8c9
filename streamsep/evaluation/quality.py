"""How good separators are on fixed lists of mixtures: the models heard through the whole engine, and what they are
held against."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import ModelError
from streamsep.evaluation.intervals import Interval, clustered_mean
from streamsep.evaluation.lists import RATE, Mixture
from streamsep.evaluation.metrics import best_order, improvement_db, pesq, sdr_db, si_sdr_db, stoi
from streamsep.pool import pool_of
from streamsep.realtime.masking import slot_names

Metric = Callable[[NDArray[np.floating], NDArray[np.floating]], float]  # estimate, source; (samples,) each

RATIOS_DB: dict[str, Metric] = {"si-sdr": si_sdr_db, "sdr": sdr_db}  # each gives its improvement too
GRADES: dict[str, Metric] = {
    "stoi": partial(stoi, rate=RATE),
    "estoi": partial(stoi, rate=RATE, extended=True),
    "pesq": pesq,
}
FIGURES = (*RATIOS_DB, *GRADES)
SPEECH = ("speech", "talker")  # the roles that are graded


@dataclass(frozen=True)
class Estimates:
    """What a system made of one mixture."""

    sources: NDArray[np.floating]  # (slots, samples), aligned with the mixture
    roles: tuple[str, ...]  # of the slots; those of one role may come in any order
    any_order: bool = False  # whether the others may, too: nobody said which is which
    latency_ms: float | None = None  # that was taken out again; None: it saw the whole mixture at once


System = Callable[[Mixture], Estimates]


@dataclass(frozen=True)
class Score:
    """How good what a system made of one mixture is."""

    mixture: str
    groups: tuple[str, ...]  # what its clips are pieces of, where somebody says
    figures: dict[str, dict[str, float]]  # by name of the slot, then of the figure; nan: nothing to measure
    latency_ms: float | None


def measure(
    systems: Mapping[str, System],
    mixtures: Iterable[Mixture],
    figures: Sequence[str] = ("si-sdr",),
    processes: int = 1,
) -> Iterator[dict[str, Score]]:
    """The score of every system on every mixture, in order, as soon as it is there; the same for any number of
    processes.

    figures: of FIGURES. With more than one process, the systems must be functions of a module or `functools.partial`
    of one. Raises ModelError for a system with another number of sources than the list, and ConfigError when the
    package that computes a figure is missing.
    """
    task = partial(score, systems, figures)
    if processes == 1:
        yield from map(task, mixtures)
        return
    with pool_of(processes) as pool:
        yield from pool.map(task, mixtures)


def score(systems: Mapping[str, System], figures: Sequence[str], mixture: Mixture) -> dict[str, Score]:
    """Separate one mixture by every system and hold the estimates against its sources."""
    total = mixture.sources.sum(axis=0)
    ratios_db = {name: metric for name, metric in RATIOS_DB.items() if name in figures}
    before_db = [{name: metric(total, source) for name, metric in ratios_db.items()} for source in mixture.sources]
    scores = {}
    for system, separate in systems.items():
        result = separate(mixture)
        names = slot_names(result.roles)
        if len(names) != len(mixture.sources):
            raise ModelError(f"{mixture.name} has {len(mixture.sources)} sources, {system} gives {', '.join(names)}")
        order = best_order(result.sources, mixture.sources, [""] * len(names) if result.any_order else result.roles)
        found: dict[str, dict[str, float]] = {}
        for slot, (name, role, source) in enumerate(zip(names, result.roles, mixture.sources, strict=True)):
            estimate = result.sources[order[slot]]
            found[name] = {}
            for ratio, metric in ratios_db.items():
                key, after_db = ratio.replace("-", "_"), metric(estimate, source)
                found[name][f"{key}_db"] = after_db
                found[name][f"{key}i_db"] = improvement_db(after_db, before_db[slot][ratio])
            if role in SPEECH:
                found[name] |= {
                    grade: metric(estimate, source) for grade, metric in GRADES.items() if grade in figures
                }
        scores[system] = Score(mixture.name, mixture.pieces_of, found, result.latency_ms)
    return scores


def summarise(scores: Sequence[Score], prefix: str) -> dict[str, Interval]:
    """The mean of every figure with its 95 % interval, clustered by talker, song or kind of sound (by clip where
    nobody says), under the names of reports and cards.

    "PREFIX.SLOT.si_sdri_db" is that of one slot, "PREFIX.si_sdri_db" that of the mean of all slots; a figure that
    some slot does not have (how well noise is understood) has no mean of all.
    """
    groups = [score.groups for score in scores]
    slots = scores[0].figures
    means = {}
    for figure in dict.fromkeys(figure for found in slots.values() for figure in found):
        values = {name: [score.figures[name][figure] for score in scores] for name in slots if figure in slots[name]}
        if len(values) == len(slots):
            means[f"{prefix}.{figure}"] = clustered_mean(np.mean(list(values.values()), axis=0).tolist(), groups)
        means |= {f"{prefix}.{name}.{figure}": clustered_mean(found, groups) for name, found in values.items()}
    return means
