"""The first screen of the report: what was tested, the figures beside the paper's, what differs; then the targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamsep.evaluation.intervals import Interval
from streamsep.report import papers
from streamsep.report.cells import number, percent, percent_with_interval
from streamsep.report.picking import KNOWN
from streamsep.report.study import Cell, Section, Table

OURS = ("domain: auto", "calibrated")  # the best there is of what makes confidences comparable
RAW = "confidence"
LEAST_SHARE = 0.9
LEAST_R = 0.5
WAY, RATIO = "whole", "sd_sdr_db"  # the paper's


@dataclass(frozen=True)
class Headline:
    """What stands on the first screen."""

    title: str
    verdict: str
    tables: list[Table]
    differs: list[str]


def headline(numbers: Mapping[str, Any], bank: Mapping[str, Any]) -> Headline:
    """numbers: of the study "selection"; bank: what summary.json says of it."""
    mixtures, models = numbers["mixtures"]["all"], len(bank["models"])
    return Headline(
        f"Does the confidence pick the right model? {mixtures} mixtures, {models} models",
        verdict(numbers),
        [*([beside_the_paper(numbers)] if "papers" in numbers else []), all_domains(numbers)],
        differences(numbers, bank),
    )


def verdict(numbers: Mapping[str, Any]) -> str:
    """In two sentences."""
    whole, live = (numbers["all"][way][RATIO]["share_of_gain"] for way in ("whole", "streaming"))
    best = best_score(numbers["all"][WAY])
    rows = targets(numbers).tables[0].rows
    ours = "" if best == RAW else f"{best} {percent(whole[best]['all']['mean'])} "
    return (
        "Of what the oracle gains over a choice by lot on all domains, the confidence as the paper has it wins "
        f"{percent(whole[RAW]['all']['mean'])}, {ours}({percent(live[best]['all']['mean'])} while the sound comes "
        f"in), and who knows the domain {percent(whole[KNOWN]['all']['mean'])}. "
        f"{sum(row[-1] == 'kept' for row in rows)} of {len(rows)} targets are kept."
    )


def beside_the_paper(numbers: Mapping[str, Any]) -> Table:
    """Three domains: ours, and in the next column the paper's."""
    found = numbers["papers"][WAY]
    best = best_score(found)
    columns = ["mean SDR, dB"]
    for domain in papers.DOMAINS:
        columns += [domain, "paper"]
    names = {
        "oracle": "oracle",
        KNOWN: KNOWN,
        best: f"confidence, {best}",
        RAW: "confidence, raw",
        "random": "random",
    }
    rows: list[tuple[Cell, ...]] = []
    for system, name in names.items():
        cells: list[Cell] = []
        for at, domain in enumerate(papers.DOMAINS):
            theirs = papers.TABLE_1.get(system)
            cells += [number(found[RATIO]["sdr_db"][system][domain]["mean"]), number(theirs[at]) if theirs else None]
        rows.append((name, *cells))
    printed, meant = papers.shares(True), papers.shares(False)
    for system in dict.fromkeys((RAW, best)):
        cells = []
        for at, domain in enumerate(papers.DOMAINS):
            both = f"{percent(printed[at])} or {percent(meant[at])}" if system == RAW else None
            cells += [percent(found[RATIO]["share_of_gain"][system][domain]["mean"]), both]
        rows.append((f"won of oracle over random, {'raw' if system == RAW else best}", *cells))
    for figure, theirs in (("precision", papers.PRECISION), ("recall", papers.RECALL)):
        cells = []
        for at, domain in enumerate(papers.DOMAINS):
            cells += [percent(found["confusion"][RAW][figure][domain], 1), percent(theirs[at], 1)]
        rows.append((f"{figure} of the raw pick", *cells))
    cells = []
    for domain in papers.DOMAINS:
        groups = numbers["correlations"][WAY][domain][domain]
        cells += [number(groups[""]["r"]), {"music": "0.46, 0.63", "environment": "0.70"}.get(domain)]
    rows.append(("Pearson r of confidence and SDR", *cells))
    note = (
        "Scale-dependent SDR, whole mixtures, the paper's three domains. Its random row is not the mean of its three "
        "models, so its share is given by both; its r for music is of vocals and of the accompaniment."
    )
    return Table("Ours beside Liu, Seetharaman & Pardo 2019", tuple(columns), rows, note)


def all_domains(numbers: Mapping[str, Any]) -> Table:
    """Every model of the bank on every domain it has, whole and streaming."""
    rows: list[tuple[Cell, ...]] = []
    for way in ("whole", "streaming"):
        found = numbers["all"][way]
        domains = list(found[RATIO]["sdr_db"]["oracle"])
        for system in ("oracle", *found[RATIO]["share_of_gain"], "random"):
            means = (number(found[RATIO]["sdr_db"][system][domain]["mean"]) for domain in domains)
            won = found[RATIO]["share_of_gain"].get(system, {}).get("all")
            rows.append((f"{way}: {system}", *means, percent_with_interval(Interval(**won)) if won else None))
    return Table(f"All {len(domains) - 1} domains", ("mean SDR, dB", *domains, "won of oracle over random"), rows)


