"""What the rows of `selection` say: Liu, Seetharaman & Pardo's Tables 1 and 2 and Figure 3; what wrong picks cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from streamsep.evaluation.intervals import Interval, clustered_mean, clustered_share
from streamsep.report import papers
from streamsep.report.cells import number, percent, percent_with_interval, probability, with_interval
from streamsep.report.correlation import Correlation, correlation
from streamsep.report.picking import (
    KNOWN,
    SCORES,
    Outcome,
    confusion,
    ensembles,
    nan_mean,
    outcome,
    picked,
    picks,
    precision_and_recall,
    told,
)
from streamsep.report.selection_pictures import draw_every_pair, draw_own_domain
from streamsep.report.study import Cell, Row, Section, Table

WAYS = {"whole": "all of a mixture at once", "streaming": "hop by hop through the engine, with the monitor's looks"}
RATIOS = {"sd_sdr_db": "scale-dependent SDR", "si_sdr_db": "SI-SDR", "sdr_db": "BSS-eval SDR"}
OVERALL = "all"

Numbers = dict[str, dict[str, Any]]


def selection_section(rows: list[Row]) -> Section:
    """Tables, pictures and numbers."""
    found = {way: outcome(rows, way) for way in WAYS}
    sets = {"all": list(found["whole"].models)}
    if set(papers.DOMAINS) <= set(sets["all"]):
        sets = {"papers": list(papers.DOMAINS), **sets}
    numbers: dict[str, Any] = {"mixtures": count(found["whole"])}
    tables = []
    for name, models in sets.items():
        for way in WAYS:
            part = found[way].among(models)
            entry = numbers.setdefault(name, {}).setdefault(way, {})
            for ratio in RATIOS:
                entry[ratio] = {"sdr_db": means(part, ratio), "share_of_gain": shares(part, ratio)}
            entry["confusion"] = {SCORES[score]: confusions(part, values) for score, values in told(part).items()}
            entry["wrong_picks"] = {SCORES[score]: wrong_picks(part, values) for score, values in told(part).items()}
            shown = RATIOS if way == "whole" and name == "all" else ("sd_sdr_db",)
            tables += [table_1(entry[ratio], name, way, ratio) for ratio in shown]
            tables.append(share_table(entry["sd_sdr_db"], name, way))
            tables += [table_2(counts, how, name, way) for how, counts in entry["confusion"].items()]
            if name == "all":
                entry["confidence"] = confidences(part)
                tables += [cost_table(entry["wrong_picks"], way), confidence_table(entry["confidence"], way)]
    numbers["correlations"] = correlations(rows)
    tables.append(correlation_table(numbers["correlations"]))
    pictures = [draw_own_domain(rows), draw_every_pair(rows)]
    return Section("Which model for which mixture", text(numbers), tables, pictures, numbers)


def text(numbers: Mapping[str, Any]) -> list[str]:
    """What to know before the tables."""
    mixtures = ", ".join(f"{n} of {domain}" for domain, n in numbers["mixtures"].items() if domain != OVERALL)
    return [
        f"Test mixtures: {mixtures}. Every model separates every mixture in two ways: {WAYS['whole']}, in one run "
        "of its graph, and its confidence from the loudest bins of all of it, as in the paper; and "
        f"{WAYS['streaming']}, where the confidence is the mean over the looks. A mixture's figure is the mean of "
        "its two sources, in their best order where the model is one for another domain or its sources are alike.",
        "Oracle: the model that turned out best, mixture by mixture. Random: what a choice by lot gives on "
        "average, exactly. Domain known: the model for the mixture's own domain, which is what a perfect "
        "recogniser would take. Confidence: the highest silhouette x posterior strength, as it is. Calibrated: "
        "the highest promise of the models' own calibrations, fitted on validation mixtures. Domain: auto: the "
        "highest promise as the monitor sees it, where the models together say how likely every domain is. "
        "Intervals are 95 %, by bootstrap over the talkers, songs and kinds of sound that the mixtures are made of: "
        "one that is in many mixtures pulls all of them the same way.",
    ]


# ------------------------------------------------------------------------------------------------------------ numbers


def count(found: Outcome) -> dict[str, int]:
    """Mixtures by domain."""
    return {domain: len(found.of(domain)) for domain in (*found.models,)} | {OVERALL: len(found.domains)}


def means(found: Outcome, ratio: str) -> Numbers:
    """By way to choose, then by domain of the mixtures: the mean in dB."""
    every = {**ensembles(found, ratio), "mixture": found.before[ratio]}
    return {
        name: {
            domain or OVERALL: asdict(
                clustered_mean([values[at] for at in found.of(domain)], [found.groups[at] for at in found.of(domain)])
            )
            for domain in (*found.models, None)
        }
        for name, values in every.items()
    }


def shares(found: Outcome, ratio: str) -> Numbers:
    """By score, then by domain: what a choice by it wins of what the oracle gains over random; and what it would win
    to know the domain."""
    every = ensembles(found, ratio)
    result: Numbers = {}
    for score in (*(SCORES[name] for name in told(found)), KNOWN):
        result[score] = {}
        for domain in (*found.models, None):
            at = found.of(domain)
            random = every["random"][at]
            won, there = every[score][at] - random, every["oracle"][at] - random
            interval = clustered_share(won.tolist(), there.tolist(), [found.groups[row] for row in at])
            result[score][domain or OVERALL] = asdict(interval)
    return result


def confusions(found: Outcome, scores: Any) -> dict[str, Any]:
    """Oracle's picks by row, the score's by column, by scale-dependent SDR; precision and recall by model."""
    counts = confusion(found, "sd_sdr_db", scores)
    precision, recall = precision_and_recall(counts)
    return {
        "models": list(found.models),
        "counts": counts.tolist(),
        "precision": dict(zip(found.models, precision.tolist(), strict=True)),
        "recall": dict(zip(found.models, recall.tolist(), strict=True)),
    }


def wrong_picks(found: Outcome, scores: Any) -> Numbers:
    """By domain of the mixtures: how many picks were not the oracle's, what that cost on average over all mixtures,
    and which model was picked how often."""
    values, chosen, oracle = found.ratios["sd_sdr_db"], picks(scores), picks(found.ratios["sd_sdr_db"])
    lost = values.max(axis=1) - picked(values, chosen)
    result = {}
    for domain in found.models:
        at = found.of(domain)
        wrong = chosen[at] != oracle[at]
        result[domain] = {
            "wrong": float(wrong.mean()) if len(at) else float("nan"),
            "lost_db": float(np.nanmean(lost[at])) if len(at) else float("nan"),
            "lost_db_of_a_wrong_one": float(np.nanmean(lost[at][wrong])) if wrong.any() else 0.0,
            "picked": {model: int(np.sum(chosen[at] == number)) for number, model in enumerate(found.models)},
        }
    return result


def confidences(found: Outcome) -> Numbers:
    """By model, then by domain of the mixtures: the mean of the raw confidence."""
    means = {domain: nan_mean(found.scores["confidence"][found.of(domain)].T) for domain in found.models}
    return {
        model: {domain: float(values[at]) for domain, values in means.items()}
        for at, model in enumerate(found.models)
    }


def correlations(rows: Sequence[Row]) -> dict[str, Any]:
    """By way, model, domain of the mixtures and subgroup ("" is all): confidence against SD-SDR, a pair a source."""
    result: dict[str, Any] = {}
    groups: dict[tuple[str, ...], tuple[list[float], list[float]]] = {}
    for row in rows:
        if row["sd_sdr_db"] is None or row["confidence"] is None:
            continue
        for subgroup in {"", row["subgroup"]}:
            x, y = groups.setdefault((row["way"], row["model"], row["domain"], subgroup), ([], []))
            x.append(row["confidence"])
            y.append(row["sd_sdr_db"])
    for (way, model, domain, subgroup), (x, y) in sorted(groups.items()):
        by_domain = result.setdefault(way, {}).setdefault(model, {}).setdefault(domain, {})
        by_domain[subgroup] = asdict(correlation(x, y))
    return result


# ------------------------------------------------------------------------------------------------------------- tables


def table_1(entry: Mapping[str, Any], name: str, way: str, ratio: str) -> Table:
    """A row a way to choose, a column a domain; beside the paper's three domains its figures."""
    found = entry["sdr_db"]
    domains = list(found["oracle"])
    beside = name == "papers" and ratio == "sd_sdr_db"
    columns = ["dB"]
    for domain in domains:
        columns += [domain, "paper"] if beside and domain != OVERALL else [domain]
    rows: list[tuple[Cell, ...]] = []
    for system, by_domain in found.items():
        cells: list[Cell] = [system if system != "mixture" else "the mixture itself"]
        for domain in domains:
            cells.append(with_interval(Interval(**by_domain[domain])))
            if beside and domain != OVERALL:
                theirs = papers.TABLE_1.get(system.removeprefix("only "))
                cells.append(number(theirs[papers.DOMAINS.index(domain)]) if theirs else None)
        rows.append(tuple(cells))
    return Table(f"Table 1, {among(name)}: mean {RATIOS[ratio]}, {WAYS[way]}", tuple(columns), rows)


