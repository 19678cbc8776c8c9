"""Recognising the domain from the measures of all models, and what every model is worth in it."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from export.calibration_fit import PAPERS, folds, picked_db, rounded
from export.gather import Floats, Table
from streamsep.models.manifest import Recognition
from streamsep.monitor.placed import MEAN
from streamsep.monitor.texture import PREFIX

STRENGTHS = (0.001, 0.003, 0.01, 0.03)  # of the penalty on squared weights, for measures of unit variance


def measures_of(table: Table) -> tuple[str, ...]:
    """Those of the papers and the mean embedding, of every model, and the texture, which all models have alike and
    the first one gives; by DOMAIN.NAME."""
    names = [name for (name,) in PAPERS] + [name for name in table.names if name.startswith(MEAN)]
    of_models = [f"{domain}.{name}" for domain in table.domains for name in names]
    alike = [f"{table.domains[0]}.{name}" for name in table.names if name.startswith(PREFIX)]
    return *of_models, *alike


def values_of(table: Table) -> Floats:
    """(mixtures, moments, measures)."""
    split = [name.split(".") for name in measures_of(table)]
    return np.stack([table.of(name, table.domains.index(domain)) for domain, name in split], axis=-1)


def fit(table: Table, strength: float, error_db: Sequence[float] | None = None) -> dict[str, Recognition]:
    """By domain of the model; they differ only in gains_db and error_db. Looks without a decision do not count.

    Minimises the mean cross entropy + strength / 2 * |weights|^2 (L-BFGS). Raises ValueError when nothing is left."""
    values, truth = values_of(table), np.repeat(table.truth[:, None], table.measures.shape[1], axis=1)
    usable = np.isfinite(values).all(-1)
    if not usable.any():
        raise ValueError("there is no mixture that every model can be measured on")
    x, domains = values[usable], len(table.domains)
    centre, scale = x.mean(0), np.maximum(x.std(0), 1e-9)
    z, wanted = (x - centre) / scale, np.eye(domains)[truth[usable]]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(domains, -1)
        evidence = z @ weights[:, :-1].T + weights[:, -1]
        wrong = (softmax(evidence, axis=1) - wanted) / len(z)
        slope = np.column_stack([wrong.T @ z + strength * weights[:, :-1], wrong.sum(0)])
        entropy = -float((wanted * log_softmax(evidence, axis=1)).sum()) / len(z)
        return entropy + strength / 2 * float(np.square(weights[:, :-1]).sum()), slope.reshape(-1)

    found = minimize(loss, np.zeros(domains * (z.shape[1] + 1)), jac=True, method="L-BFGS-B").x.reshape(domains, -1)
    gains_db = [np.nanmean(table.si_sdri_db[table.truth == number], axis=0) for number in range(domains)]
    return {
        domain: Recognition(
            measures=measures_of(table),
            centre=rounded(centre),
            scale=rounded(scale),
            weights={other: rounded(found[number, :-1]) for number, other in enumerate(table.domains)},
            bias={other: rounded(found[:, -1])[number] for number, other in enumerate(table.domains)},
            gains_db={other: rounded(gains_db[number])[model] for number, other in enumerate(table.domains)},
            error_db=0.0 if error_db is None else rounded(error_db)[model],
        )
        for model, domain in enumerate(table.domains)
    }


def estimates(table: Table, maps: dict[str, Recognition]) -> Floats:
    """(mixtures, moments, models) in dB; nan where there is no decision. As in `streamsep.monitor.calibration`."""
    any_map = next(iter(maps.values()))
    z = (values_of(table) - any_map.centre) / np.array(any_map.scale)
    weights = np.array([any_map.weights[domain] for domain in table.domains])
    shares = softmax(z @ weights.T + [any_map.bias[domain] for domain in table.domains], axis=-1)
    gains_db = np.array([[maps[domain].gains_db[other] for domain in table.domains] for other in table.domains])
    result: Floats = shares @ gains_db
    return result


def cross_validated(table: Table, strength: float) -> Floats:
    """The estimates of every mixture, by a fit that heard none of its talkers, songs or kinds of sound."""
    found = np.full(table.measures.shape[:3], np.nan)
    for fitted, left_out in folds(table):
        found[left_out] = estimates(table.only(left_out), fit(table.only(fitted), strength))
    return found


def choose(table: Table) -> tuple[float, Floats]:
    """The strength that picks best out of fold, with its estimates."""
    tried = [(strength, cross_validated(table, strength)) for strength in STRENGTHS]
    return max(tried, key=lambda each: picked_db(table.only(table.listed), each[1][table.listed]))
