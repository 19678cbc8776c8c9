"""Choosing by way of the domain: what is fitted is found, and what is written is what the monitor computes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_tables import DOMAINS, KNOWN, NAMES, PLAIN, make_table, monitor_computes
from pydantic import ValidationError

from export.gather import Table
from export.recognition_fit import cross_validated, estimates, fit
from streamsep.models.manifest import Calibrations, Recognition
from streamsep.monitor import calibration


def telling(seed: int) -> Table:
    """A table whose mean embeddings tell the domains apart."""
    table = make_table(seed)
    measures = table.measures.copy()
    for model in range(len(DOMAINS)):
        measures[:, :, model, NAMES.index("mean_0")] += 4.0 * (table.truth == model)[:, None]
    return replace(table, measures=measures)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_what_was_fitted_is_what_the_monitor_computes(seed: int) -> None:
    table = make_table(seed, 30)
    found = fit(table, 0.1)
    maps = {domain: Calibrations(own=PLAIN, recognition=known) for domain, known in found.items()}
    monitor_computes(table, estimates(table, found), maps)
    for look in table.measures.reshape(-1, len(DOMAINS), len(NAMES)):
        names = [f"{domain}.{name}" for domain in DOMAINS for name in NAMES]
        known = dict(zip(names, look.ravel().tolist(), strict=True))
        assert sum(calibration.likely(found["music"], known).values()) == pytest.approx(1)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_domains_that_can_be_told_apart_are(seed: int) -> None:
    table = telling(seed)
    figures = np.eye(len(DOMAINS))[table.truth] * 10.0 - 5.0  # every model is right for its own domain only
    found = cross_validated(replace(table, si_sdri_db=figures), 0.01)[table.listed]
    assert np.mean(found.argmax(-1) == table.truth[table.listed][:, None]) > 0.85


def test_it_is_used_in_a_bank_of_just_its_domains() -> None:
    both = Calibrations(own=PLAIN, recognition=Recognition.model_validate(KNOWN))
    assert calibration.recognises(dict.fromkeys(("noise", "music"), both))
    assert calibration.names_needed(dict.fromkeys(("noise", "music"), both)) == {"silhouette"}
    alone = Calibrations(own=PLAIN)
    for bank in (["noise"], ["noise", "music", "speech"]):
        assert not calibration.recognises(dict.fromkeys(bank, both))
        assert calibration.names_needed(dict.fromkeys(bank, both)) == {"balance"}
    for other in (alone, None):
        maps = {"noise": both, "music": other}
        assert not calibration.recognises(maps)
        assert calibration.recognised(maps, {"noise": {"silhouette": 0.5}, "music": {"silhouette": 40.0}}) is None


@pytest.mark.parametrize("part", ["measures", "centre", "scale", "weights", "bias"])
def test_it_is_not_used_where_models_of_two_fits_are_in_one_bank(part: str) -> None:
    other = {
        "measures": ["noise.silhouette", "music.silhouette"], "centre": [0.0, 0.6], "scale": [1.0, 3.0],
        "weights": {"music": [1.0, 0.0], "noise": [0.0, 2.0]}, "bias": {"music": 0.0, "noise": 5.0},
    }[part]  # fmt: skip
    one, two = (Recognition.model_validate(known) for known in (KNOWN, KNOWN | {part: other}))
    maps = {"noise": Calibrations(own=PLAIN, recognition=one), "music": Calibrations(own=PLAIN, recognition=two)}
    assert not calibration.recognises(maps)
    measures = {"noise": {"balance": 0.5}, "music": {"balance": 10.5}}
    assert calibration.recognised(maps, measures) is None
    assert calibration.estimates(maps, measures, None) == pytest.approx({"noise": 1 / 3, "music": 1.0})
    gains = one.model_copy(update={"gains_db": {"music": 1.0, "noise": 9.0}, "error_db": 7.0})
    maps["music"] = Calibrations(own=PLAIN, recognition=gains)
    assert calibration.recognises(maps)  # what each model gains is its own


def test_without_a_measure_it_needs_there_is_no_decision() -> None:
    maps = dict.fromkeys(("noise", "music"), Calibrations(own=PLAIN, recognition=Recognition.model_validate(KNOWN)))
    measures = {"noise": {"silhouette": 0.5}, "music": {"silhouette": 40.0}}
    said = calibration.estimates(maps, measures, calibration.recognised(maps, measures))
    assert said == pytest.approx({"noise": 5.0, "music": 5.0})
    measures["music"] = {}
    assert calibration.recognised(maps, measures) is None
    assert calibration.estimates(maps, measures, None) == dict.fromkeys(maps)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"centre": [0.0]}, "centre must be 2 numbers, one a measure, got 1"),
        ({"weights": {"music": [1.0], "noise": [0.0, 1.0]}}, r"weights\.music must be 2 numbers"),
        ({"bias": {"music": 0.0}}, r"bias must be of the domains \['music', 'noise'\], got \['music'\]"),
        ({"gains_db": {"music": 0.0, "birds": 1.0}}, "gains_db must be of the domains"),
        ({"measures": ["silhouette", "noise.silhouette"]}, r"measures\.0\n.*should match pattern"),
        ({"scale": [1.0, 0.0]}, "greater than 0"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Recognition.model_validate(KNOWN | change)