def share_table(entry: Mapping[str, Any], name: str, way: str) -> Table:
    """What a choice wins of what the oracle gains over random."""
    found = entry["share_of_gain"]
    domains = list(next(iter(found.values())))
    rows: list[tuple[Cell, ...]] = [
        (score, *(percent_with_interval(Interval(**by_domain[domain])) for domain in domains))
        for score, by_domain in found.items()
    ]
    if name == "papers":
        for printed, called in ((True, "paper, by its random row"), (False, "paper, by the mean of its models")):
            theirs = [
                percent(papers.shares(printed)[papers.DOMAINS.index(each)]) for each in domains if each != OVERALL
            ]
            rows.append((called, *theirs, None))
    note = "The paper's random row is not the mean of its three models: a share by each." if name == "papers" else ""
    title = f"Won of what the oracle gains over random, {among(name)}: scale-dependent SDR, {WAYS[way]}"
    return Table(title, ("", *domains), rows, note)


def table_2(found: Mapping[str, Any], how: str, name: str, way: str) -> Table:
    """The confusion matrix, with precision and recall."""
    models, counts = found["models"], found["counts"]
    beside = name == "papers" and how == "confidence"
    columns = ["oracle's pick", *(f"pick: {model}" for model in models), "recall", *(["paper's recall"] * beside)]
    rows: list[tuple[Cell, ...]] = []
    for at, model in enumerate(models):
        theirs = [percent(papers.RECALL[papers.DOMAINS.index(model)])] if beside else []
        rows.append((model, *(str(each) for each in counts[at]), percent(found["recall"][model]), *theirs))
    rows.append(("precision", *(percent(found["precision"][model]) for model in models), None, *([None] * beside)))
    if beside:
        theirs = [percent(papers.PRECISION[papers.DOMAINS.index(model)]) for model in models]
        rows.append(("paper's precision", *theirs, None, None))
    title = f"Table 2, {among(name)}: the oracle's pick against the pick by {how}, mixtures, {WAYS[way]}"
    return Table(title, tuple(columns), rows)


