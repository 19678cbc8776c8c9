"""Tables of measures at random, and what the monitor makes of them."""

import numpy as np
import pytest

from export.gather import Floats, Table
from streamsep.models.manifest import Calibration, Calibrations
from streamsep.monitor import calibration

NAMES = ("silhouette", "posterior_strength", "confidence", "mean_0", "mean_1")
DOMAINS = ("environment", "music", "noise")
PLAIN = Calibration(
    features=(("balance",),), centre=(0.5,), scale=(1.0,), weights=(0.1,), offset_db=1 / 3,
    lowest_db=-1.0, highest_db=1.0, error_db=0.0,
)  # fmt: skip
KNOWN = {
    "measures": ["music.silhouette", "noise.silhouette"], "centre": [0.0, 0.5], "scale": [1.0, 2.0],
    "weights": {"music": [1.0, 0.0], "noise": [0.0, 1.0]}, "bias": {"music": 0.0, "noise": 0.0},
    "gains_db": {"music": 5.0, "noise": -1.0}, "error_db": 1.0,
}  # fmt: skip


def make_table(seed: int, mixtures: int = 90) -> Table:
    """Measures at random, and SI-SDRi that is a map of them, the same at every look."""
    rng = np.random.default_rng(seed)
    measures = np.repeat(rng.normal(size=(mixtures, 1, len(DOMAINS), len(NAMES))), 2, axis=1)
    measures[..., 2] = measures[..., 0] * measures[..., 1]
    truth = np.arange(mixtures) % len(DOMAINS)
    weights = rng.normal(size=len(DOMAINS))
    si_sdri_db = 3 * measures[:, 0, :, 0] + weights * measures[:, 0, :, 1] + weights
    groups = np.array([[f"a{row % 40}", f"b{row % 40 // 3}"] for row in range(mixtures)])
    return Table(DOMAINS, NAMES, truth, groups, np.arange(mixtures) < mixtures - 6, measures, si_sdri_db)


def monitor_computes(table: Table, expected: Floats, maps: dict[str, Calibrations]) -> None:
    """At every look the expected estimates, (mixtures, moments, models)."""
    for look in np.ndindex(expected.shape[:2]):
        values = [dict(zip(NAMES, row.tolist(), strict=True)) for row in table.measures[look]]
        measures = dict(zip(DOMAINS, values, strict=True))
        seen = calibration.recognised(maps, measures)
        found = calibration.estimates(maps, measures, seen)
        assert list(found.values()) == pytest.approx(expected[look].tolist())
