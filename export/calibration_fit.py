"""Maps from measures to SI-SDRi: fitted by ridge regression, chosen and judged by cross-validation.

All maps of a bank are fitted at once, because they are there to choose between models: of the four errors of one
look, what they have in common (a mixture that is hard for every model) counts COMMON, and what tells them apart 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.gather import Floats, Table
from streamsep.models.manifest import Calibration
from streamsep.monitor.placed import MEAN

COMMON = 0.5  # at 1 every map is fitted by itself, and picks up to 4 % worse; at 0 the level of all is left open
FOLDS = 10
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the ridge, for features of unit variance
DIGITS = 6

Feature = tuple[str, ...]
Rows = NDArray[np.bool_]  # (mixtures,)

PAPERS: tuple[Feature, ...] = (("silhouette",), ("posterior_strength",))


@dataclass(frozen=True)
class Form:
    """What the map of every model may look like."""

    name: str
    features: tuple[Feature, ...]  # of the model's own measures


def forms(table: Table) -> list[Form]:
    """Those to choose from, small ones first."""
    confidence: tuple[Feature, ...] = (("confidence",),)
    products = *confidence, *((name, name) for (name,) in PAPERS)
    mean = tuple((name,) for name in table.names if name.startswith(MEAN))
    return [
        Form("confidence", confidence),
        Form("papers", PAPERS),
        Form("papers, products", PAPERS + products),
        Form("papers, mean embedding", PAPERS + mean),
    ]


def fit(table: Table, form: Form, strength: float, error_db: Sequence[float] | None = None) -> dict[str, Calibration]:
    """The maps of all models, by domain. Looks without a decision, and mixtures without SI-SDRi, do not count.

    Minimises the mean of |A (estimates - SI-SDRi)|^2 + strength * |weights|^2, weights in dB for one standard
    deviation; A keeps differences between models and shortens what they have in common to COMMON. Raises ValueError
    when nothing is left to fit."""
    models = range(len(table.domains))
    values = [columns(table, form.features, model) for model in models]
    wanted = np.repeat(table.si_sdri_db[:, None], table.measures.shape[1], axis=1)
    usable = np.isfinite(wanted).all(-1) & np.logical_and.reduce([np.isfinite(each).all(-1) for each in values])
    if not usable.any():
        raise ValueError("there is no mixture that every model can be measured and scored on")
    x, y = [each[usable] for each in values], wanted[usable]
    centres, scales = [each.mean(0) for each in x], [np.maximum(each.std(0), 1e-9) for each in x]
    offsets = y.mean(0)
    z = [(each - centre) / scale for each, centre, scale in zip(x, centres, scales, strict=True)]
    apart = np.eye(len(x)) - (1 - COMMON) / len(x)
    # One regression for all: rows are errors of a look, after `apart`; columns the weights of all models in turn
    equations = np.concatenate(
        [np.einsum("nf,m->nmf", each, apart[:, model]) for model, each in enumerate(z)], axis=2
    )
    equations = equations.reshape(len(y) * len(x), -1)
    right = ((y - offsets) @ apart).reshape(-1)
    ridge = len(y) * strength * np.eye(equations.shape[1])
    weights = np.linalg.solve(equations.T @ equations + ridge, equations.T @ right)
    parts = np.split(weights, np.cumsum([each.shape[1] for each in z])[:-1])
    return {
        table.domains[model]: Calibration(
            features=form.features,
            centre=rounded(centres[model]),
            scale=rounded(scales[model]),
            weights=rounded(parts[model]),
            offset_db=rounded(offsets)[model],
            lowest_db=rounded(y.min(0))[model],
            highest_db=rounded(y.max(0))[model],
            error_db=0.0 if error_db is None else rounded(error_db)[model],
        )
        for model in models
    }


def estimates(table: Table, maps: dict[str, Calibration]) -> Floats:
    """(mixtures, moments, models) in dB; nan where there is no decision. As in `streamsep.monitor.calibration`."""
    found = []
    for model, domain in enumerate(table.domains):
        map_ = maps[domain]
        z = (columns(table, map_.features, model) - map_.centre) / np.array(map_.scale)
        found.append(np.clip(z @ np.array(map_.weights) + map_.offset_db, map_.lowest_db, map_.highest_db))
    return np.stack(found, axis=-1)


def cross_validated(table: Table, form: Form, strength: float) -> Floats:
    """The estimates of every mixture, by maps that were fitted to none of its talkers, songs or kinds of sound."""
    found = np.full(table.measures.shape[:3], np.nan)
    for fitted, left_out in folds(table):
        found[left_out] = estimates(table.only(left_out), fit(table.only(fitted), form, strength))
    return found


def folds(table: Table) -> Iterator[tuple[Rows, Rows]]:
    """Mixtures to fit and mixtures of the list to judge by, which share no talker, song or kind of sound. In FOLDS
    turns each is judged once: what is in the first slots is dealt out to the turns, so that all mixtures with the
    same there are judged in the same turn."""
    firsts, numbers = np.unique(table.groups[:, 0], return_inverse=True)
    turns = np.random.default_rng(0).permutation(len(firsts))[numbers] % FOLDS
    for turn in range(FOLDS):
        left_out = np.logical_and(turns == turn, table.listed)
        fitted = np.logical_not(np.isin(table.groups, table.groups[left_out]).any(axis=1))
        if left_out.any():
            yield fitted, left_out


def picked_db(table: Table, scores: Floats) -> float:
    """Mean SI-SDRi when at every look the model with the best score (mixtures, moments, models) is picked; where
    there is no decision, that of a random one."""
    picks = np.where(np.isfinite(scores), scores, -np.inf).argmax(-1)
    found = np.take_along_axis(table.si_sdri_db, picks, axis=1)
    undecided = ~np.isfinite(scores).any(-1)
    return float(np.nanmean(np.where(undecided, table.si_sdri_db.mean(1)[:, None], found)))


def choose(table: Table) -> tuple[Form, float, Floats]:
    """Form and strength that pick best out of fold, with their estimates; of equals the first, which is smaller."""
    tried = [
        (form, strength, cross_validated(table, form, strength)) for form in forms(table) for strength in STRENGTHS
    ]
    judged = table.listed
    return max(tried, key=lambda each: picked_db(table.only(judged), each[2][judged]))


def columns(table: Table, features: Sequence[Feature], model: int) -> Floats:
    """(mixtures, moments, features)."""
    products = [np.prod([table.of(name, model) for name in feature], axis=0) for feature in features]
    return np.stack(products, axis=-1)


def rounded(numbers: Sequence[float] | Floats) -> tuple[float, ...]:
    """To DIGITS significant digits."""
    return tuple(float(f"{number:.{DIGITS}g}") for number in numbers)