def cost_table(found: Mapping[str, Any], way: str) -> Table:
    """Where the gain is lost."""
    rows: list[tuple[Cell, ...]] = []
    for how, by_domain in found.items():
        for domain, each in by_domain.items():
            often = ", ".join(f"{model} {n}" for model, n in each["picked"].items() if n)
            cells = percent(each["wrong"]), number(each["lost_db"]), number(each["lost_db_of_a_wrong_one"])
            rows.append((f"{how}, {domain}", *cells, often))
    title = f"What wrong picks cost: scale-dependent SDR, {WAYS[way]}"
    columns = ("by, in", "not the oracle's", "lost on average, dB", "by a wrong one, dB", "picked")
    return Table(title, columns, rows)


def confidence_table(found: Numbers, way: str) -> Table:
    """Whether raw confidences can be compared at all."""
    rows: list[tuple[Cell, ...]] = [
        (model, *(number(by_domain[domain], 3) for domain in found)) for model, by_domain in found.items()
    ]
    note = "Where a column's largest figure is not its own model's, the raw confidence picks another one."
    title = f"Mean confidence of every model, by row, on the mixtures of every domain, {WAYS[way]}"
    return Table(title, ("model", *found), rows, note)


def correlation_table(found: Mapping[str, Any]) -> Table:
    """Every model on every domain, and subgroups."""
    rows: list[tuple[Cell, ...]] = []
    for way, by_model in found.items():
        for model, by_domain in by_model.items():
            for domain, by_subgroup in by_domain.items():
                for subgroup, values in by_subgroup.items():
                    if subgroup and model != domain:
                        continue
                    each = Correlation(**values)
                    name = f"{model} on {domain}{f', {subgroup}' if subgroup else ''}"
                    cells = number(each.r), probability(each.p), number(each.rho), number(each.slope), str(each.n)
                    rows.append((name, way, *cells))
    note = (
        "p is of pairs that know nothing of each other; clips recur and a mixture has two sources, so it is too "
        "small. The paper: r = 0.46 for vocals, 0.63 for instrumentals, 0.70 for environment."
    )
    columns = ("model on mixtures of", "way", "Pearson r", "p", "Spearman rho", "dB per unit", "sources")
    return Table("Figure 3 in figures: confidence against scale-dependent SDR", columns, rows, note)


def among(name: str) -> str:
    """The domains of a set, for a title."""
    return "the paper's three domains" if name == "papers" else "all domains of the bank"
