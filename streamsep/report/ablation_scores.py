"""From the rows of `ablations`: scores by which a model could be picked, and what the picks are worth."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.evaluation.intervals import Interval, clustered_mean, clustered_share
from streamsep.report.correlation import correlation
from streamsep.report.extras import package
from streamsep.report.picking import picked, picks
from streamsep.report.study import Row

TREES = 200

Values = NDArray[np.float64]  # (mixtures, models)
Figures = NDArray[np.float64]  # (mixtures,)
Value = Callable[[Row], float | None]  # of a mixture under a model; None: nothing could be said


@dataclass(frozen=True)
class Mixtures:
    """Some mixtures under every model: rows[mixture][model]."""

    models: tuple[str, ...]
    rows: tuple[tuple[Row, ...], ...]

    @property
    def si_sdri_db(self) -> Values:
        """What every model gains."""
        return self.grid(lambda row: row["si_sdri_db"])

    @property
    def domains(self) -> NDArray[np.str_]:
        """(mixtures,)"""
        return np.array([models[0]["domain"] for models in self.rows])

    @property
    def groups(self) -> list[list[str]]:
        """Of every mixture: what its clips are pieces of."""
        return [models[0]["groups"] for models in self.rows]

    def grid(self, value: Value) -> Values:
        """(mixtures, models); nan where nothing could be said."""
        found = [[value(row) for row in models] for models in self.rows]
        plain = [[np.nan if each is None else each for each in models] for models in found]
        return np.array(plain, np.float64).reshape(len(found), len(self.models))

    def where(self, keep: Callable[[Row], bool]) -> "Mixtures":
        """Those of them."""
        return Mixtures(self.models, tuple(models for models in self.rows if keep(models[0])))


def mixtures_of(rows: Sequence[Row], split: str) -> Mixtures:
    """Those of a split in which every model can be scored."""
    by_mixture: dict[tuple[str, str], list[Row]] = {}  # lists may give two domains the same names
    for row in rows:
        if row["split"] == split:
            by_mixture.setdefault((row["domain"], row["mixture"]), []).append(row)
    models = tuple(dict.fromkeys(row["model"] for row in rows))
    complete = [each for each in by_mixture.values() if all(row["si_sdri_db"] is not None for row in each)]
    return Mixtures(models, tuple(map(tuple, complete)))


@dataclass(frozen=True)
class Worth:
    """What it is worth to pick the model of the best score."""

    picked_db: Interval  # SI-SDRi
    won: Interval  # of what the oracle gains over random
    won_by_domain: dict[str, float]
    right: float  # how often the best model is picked
    more_db: Interval  # SI-SDRi than by another way, mixture by mixture
    r: dict[str, float]  # by model: Pearson's, with SI-SDRi on mixtures of its own domain


def worth(test: Mixtures, looks: Sequence[Values], other: Figures) -> Worth:
    """Of picking by these scores, at each of these looks: the mean of all looks.

    other: what another way gains in every mixture. Where no model says anything, random is picked."""
    gains_db, groups, domains = test.si_sdri_db, test.groups, test.domains
    best, chance = gains_db.max(axis=1), gains_db.mean(axis=1)
    found = gained_db(test, looks)
    return Worth(
        clustered_mean(found.tolist(), groups),
        clustered_share((found - chance).tolist(), (best - chance).tolist(), groups),
        {
            domain: share((found - chance)[domains == domain], (best - chance)[domains == domain])
            for domain in dict.fromkeys(domains.tolist())
        },
        float(np.mean([picks(scores) == gains_db.argmax(axis=1) for scores in looks])),
        clustered_mean((found - other).tolist(), groups),
        {
            model: correlation(
                np.concatenate([scores[domains == model, at] for scores in looks]),
                np.tile(gains_db[domains == model, at], len(looks)),
            ).r
            for at, model in enumerate(test.models)
        },
    )


def gained_db(test: Mixtures, looks: Sequence[Values]) -> Figures:
    """SI-SDRi of what is picked in every mixture, mean of the looks."""
    found: Figures = np.mean([picked(test.si_sdri_db, picks(scores)) for scores in looks], axis=0)
    return found


def share(parts: Figures, wholes: Figures) -> float:
    """The sum over the sum; nan of nothing."""
    return float(parts.sum() / wholes.sum()) if wholes.sum() else float("nan")


def calibrated(fitted_on: Mixtures, value: Value, test: Mixtures, other: Value | None = None) -> Values:
    """(mixtures, models): what a line for every model, by least squares from the value to SI-SDRi, promises in dB.

    other: the value that the lines are put to, if it is another than they were fitted on."""
    x, y, wanted = fitted_on.grid(value), fitted_on.si_sdri_db, test.grid(other or value)
    found = np.full(wanted.shape, np.nan)
    for model in range(len(test.models)):
        line = correlation(x[:, model], y[:, model])
        known = np.isfinite(wanted[:, model])
        level = float(y[:, model].mean()) if len(y) else np.nan
        steep = np.isfinite(line.slope)
        found[known, model] = line.intercept + line.slope * wanted[known, model] if steep else level
    return found


def learned(fitted_on: Mixtures, test: Mixtures, values: Callable[[Row], dict[str, float]]) -> Values:
    """(mixtures, models): what a forest of trees for every model predicts from these values, in dB; seeded.

    Raises ConfigError when scikit-learn is missing."""
    ensemble = package("sklearn.ensemble")
    found = np.empty((len(test.rows), len(test.models)))
    for model in range(len(test.models)):
        names = sorted(set.intersection(*(set(values(row[model])) for row in (*fitted_on.rows, *test.rows))))
        forest = ensemble.RandomForestRegressor(TREES, min_samples_leaf=2, random_state=0)
        forest.fit(_matrix(fitted_on, model, values, names), fitted_on.si_sdri_db[:, model])
        found[:, model] = forest.predict(_matrix(test, model, values, names))
    return found


def _matrix(
    mixtures: Mixtures, model: int, values: Callable[[Row], dict[str, float]], names: Iterable[str]
) -> Values:
    """(mixtures, values)"""
    return np.array([[values(row[model])[name] for name in names] for row in mixtures.rows], np.float64)
