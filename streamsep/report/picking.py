"""To choose a model for every mixture: by lot, knowing the outcome, or by a score; and what that is worth. Pure
functions of arrays (mixtures, models)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.report.study import Row

Values = NDArray[np.float64]  # (mixtures, models)
Figures = NDArray[np.float64]  # (mixtures,)
SCORES = {  # by column of the rows: what a choice by it is called
    "confidence": "confidence",
    "own_db": "calibrated",
    "promised_db": "domain: auto",
}
KNOWN = "domain known"
RATIOS = ("sd_sdr_db", "si_sdr_db", "sdr_db")


@dataclass(frozen=True)
class Outcome:
    """What every model makes of every mixture, in one way, and what the monitor thinks of it."""

    models: tuple[str, ...]
    domains: tuple[str, ...]  # (mixtures,)
    groups: tuple[tuple[str, ...], ...]  # (mixtures, sources): what their clips are pieces of
    ratios: Mapping[str, Values]  # by name of RATIOS: mean of the sources
    before: Mapping[str, Figures]  # the same of the mixture itself
    scores: Mapping[str, Values]  # by column of SCORES; nan: it does not say

    def among(self, names: Sequence[str]) -> "Outcome":
        """Only these models, and the mixtures of their domains."""
        models = np.array([self.models.index(name) for name in names])
        rows = np.flatnonzero([domain in names for domain in self.domains])
        at = np.ix_(rows, models)
        return Outcome(
            tuple(names),
            tuple(self.domains[row] for row in rows),
            tuple(self.groups[row] for row in rows),
            {name: values[at] for name, values in self.ratios.items()},
            {name: values[rows] for name, values in self.before.items()},
            {name: values[at] for name, values in self.scores.items()},
        )

    def of(self, domain: str | None) -> NDArray[np.intp]:
        """Which mixtures are of this domain; None: all."""
        return np.flatnonzero([domain in (None, each) for each in self.domains])


def outcome(rows: Sequence[Row], way: str) -> Outcome:
    """From the rows of a study. Sources that are silent in a mixture do not count."""
    rows = [row for row in rows if row["way"] == way]
    models = tuple(dict.fromkeys(row["model"] for row in rows))
    mixtures = {(row["domain"], row["mixture"]): row for row in rows}  # lists may give two domains the same names
    at = {name: number for number, name in enumerate(mixtures)}
    sources = 1 + max(row["source"] for row in rows)
    shape = len(mixtures), len(models), sources
    columns = {name: np.full(shape, np.nan) for name in (*RATIOS, *(f"mixture_{name}" for name in RATIOS), *SCORES)}
    for row in rows:
        place = at[row["domain"], row["mixture"]], models.index(row["model"]), row["source"]
        for name, values in columns.items():
            values[place] = np.nan if row[name] is None else row[name]
    return Outcome(
        models,
        tuple(row["domain"] for row in mixtures.values()),
        tuple(tuple(row["groups"]) for row in mixtures.values()),
        {name: nan_mean(columns[name]) for name in RATIOS},
        {name: nan_mean(columns[f"mixture_{name}"])[:, 0] for name in RATIOS},
        {name: columns[name][:, :, 0] for name in SCORES},
    )


def nan_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the last axis, of what is there; nan where nothing is."""
    there = np.isfinite(values)
    count = there.sum(axis=-1)
    sums = np.where(there, values, 0.0).sum(axis=-1)
    means: NDArray[np.float64] = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)
    return means


def picks(scores: Values) -> NDArray[np.intp]:
    """(mixtures,): the number of the model that scores highest, the first of equals; -1: none says anything.

    >>> picks(np.array([[1.0, 2.0], [np.nan, 0.5], [np.nan, np.nan]]))
    array([ 1,  1, -1])
    """
    filled = np.where(np.isnan(scores), -np.inf, scores)
    return np.where(np.isnan(scores).all(axis=1), -1, filled.argmax(axis=1))


def picked(values: Values, chosen: NDArray[np.intp]) -> Figures:
    """(mixtures,): of the models that were chosen; -1 is by lot: what that gives on average.

    >>> picked(np.array([[1.0, 3.0], [1.0, 3.0]]), np.array([1, -1]))
    array([3., 2.])
    """
    found: Figures = np.where(chosen < 0, values.mean(axis=1), values[np.arange(len(values)), chosen])
    return found


def ensembles(found: Outcome, ratio: str) -> dict[str, Figures]:
    """What every way to choose reaches in every mixture: oracle, random (what a choice by lot gives on average, not
    one such choice), the model of the mixture's own domain, one for each score there is, every model all the time."""
    values = found.ratios[ratio]
    own = np.array([found.models.index(domain) for domain in found.domains], np.intp)
    chosen = {SCORES[name]: picks(scores) for name, scores in told(found).items()}
    return {
        "oracle": values.max(axis=1),
        "random": values.mean(axis=1),
        KNOWN: picked(values, own),
        **{name: picked(values, which) for name, which in chosen.items()},
        **{f"only {model}": values[:, at] for at, model in enumerate(found.models)},
    }


def told(found: Outcome) -> dict[str, Values]:
    """The scores that say anything, and nothing that one before has said."""
    kept: dict[str, Values] = {}
    for name, scores in found.scores.items():
        known = any(np.array_equal(scores, other, equal_nan=True) for other in kept.values())
        if not np.isnan(scores).all() and not known:
            kept[name] = scores
    return kept


def confusion(found: Outcome, ratio: str, scores: Values) -> NDArray[np.intp]:
    """(models, models): how many mixtures the oracle gives to the model of the row and the score to that of the
    column. Mixtures of which no model says anything are in none."""
    oracle, chosen = picks(found.ratios[ratio]), picks(scores)
    counts = np.zeros((len(found.models),) * 2, np.intp)
    both = (oracle >= 0) & (chosen >= 0)
    np.add.at(counts, (oracle[both], chosen[both]), 1)
    return counts


def precision_and_recall(counts: NDArray[np.intp]) -> tuple[Figures, Figures]:
    """By model: of those it was picked for, how many were its own; and of its own, for how many it was picked. nan
    where there are none.

    >>> precision_and_recall(np.array([[3, 1], [0, 4]]))
    (array([1. , 0.8]), array([0.75, 1.  ]))
    """
    right = np.diag(counts).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return right / counts.sum(axis=0), right / counts.sum(axis=1)
