"""From measures, which mean another thing in every model, to estimates of SI-SDRi, which are the same in all of them.

Pure functions. The maps are in the models' manifests, where `export.calibrate` puts them. A measure is called by its
name in `by_name`, or DOMAIN.NAME where those of all models of a bank are meant.

Where all models of a bank know how to recognise its domains (and no others), all in the same way, the measures of all
of them together say how likely every domain is, and a model promises what it gains on mixtures of every domain, so
weighed. Otherwise every model promises what its own measures say.
"""

from collections.abc import Mapping
from math import exp, prod

from streamsep.models.manifest import Calibration, Calibrations, Recognition
from streamsep.monitor.confidence import ALL, Measures

PAPERS = ("silhouette", "posterior_strength")  # of which confidence is the product: always measured and reported

Maps = Mapping[str, Calibrations | None]  # by domain, of a whole bank; None: that model has not been calibrated
Named = Mapping[str, Mapping[str, float] | None]  # by domain, of a whole bank: the values of its measures by name


def by_name(measures: Mapping[str, Measures | None]) -> Named:
    """By domain, of the whole bank; None where there are none of a model."""
    return {domain: found.by_name if found else None for domain, found in measures.items()}


def recognises(calibrations: Maps) -> bool:
    """Whether the models of this bank know how to recognise just its domains, and do it alike. Models of two fits in
    one folder do not: then it would be chance whose fit is taken."""
    known = [each.recognition if each else None for each in calibrations.values()]
    return all(
        each is not None and each.weights.keys() == calibrations.keys() and _fit(each) == _fit(known[0])
        for each in known
    )


def recognised(calibrations: Maps, measures: Named) -> dict[str, float] | None:
    """How likely every domain is, by the measures of one look back; they sum to 1. None, which is no decision, where
    the bank does not know, or a measure that it takes is missing."""
    if not recognises(calibrations):
        return None
    known = {f"{domain}.{name}": value for domain, found in measures.items() for name, value in (found or {}).items()}
    recognition = _recognition(calibrations, next(iter(calibrations)))  # they differ in what a model gains only
    return likely(recognition, known) if set(recognition.measures) <= known.keys() else None


def promised_db(calibrations: Maps, shares: Mapping[str, float]) -> dict[str, float]:
    """What every model of a bank that recognises its domains improves SI-SDR by, in dB, when each domain is so
    likely."""
    gains_db = {domain: _recognition(calibrations, domain).gains_db for domain in calibrations}
    return {domain: sum(shares[other] * gain for other, gain in of.items()) for domain, of in gains_db.items()}


def estimates(calibrations: Maps, measures: Named, seen: Mapping[str, float] | None) -> dict[str, float | None]:
    """What every model would improve SI-SDR by, in dB, to judge by the measures of one look back.

    seen: what `recognised` says of them. None, which is no decision, where a model has no map, or a measure that its
    map needs was not taken."""
    if recognises(calibrations):
        return dict.fromkeys(measures) if seen is None else {**promised_db(calibrations, seen)}
    found: dict[str, float | None] = {}
    for domain, values in measures.items():
        maps = calibrations.get(domain)
        found[domain] = estimate(maps.own, values) if maps and values else None
    return found


def estimate(calibration: Calibration, measures: Mapping[str, float]) -> float | None:
    """By a model's own measures, in dB. None where one that is needed is missing.

    >>> half = Calibration(features=[["balance"]], centre=[0.5], scale=[0.5], weights=[2.0], offset_db=5.0,
    ...                    lowest_db=0.0, highest_db=6.0, error_db=1.0)
    >>> estimate(half, {"balance": 0.25}), estimate(half, {"balance": 1.0}), estimate(half, {})
    (4.0, 6.0, None)
    """
    if not {name for names in calibration.features for name in names} <= measures.keys():
        return None
    total = calibration.offset_db
    parts = zip(calibration.features, calibration.centre, calibration.scale, calibration.weights, strict=True)
    for names, centre, scale, weight in parts:
        total += weight * (prod(measures[name] for name in names) - centre) / scale
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


def names_needed(calibrations: Maps) -> set[str]:
    """The measures to take of every look back of this bank, as `confidence.measure` calls them; the mean embedding
    and the texture, which some maps need as well, always come with them (`placed.measure_look_back`)."""
    if recognises(calibrations):
        names = {name.split(".")[-1] for name in _recognition(calibrations, next(iter(calibrations))).measures}
    else:
        features = [feature for maps in calibrations.values() if maps is not None for feature in maps.own.features]
        names = {name for feature in features for name in feature}
    return {name for name in ALL if name in names or ("confidence" in names and name in PAPERS)}


def _fit(recognition: Recognition | None) -> tuple[object, ...] | None:
    """What all models of one fit have alike: all of it but what each gains."""
    if recognition is None:
        return None
    return recognition.measures, recognition.centre, recognition.scale, recognition.weights, recognition.bias


def _recognition(calibrations: Maps, domain: str) -> Recognition:
    """That of a model of a bank that recognises its domains."""
    maps = calibrations[domain]
    assert maps is not None
    assert maps.recognition is not None
    return maps.recognition
