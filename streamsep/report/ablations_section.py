"""What the rows of `ablations` say: which variant of the confidence, and which other way, picks best."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from streamsep.report.ablation_pictures import draw_look_backs, draw_ways
from streamsep.report.ablation_scores import (
    Mixtures,
    Value,
    Values,
    Worth,
    calibrated,
    gained_db,
    learned,
    mixtures_of,
    worth,
)
from streamsep.report.autoencoders import EVERY
from streamsep.report.cells import number, percent, percent_with_interval, with_interval
from streamsep.report.study import Cell, Row, Section, Table

MEASURES = {
    "confidence": "silhouette x posterior strength",
    "silhouette": "silhouette alone",
    "posterior_strength": "posterior strength alone",
    "simplified_silhouette": "silhouette to the centres",
    "balance": "balance of the clusters",
    "divergence": "divergence from one cloud",
    "deep_clustering": "deep clustering loss",
    "whitened_k_means": "whitened k-means loss",
}
PRODUCT = MEASURES["confidence"]
WHOLE = "reference"  # the look at everything: the loudest 1 % of 5 s, 1000 points
WHOLE_S = "5.0 s"  # the same among the look backs
TITLE = "What the confidence is made of, and what else picks"
RAW, LINES = "as it is", "by lines"

Worths = dict[str, Worth]  # by name of the variant
Both = dict[str, Worths]  # RAW and LINES


def ablations_section(rows: list[Row]) -> Section:
    """Tables, pictures and numbers."""
    test, val = mixtures_of(rows, "test"), mixtures_of(rows, "val")
    if not test.rows or not val.rows:
        return Section(TITLE, ["There is no mixture on which every model can be scored: a source of each is silent."])
    product = {
        RAW: gained_db(test, [test.grid(measure(WHOLE, "confidence"))]),
        LINES: gained_db(test, [calibrated(val, measure(WHOLE, "confidence"), test)]),
    }

    def both(looks: Mapping[str, Sequence[str]], name: str = "confidence") -> Both:
        """By name of the variant: the looks it is measured at; the lines are fitted at the last."""
        every: Both = {RAW: {}, LINES: {}}
        for called, of in looks.items():
            raw = [test.grid(measure(look, name)) for look in of]
            lines = [calibrated(val, measure(of[-1], name), test, measure(look, name)) for look in of]
            every[RAW][called] = worth(test, raw, product[RAW])
            every[LINES][called] = worth(test, lines, product[LINES])
        return every

    measures: Both = {RAW: {}, LINES: {}}
    for name, called in MEASURES.items():
        for how, found in both({called: [WHOLE]}, name).items():
            measures[how] |= found
    bins, at_the_end, while_heard = both(bin_looks(test)), both(look_backs(test, last=True)), both(look_backs(test))
    ways = ways_to_choose(test, val, product[LINES])
    every = {"measures": measures, "bins": bins, "look_back_at_5_s": at_the_end, "look_back": while_heard}
    return Section(
        TITLE,
        text(test, val, measures, bins, at_the_end, while_heard, ways),
        [
            worth_table(f"The papers' confidence and its kin, {RAW}", measures[RAW], test.models),
            worth_table(
                "The same by a line for every model, fitted on validation mixtures", measures[LINES], test.models
            ),
            short_table("Share of the loudest bins, and points measured", {"": bins}),
            short_table("Look back, streaming", {"at 5 s": at_the_end, "while it is heard": while_heard}),
            worth_table("Ways to choose a model", ways, test.models),
        ],
        [draw_ways(ways), draw_look_backs(while_heard)],
        {
            "mixtures": {"test": len(test.rows), "val": len(val.rows)},
            **{name: {how: plain(found) for how, found in of.items()} for name, of in every.items()},
            "ways": plain(ways),
        },
    )


def measure(look: str, name: str) -> Value:
    """The value of a measure at a look."""
    return lambda row: row["measures"].get(look, {}).get(name)


def bin_looks(test: Mixtures) -> dict[str, list[str]]:
    """The looks with another share of bins, or other points."""
    looks = list(test.rows[0][0]["measures"])
    names = [look for look in looks if look.startswith(("loudest", "points"))]
    return {"loudest 1 %, 1000 points": [WHOLE]} | {look.replace("%", " %"): [look] for look in names}


def look_backs(test: Mixtures, last: bool = False) -> dict[str, list[str]]:
    """The looks with a shorter look back, at every moment or only the last; and the whole, 5 s."""
    found: dict[str, list[str]] = {}
    for look in test.rows[0][0]["measures"]:
        if look.startswith("look back"):
            found.setdefault(look.removeprefix("look back ").split(" at ")[0], []).append(look)
    return {length: looks[-1:] if last else looks for length, looks in found.items()} | {WHOLE_S: [WHOLE]}


def ways_to_choose(test: Mixtures, val: Mixtures, product_db: Any) -> Worths:
    """All that picks, best first."""
    left = val.where(lambda row: row["number"] % EVERY != 0)  # the autoencoders have not heard these
    gains_db = test.si_sdri_db
    truth = (test.domains[:, None] == np.array(test.models)).astype(np.float64)
    scores: dict[str, Values] = {
        "oracle": gains_db,
        "the true domain's model": truth,
        "what all models say of the domain (domain: auto)": test.grid(lambda row: row["promised_db"]),
        "the models' own calibrations": test.grid(lambda row: row["own_db"]),
        "trees: mixture and estimates": learned(val, test, lambda row: row["features"]),
        "trees: the measures as well": learned(val, test, lambda row: row["features"] | row["measures"][WHOLE]),
        f"{PRODUCT}, {RAW}": test.grid(measure(WHOLE, "confidence")),
        f"{PRODUCT}, {LINES}": calibrated(val, measure(WHOLE, "confidence"), test),
    }
    for kind, called in (("mixture", "the mixture"), ("estimates", "the estimates")):
        error = negative_error(kind)
        scores[f"autoencoders of {called}, {RAW}"] = test.grid(error)
        scores[f"autoencoders of {called}, {LINES}"] = calibrated(left, error, test)
    for at, model in enumerate(test.models):
        scores[f"only {model}"] = np.tile(np.arange(len(test.models)) == at, (len(gains_db), 1)).astype(np.float64)
    scores["random"] = np.full(gains_db.shape, np.nan)
    found = {name: worth(test, [each], product_db) for name, each in scores.items() if not said_before(name, scores)}
    return dict(sorted(found.items(), key=lambda each: -each[1].picked_db.mean))


def said_before(name: str, scores: Mapping[str, Values]) -> bool:
    """Whether it says nothing, or what one before says: a bank without calibration, or without recognition."""
    if name == "random":
        return False
    earlier = list(scores.values())[: list(scores).index(name)]
    return bool(np.isnan(scores[name]).all()) or any(
        np.array_equal(scores[name], other, equal_nan=True) for other in earlier
    )


def negative_error(kind: str) -> Value:
    """The smaller the error, the better."""
    return lambda row: None if row["errors"][kind] is None else -row["errors"][kind]


def plain(found: Worths) -> dict[str, Any]:
    """For summary.json."""
    return {name: asdict(each) for name, each in found.items()}


# --------------------------------------------------------------------------------------------------------------- text


def text(
    test: Mixtures, val: Mixtures, measures: Both, bins: Both, at_the_end: Both, while_heard: Both, ways: Worths
) -> list[str]:
    """How it was done, and who wins."""
    product = f"{PRODUCT}, {LINES}"
    bounds = "oracle", "random", "the true domain's model", *(name for name in ways if name.startswith("only"))
    real = {name: each for name, each in ways.items() if name not in bounds}
    published = {name: each for name, each in real.items() if name.startswith(("trees", "autoencoders"))}
    return [
        f"{len(test.rows)} test and {len(val.rows)} validation mixtures, evenly spread over the lists; every model "
        "on each of them, all frames in one run. A pick is worth the SI-SDR improvement of the model picked, "
        "mean of both sources; won is its share of what the oracle gains over random. By lines: for every model a "
        "least-squares line from the measure to SI-SDRi, fitted on the validation mixtures of all domains, so that "
        "the scores of different models compare. r is Pearson's, of the measure and SI-SDRi on mixtures of the "
        "model's own domain, mean of the models. Intervals are 95 %, by bootstrap over talkers, songs and kinds of "
        "sound.",
        f"Which measure wins: {winner(measures[RAW], RAW)}. {winner(measures[LINES], 'By lines')}.",
        f"Which share of bins and how many points: {winner(bins[LINES], LINES, next(iter(bins[LINES])))}. How long a "
        f"look back: {winner(while_heard[LINES], LINES, WHOLE_S)}; at the same moment, after 5 s, "
        f"{winner(at_the_end[LINES], LINES, WHOLE_S)}.",
        f"Which way to choose wins: {winner(real, 'of all', product)}. "
        f"{winner(published | {product: ways[product]}, 'Of what others published and the product', product)}.",
        "Autoencoders (after Kim 2017): 40 mel bands of 16 ms in dB, layers of 64, 8 and 64, 40 epochs on every "
        "second validation mixture: on the domain's mixtures, or, one a slot, on its true sources. The lowest error "
        "is picked; the lines are fitted on the other half. Trees, in place of the network of Manilow et al. (2017): "
        "a random forest for every model, fitted on the validation mixtures, from the mixture's bands and swings and "
        "from the masks, bands and likeness of its estimates to SI-SDRi. Embeddings of other sizes are compared in "
        "the study of short trainings, for all models of a bank have embeddings of one size.",
    ]


def winner(found: Worths, how: str, beside: str = PRODUCT) -> str:
    """Who picks best, and by how much."""
    best = max(found, key=lambda name: found[name].picked_db.mean)
    told = f"{how}, {best} picks best and wins {percent_with_interval(found[best].won)} of the oracle's gain"
    if best == beside or beside not in found:
        return told
    more_db = with_interval(found[best].more_db)
    return f"{told}; {beside} wins {percent_with_interval(found[beside].won)}, {more_db} dB less"


# ------------------------------------------------------------------------------------------------------------- tables


def worth_table(title: str, found: Worths, domains: Sequence[str]) -> Table:
    """A row a variant."""
    columns = "picked by", "SI-SDRi, dB", "more than the product, dB", "won", *domains, "best model picked", "r"
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            with_interval(each.picked_db),
            with_interval(each.more_db),
            percent_with_interval(each.won),
            *(percent(each.won_by_domain.get(domain, float("nan"))) for domain in domains),
            percent(each.right),
            number(mean_r(each)),
        )
        for name, each in found.items()
    ]
    return Table(title, columns, rows)


def short_table(title: str, of: Mapping[str, Both]) -> Table:
    """A row a variant: what is won, as it is and by lines."""
    columns = ["confidence of"]
    for when in of:
        columns += [f"{figure}{when and f', {when}'}" for figure in (f"won {RAW}", f"won {LINES}", "r")]
    rows: list[tuple[Cell, ...]] = []
    for name in next(iter(of.values()))[RAW]:
        cells: list[Cell] = []
        for both in of.values():
            cells += [percent_with_interval(both[how][name].won) for how in (RAW, LINES)]
            cells.append(number(mean_r(both[RAW][name])))
        rows.append((name, *cells))
    return Table(title, tuple(columns), rows)


def mean_r(found: Worth) -> float:
    """Of the models for which there is one."""
    values = [r for r in found.r.values() if not np.isnan(r)]
    return float(np.mean(values)) if values else float("nan")