def differences(numbers: Mapping[str, Any], bank: Mapping[str, Any]) -> list[str]:
    """What to bear in mind when the two are compared."""
    sizes = sorted(model["parameters"] for model in bank["models"].values())
    counts = ", ".join(f"{n} of {domain}" for domain, n in numbers["mixtures"].items() if domain != "all")
    found = [
        f"Causal, and {bank['latency_ms']:g} ms late; the paper's networks (two bidirectional layers of 300) see "
        "the whole mixture, to its end, before they say anything of its beginning.",
        f"Small models: {sizes[0]:,} to {sizes[-1]:,} weights, {bank['precision']}.",
        "Other data: real recordings of other corpora, "
        f"{counts} in mixtures of 5 s; the paper's are WSJ0, MUSDB and five classes of UrbanSound8K, 3,000 a domain.",
        "A model's masks are what is heard here; in the paper the clusters are the masks. The confidence is of the "
        "clusters in both.",
    ]
    if "papers" in numbers:
        known = {
            ratio: numbers["papers"][WAY][ratio]["sdr_db"][KNOWN]["all"]["mean"] for ratio in (RATIO, "si_sdr_db")
        }
        found.append(
            "Scale-dependent SDR counts a source that comes out too soft as an error, and a mask that is unsure "
            f"makes it soft: with the domain known {number(known[RATIO])} dB over the three, by SI-SDR "
            f"{number(known['si_sdr_db'])} dB."
        )
    if extra := [domain for domain in bank["models"] if domain not in papers.DOMAINS]:
        found.append(f"A harder choice: beside the paper's three domains there is {' and '.join(extra)}.")
    return found


def targets(numbers: Mapping[str, Any]) -> Section:
    """What was aimed at, and what was reached, by scale-dependent SDR."""
    rows: list[tuple[Cell, ...]] = []
    whole = numbers["all"][WAY]
    best = best_score(whole)
    for way in ("whole", "streaming"):
        gains = numbers["all"][way][RATIO]["share_of_gain"]
        for domain, won in gains[best].items():
            if domain != "all":
                rows.append(aim(f"{best} above random on {domain}, {way}", won["mean"], 0.0))
        rows.append(
            aim(
                f"{best} wins of the oracle's gain over random, all domains, {way}",
                gains[best]["all"]["mean"],
                LEAST_SHARE,
            )
        )
    if "papers" in numbers:
        raw = numbers["papers"][WAY][RATIO]["share_of_gain"][RAW]
        for at, domain in enumerate(papers.DOMAINS):
            least = min(papers.shares(True)[at], papers.shares(False)[at])
            rows.append(aim(f"raw confidence wins of it on {domain}, as the paper's", raw[domain]["mean"], least))
    for model, by_domain in numbers["correlations"][WAY].items():
        r = by_domain[model][""]["r"]
        kept = "kept" if r >= LEAST_R else "missed"
        rows.append((f"r of confidence and SDR of {model} on its own domain", f"{LEAST_R}", number(r), kept))
    return Section("Targets", why(numbers), [Table("", ("", "at least", "found", ""), rows)])


def aim(name: str, share: float, least: float) -> tuple[Cell, ...]:
    """A row."""
    return name, percent(least), percent(share), "kept" if share >= least else "missed"


def why(numbers: Mapping[str, Any]) -> list[str]:
    """Where the raw confidence and the calibrated one lose most, in a sentence each."""
    found = numbers["all"][WAY]
    said = []
    for how in dict.fromkeys((RAW, best_score(found))):
        by_domain = found["wrong_picks"][how]
        worst = max(by_domain, key=lambda domain: by_domain[domain]["lost_db"])
        picked = by_domain[worst]["picked"]
        often = max((model for model in picked if model != worst), key=lambda model: picked[model], default=worst)
        said.append(
            f"By {how} most is lost on {worst}, {by_domain[worst]['lost_db']:.2f} dB on average: of "
            f"{sum(picked.values())} mixtures {picked[often]} go to {often}."
        )
    if unlike := over_confident(found["confidence"]):
        said.append(
            "Raw confidences of different models cannot be compared: on average "
            + ", ".join(f"{model} is surer than {domain} of mixtures of {domain}" for model, domain in unlike)
            + "."
        )
    means = found[RATIO]["sdr_db"]
    gains = {
        domain: means["oracle"][domain]["mean"] - means["random"][domain]["mean"]
        for domain in found["wrong_picks"][how]
    }
    least = min(gains, key=lambda domain: gains[domain])
    said.append(
        f"The oracle's gain over random, which the shares are of, is {min(gains.values()):.2f} dB on {least} and "
        f"at most {max(gains.values()):.2f} dB: where it is small, a few wrong picks are a large share of it."
    )
    known = found[RATIO]["share_of_gain"][KNOWN]["all"]["mean"]
    said.append(
        f"Who knows the domain of every mixture and takes its model wins {percent(known)} of that gain: what is left "
        "to the oracle are mixtures that the model of another domain happens to separate better."
    )
    return said


def over_confident(found: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str]]:
    """(model, domain) where the mean confidence of a domain's own model is not the largest.

    >>> over_confident({"music": {"music": 0.3, "speech": 0.2}, "speech": {"music": 0.1, "speech": 0.1}})
    [('music', 'speech')]
    """
    surest = {domain: max(found, key=lambda model: found[model][domain]) for domain in found}
    return [(model, domain) for domain, model in surest.items() if model != domain]


def best_score(found: Mapping[str, Any]) -> str:
    """Of the scores that were told, the one that should be best."""
    told = found[RATIO]["share_of_gain"]
    return next((name for name in OURS if name in told), RAW)
