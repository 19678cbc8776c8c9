"""What short trainings say of the papers' networks: figures that export/studies.py measured, in trained.json.

They are no part of the bank that is evaluated, and training takes torch: so they are shown and not measured again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from streamsep.evaluation.intervals import Interval
from streamsep.report import papers
from streamsep.report.cells import number, percent, with_interval
from streamsep.report.study import Cell, Job, Lists, Row, Section, Table

TRAINED = Path(__file__).with_name("trained.json")
PAPERS = "sd_sdr_db"
ENSEMBLE = {PAPERS: "scale-dependent SDR", "sdri_db": "SDR improvement"}
PICKS = ("oracle", "confidence", "random", *papers.DOMAINS)
# SDR improvement in dB of open speakers by dimensions, tanh: oracle and global k-means (Hershey et al. 2016).
DIMS = {5: (-0.7, -1.1), 10: (5.3, 4.6), 20: (6.4, 5.7), 40: (6.5, 5.8)}
TARGETS = {"clustering": (6.5, 5.8), "permuted": (None, 1.3), "strongest": (None, 1.2)}  # the same, of open speakers
NAMES = {"clustering": "clusters", "permuted": "mask head, best order", "strongest": "mask head, strongest first"}
PRICES = {
    "offline": "offline: both ways, windows of 32 ms",
    "causal": "causal, windows of 32 ms",
    "live": "causal, synthesised in windows of 8 ms, as the shipped models are",
}

Network = Mapping[str, Any]  # an entry of trained.json


@dataclass(frozen=True)
class Trained:
    """It has no jobs."""

    name: str = "trained"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """None."""
        return []

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """Never called."""
        return []

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """From trained.json."""
        found = figures()
        tables = [*offline(found), *prices(found), *targets(found), *embeddings(found)]
        return Section("The papers' networks, trained for one small budget", text(found), tables, numbers=dict(found))


@lru_cache(maxsize=1)
def figures() -> Mapping[str, Any]:
    """All of trained.json."""
    content: Mapping[str, Any] = json.loads(TRAINED.read_text(encoding="utf-8"))
    return content


def of(found: Mapping[str, Any], study: str) -> list[Network]:
    """The networks of one study, in order."""
    return [network for network in found["networks"] if network["study"] == study]


def text(found: Mapping[str, Any]) -> list[str]:
    """The budget."""
    paragraphs = [
        "Each of these networks was trained by export/studies.py, with one seed, on one CPU thread, and measured "
        f"after its last step on the first {found['networks'][0]['mixtures']} test mixtures of a domain; nothing is "
        "chosen by them. The papers trained on 20,000 mixtures and on 30 hours of them, over and over: compare the "
        "rows of a table with each other and not with the papers."
    ]
    if whole := of(found, "offline"):
        paragraphs.append(
            f"Budget of all but the embeddings: {budget(whole[0])}, from random weights; "
            f"{whole[0]['parameters']:,} weights offline. Windows of {whole[0]['window_ms']:g} ms, every "
            f"{whole[0]['hop_ms']:g} ms, where nothing else is said."
        )
    if small := of(found, "embeddings"):
        paragraphs.append(
            f"Budget of the embeddings: {budget(small[0])}, for a new head on the trunk of a trained talkers' "
            "network (the bank's at the time), which stays as it is: it had learnt with 20 dimensions, tanh, and a "
            "mask head."
        )
    return paragraphs


def budget(network: Network) -> str:
    """What was heard."""
    seconds = 60 * network["minutes"] / network["examples"]
    return (
        f"{network['steps']} steps, {network['examples']:,} mixtures of {seconds:g} s ({network['minutes']:.0f} min)"
    )


def offline(found: Mapping[str, Any]) -> list[Table]:
    """The paper's ensemble: two layers of 300 both ways, 20 sigmoid dimensions."""
    if "ensemble" not in found:
        return []
    tables = []
    for figure, name in ENSEMBLE.items():
        columns = ["mean, dB"]
        lines: list[tuple[Cell, ...]] = []
        for domain in papers.DOMAINS:
            columns += [domain, "paper"] if figure == PAPERS else [domain]
        for pick in PICKS:
            cells: list[Cell] = []
            row = f"{pick} model" if pick in papers.DOMAINS else pick
            for at, domain in enumerate(papers.DOMAINS):
                cells.append(with_interval(Interval(**found["ensemble"][figure][domain][row])))
                cells += [number(papers.TABLE_1[pick][at])] if figure == PAPERS else []
            lines.append((row, *cells))
        shares: list[Cell] = []
        for at, domain in enumerate(papers.DOMAINS):
            of_all, won, by_lot = (found["ensemble"][figure][domain][pick]["mean"] for pick in PICKS[:3])
            shares.append(percent((won - by_lot) / (of_all - by_lot)))
            shares += [percent(papers.shares(True)[at])] if figure == PAPERS else []
        lines.append(("the confidence wins of what the oracle gains over random", *shares))
        note = "Global k-means. Confidence: the raw product, of the loudest 1 % of the bins."
        if figure == PAPERS:
            note += " Masks that are soft leave every source in both slots, for which this figure makes them pay."
        tables.append(Table(f"The paper's own recipe, offline, as an ensemble: {name}", tuple(columns), lines, note))
    return tables


