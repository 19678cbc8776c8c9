"""From measures, which mean another thing in every model, to estimates of SI-SDRi, which are the same in all of them.

Pure functions. The maps are in the models' manifests, where `export.calibrate` puts them. A measure is called by its
name in `by_name`, or DOMAIN.NAME if it is another model's of the same bank.
"""

from collections.abc import Collection, Mapping
from math import exp, prod

from streamsep.models.manifest import Calibration, Calibrations, Recognition
from streamsep.monitor.confidence import ALL, Measures

CONFIDENCE = ("silhouette", "posterior_strength")  # whose product it is

Maps = Mapping[str, Calibrations | None]  # by domain, of a whole bank; None: that model has not been calibrated


def estimates(calibrations: Maps, measures: Mapping[str, Measures | None]) -> dict[str, float | None]:
    """What every model would improve SI-SDR by, in dB, to judge by the measures of one look back.

    measures: by domain, of the whole bank. None, which is no decision, where there are none of a model, or it has no
    map, or a measure that its map needs was not taken.
    """
    return estimates_by_name(
        calibrations, {domain: found.by_name if found else None for domain, found in measures.items()}
    )


def estimates_by_name(
    calibrations: Maps, measures: Mapping[str, Mapping[str, float] | None]
) -> dict[str, float | None]:
    """The same, from the measures' values by name."""
    known = {f"{domain}.{name}": value for domain, found in measures.items() for name, value in (found or {}).items()}
    used = {domain: in_use(calibrations.get(domain), measures) for domain, found in measures.items() if found}
    return dict.fromkeys(measures) | {
        domain: estimate(map_, domain, known) for domain, map_ in used.items() if map_ is not None
    }


def in_use(calibrations: Calibrations | None, bank: Collection[str]) -> Calibration | Recognition | None:
    """The map to use in a bank of these domains: `recognition` where it knows just these, `together` where the bank
    has all that it names, else `own`."""
    if calibrations is None:
        return None
    recognition = calibrations.recognition
    if recognition is not None and recognition.weights.keys() == set(bank):
        return recognition
    together = calibrations.together
    if together is not None and {name.split(".")[0] for name in _names(together) if "." in name} <= set(bank):
        return together
    return calibrations.own


def estimate(calibration: Calibration | Recognition, domain: str, known: Mapping[str, float]) -> float | None:
    """Of this domain's model, in dB; known: measures by DOMAIN.NAME. None where one that is needed is missing.

    >>> half = Calibration(features=[["balance"]], centre=[0.5], scale=[0.5], weights=[2.0], offset_db=5.0,
    ...                    lowest_db=0.0, highest_db=6.0, error_db=1.0)
    >>> estimate(half, "noise", {"noise.balance": 0.25}), estimate(half, "noise", {"noise.balance": 1.0})
    (4.0, 6.0)
    """
    if not {full_name(name, domain) for name in _names(calibration)} <= known.keys():
        return None
    if isinstance(calibration, Recognition):
        shares = likely(calibration, known)
        return sum(share * calibration.gains_db[other] for other, share in shares.items())
    total = calibration.offset_db
    parts = zip(calibration.features, calibration.centre, calibration.scale, calibration.weights, strict=True)
    for names, centre, scale, weight in parts:
        total += weight * (prod(known[full_name(name, domain)] for name in names) - centre) / scale
    return min(max(total, calibration.lowest_db), calibration.highest_db)


def likely(recognition: Recognition, known: Mapping[str, float]) -> dict[str, float]:
    """How likely every domain is; they sum to 1. known: all of its measures, by DOMAIN.NAME."""
    parts = zip(recognition.measures, recognition.centre, recognition.scale, strict=True)
    standardised = [(known[name] - centre) / scale for name, centre, scale in parts]
    evidence = {
        domain: recognition.bias[domain] + sum(w * z for w, z in zip(weights, standardised, strict=True))
        for domain, weights in recognition.weights.items()
    }
    most = max(evidence.values())
    odds = {domain: exp(value - most) for domain, value in evidence.items()}
    total = sum(odds.values())
    return {domain: odd / total for domain, odd in odds.items()}


def full_name(name: str, domain: str) -> str:
    """DOMAIN.NAME of a measure that a map for this domain names.

    >>> full_name("balance", "noise"), full_name("music.balance", "noise")
    ('noise.balance', 'music.balance')
    """
    return name if "." in name else f"{domain}.{name}"


def names_needed(calibrations: Maps) -> set[str]:
    """The measures to take of every look back of this bank, as `confidence.measure` calls them; the mean embedding,
    which some maps need as well, always comes with them (`placed.measure_look_back`)."""
    maps = [in_use(each, calibrations) for each in calibrations.values()]
    names = {name.split(".")[-1] for calibration in maps if calibration is not None for name in _names(calibration)}
    return {name for name in ALL if name in names or ("confidence" in names and name in CONFIDENCE)}


def _names(calibration: Calibration | Recognition) -> set[str]:
    if isinstance(calibration, Recognition):
        return set(calibration.measures)
    return {name for feature in calibration.features for name in feature}
