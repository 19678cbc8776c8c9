"""Maps from measures to SI-SDRi: what a manifest may say of them, and that they say what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streamsep.models.manifest import Calibration, Calibrations
from streamsep.monitor.calibration import Maps, by_name, estimate, estimates, names_needed
from streamsep.monitor.confidence import ALL, Measures, measure
from streamsep.monitor.look_back import LookBack
from streamsep.monitor.placed import PlacedMeasures, measure_look_back

BANK = ("music", "noise", "speech")
FLAT: dict[str, object] = {
    "features": [["balance"]], "centre": [0.0], "scale": [1.0], "weights": [1.0], "offset_db": 0.0,
    "lowest_db": -5.0, "highest_db": 5.0, "error_db": 1.0,
}  # fmt: skip
numbers = st.floats(-10, 10)
measured = st.builds(PlacedMeasures, *[numbers] * len(ALL), mean=st.tuples(numbers, numbers))
names = st.sampled_from([*ALL, "confidence", "mean_0", "mean_1"])


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    features = draw(st.lists(st.lists(names, min_size=1, max_size=2).map(tuple), max_size=4))

    def each(values: st.SearchStrategy[float]) -> list[float]:
        return draw(st.lists(values, min_size=len(features), max_size=len(features)))

    lowest_db = draw(numbers)
    return Calibration(
        features=features,
        centre=each(numbers),
        scale=each(st.floats(0.1, 10)),
        weights=each(numbers),
        offset_db=draw(numbers),
        lowest_db=lowest_db,
        highest_db=lowest_db + draw(st.floats(0, 10)),
        error_db=1.0,
    )


def reference(calibration: Calibration, measures: PlacedMeasures) -> float:
    products = [np.prod([measures.by_name[name] for name in feature]) for feature in calibration.features]
    features = np.array(products)
    standard = (features - np.array(calibration.centre)) / np.array(calibration.scale)
    found = calibration.offset_db + standard @ np.array(calibration.weights)
    return float(np.clip(found, calibration.lowest_db, calibration.highest_db))


@given(st.data(), st.fixed_dictionaries(dict.fromkeys(BANK, measured)))
def test_an_estimate_is_a_linear_map_of_products_within_what_was_seen(
    data: st.DataObject, measures: dict[str, PlacedMeasures]
) -> None:
    maps = {domain: Calibrations(own=data.draw(calibrations())) for domain in BANK}
    found = estimates(maps, by_name(measures), None)
    assert list(found) == list(measures)
    for domain in BANK:
        assert found[domain] == pytest.approx(reference(maps[domain].own, measures[domain]), rel=1e-6, abs=1e-6)


def test_without_a_map_or_a_measure_there_is_no_decision() -> None:
    own = Calibrations(own=Calibration.model_validate(FLAT))
    good = Measures(balance=0.5)
    none, both = {"noise": None}, {"noise": None, "music": None}
    one: Maps = {"noise": own}
    assert estimates(one, by_name(none), None) == none
    assert estimates(one, by_name({"noise": Measures(silhouette=0.5)}), None) == none
    assert estimates(none, by_name({"noise": good, "music": good}), None) == both
    assert estimates(one, by_name({"noise": good, "music": None}), None) == {"noise": 0.5, "music": None}


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_the_measures_needed_are_enough_and_none_is_too_many(data: st.DataObject) -> None:
    maps = {domain: Calibrations(own=data.draw(calibrations())) for domain in BANK}
    points = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    back = LookBack(points, np.ones(40, np.float32), 10, points.mean(axis=0))
    needed = names_needed(maps)

    def found(chosen: set[str]) -> dict[str, float | None]:
        return estimates(maps, by_name(dict.fromkeys(BANK, measure_look_back(back, 2, chosen=chosen))), None)

    assert None not in found(needed).values()
    assert all(None in found(needed - {name}).values() for name in needed)


@given(st.integers(1, 50), st.booleans())
def test_mean_and_texture_come_with_the_measures_where_there_are_any(points: int, known: bool) -> None:
    random = np.random.default_rng(points)
    embeddings, magnitudes = random.normal(size=(points, 3)).astype(np.float32), np.ones(points, np.float32)
    mean, texture = random.normal(size=3).astype(np.float32), {"texture_flat": -0.5}
    back = LookBack(embeddings, magnitudes, 10, mean, texture) if known else LookBack(embeddings, magnitudes, 10)
    found = measure_look_back(back, 2, chosen=("balance",))
    plain = measure(embeddings, 2, magnitudes, chosen=("balance",))
    assert found is not None
    assert plain is not None
    more = {f"mean_{dim}": mean[dim] for dim in range(3)} | texture if known else {}
    assert found.by_name == pytest.approx(plain.by_name | more, abs=1e-6)


def test_of_a_silent_look_back_there_is_no_measure() -> None:
    assert measure_look_back(LookBack(np.zeros((0, 3), np.float32), np.zeros(0, np.float32), 10), 2) is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"weights": [1.0, 2.0]}, "weights must be 1 numbers, one a feature, got 2"),
        ({"centre": []}, "centre must be 1 numbers"),
        ({"scale": [1.0, 1.0]}, "scale must be 1 numbers"),
        ({"scale": [0.0]}, "scale"),
        ({"scale": [float("inf")]}, "scale"),
        ({"weights": [float("nan")]}, "weights"),
        ({"offset_db": float("inf")}, "offset_db"),
        ({"lowest_db": 6.0}, "lowest_db must be at most highest_db=5.0, got 6.0"),
        ({"error_db": -1.0}, "error_db"),
        ({"features": [[]]}, "features"),
        ({"features": [["balance", "balance", "balance"]]}, "features"),
        ({"features": [["music.balance"]]}, "features"),
        ({"temperature": 1.0}, "temperature"),
    ],
)
def test_a_map_that_cannot_be_is_refused_and_the_field_named(changed: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named.replace(".", r"\.")):
        Calibration.model_validate(FLAT | changed)


def test_a_map_ends_where_it_was_fitted() -> None:
    flat = Calibration.model_validate(FLAT)
    assert estimate(flat, {"balance": 100.0}) == flat.highest_db
    assert estimate(flat, {"balance": -100.0}) == flat.lowest_db