def prices(found: Mapping[str, Any]) -> list[Table]:
    """Of causality, and of 8 ms."""
    networks = [network for study in PRICES for network in of(found, study)]
    tables = []
    for domain in dict.fromkeys(network["domain"] for study in ("causal", "live") for network in of(found, study)):
        here = [network for network in networks if network["domain"] == domain]
        lines: list[tuple[Cell, ...]] = []
        for network in here:
            paid = found["prices"].get(network["name"])
            lost = [with_interval(Interval(**paid[way])) if paid else None for way in ("oracle", "global")]
            weights = f"{network['parameters']:,}"
            lines.append((PRICES[network["study"]], *shown(network, ("oracle", "global")), *lost, weights))
        ways = ("oracle k-means", "global k-means")
        columns = ("SDR improvement, dB", *ways, *(f"price, {way}" for way in ways), "weights")
        note = (
            f"Trained and tested on {domain}; the last with frames every {here[-1]['hop_ms']:g} ms. Price: what the "
            "offline network has more, mixture by mixture."
        )
        tables.append(Table(f"The price of causality and of 8 ms: {domain}", columns, lines, note))
    return tables


def targets(found: Mapping[str, Any]) -> list[Table]:
    """Clustering against targets in some order."""
    others = of(found, "targets")
    if not others:
        return []
    domain = others[0]["domain"]
    networks = [network for network in of(found, "offline") if network["domain"] == domain] + others
    lines: list[tuple[Cell, ...]] = []
    for network in networks:
        ways = ("oracle", "global") if network["target"] == "clustering" else (None, "masks")
        theirs = (None if value is None else number(value, 1) for value in TARGETS[network["target"]])
        lines.append((NAMES[network["target"]], *shown(network, ways), *theirs))
    columns = ("SDR improvement, dB", "oracle k-means", "blind", "paper, oracle", "paper, blind")
    note = (
        f"One network, one budget, on {domain}; the paper's are of talkers it had not heard. Best order: the "
        "targets come in the order that fits each example best; strongest first: the louder source is always the "
        "first target. Blind: global k-means, or the masks; either in its best order over the whole mixture."
    )
    return [Table("Why cluster: targets in an order, instead", columns, lines, note)]


def embeddings(found: Mapping[str, Any]) -> list[Table]:
    """Dimensions and activations."""
    networks = of(found, "embeddings")
    if not networks:
        return []
    kinds = list(dict.fromkeys(network["activation"] for network in networks))
    columns = ["dimensions", *(f"{kind}, {way}" for kind in kinds for way in ("oracle", "global"))]
    lines: list[tuple[Cell, ...]] = []
    for dims in dict.fromkeys(network["dims"] for network in networks):
        cells: list[Cell] = []
        for kind in kinds:
            here = [network for network in networks if (network["dims"], network["activation"]) == (dims, kind)]
            cells += shown(here[0], ("oracle", "global")) if here else [None, None]
        theirs = [number(value, 1) for value in DIMS[dims]] if dims in DIMS else [None, None]
        lines.append((str(dims), *cells, *theirs))
    note = (
        "SDR improvement in dB, oracle and global k-means, of two talkers nobody had heard before. A sigmoid head "
        "begins with all bins in nearly one place, and does not catch up on this budget."
    )
    heads = (*columns, "paper, oracle", "paper, global")
    return [Table("Embedding dimensions and activations: talkers", heads, lines, note)]


def shown(network: Network, ways: Sequence[str | None]) -> list[Cell]:
    """The SDR improvement of these ways; None: an empty cell."""
    domain = network["domain"]
    return [
        None if way is None else with_interval(Interval(**network["figures"][f"{domain}.{way}.sdri_db"]))
        for way in ways
    ]
