"""What the report says of clustering: tables from the rows of `clustering`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from streamsep.evaluation.intervals import Interval, clustered_mean
from streamsep.report.cells import number, with_interval
from streamsep.report.study import Cell, Row, Section, Table

KINDS = ("two", "three", "closed", "same voice", "alone")  # of mixtures
WAYS = (
    "global k-means", "online centres", "mask head", "oracle k-means", "oracle NMF", "ideal ratio mask",
    "phase-sensitive mask", "ideal binary mask",
)  # fmt: skip
Printed = dict[str, tuple[float, float | None]]  # by way

# SDR improvement in dB as Hershey et al. (2016) give it: two talkers whom the training knew, and others.
PAPER: Printed = {"oracle NMF": (5.1, None), "oracle k-means": (6.5, 6.5), "global k-means": (5.9, 5.8)}
PAPER_THREE: Printed = {"oracle NMF": (4.4, None), "oracle k-means": (3.5, 2.8), "global k-means": (2.7, 2.2)}
PAPER_SAME_VOICE: Printed = {"oracle k-means": (0.18, -1.91), "global k-means": (-0.10, -2.54)}

Numbers = dict[str, Any]


def make_section(rows: list[Row]) -> Section:
    """All that the rows allow."""
    numbers: Numbers = {}
    tables = [
        *two_sources(rows, numbers),
        *more_sources(rows, numbers),
        *talkers(rows, numbers),
        *one_source(rows, numbers),
    ]
    return Section("Clustering, and what else the same network can do", TEXT, tables, numbers=numbers)


TEXT = [
    "Deep clustering embeds every time-frequency bin and gives bins that lie together to one source. Here the "
    "networks of the bank are asked for masks in every way there is: by their mask head, which is what is heard; by "
    "centres that follow the embeddings live (models.method: clusters); by k-means over the whole file, as in the "
    "paper; and by centres that are told who owns each bin. Masks of clusters are soft, where the paper gives every "
    "bin to one source.",
    "Around them: ideal masks, which know the sources, through the same windows, and oracle NMF, whose dictionary "
    "(32 spectra a source) is learnt from the very sources of the mixture: it knows far more than one of the same "
    "talkers' other recordings, which is the paper's. Every file is analysed at once; live, mask head and centres "
    "give the same, a synthesis window later.",
]


def two_sources(rows: list[Row], numbers: Numbers) -> list[Table]:
    """Every way on every domain, by both figures; talkers by sex."""
    of = [row for row in rows if row["kind"] == "two"]
    domains = list(dict.fromkeys(row["domain"] for row in of))
    found = []
    for figure, name in (("sdri_db", "SDR"), ("si_sdri_db", "SI-SDR")) if of else ():
        columns = {domain: pick(of, domain=domain) for domain in domains}
        paper = PAPER if figure == "sdri_db" else None
        title = f"Two sources: {name} improvement, dB"
        found.append(table(title, columns, figure, numbers.setdefault("two sources", {}), paper))
    pairs = {pair: pick(of, pairing=pair) for pair in ("different sex", "same sex")}
    if all(pairs.values()):
        title = "Two talkers, by sex: SDR improvement, dB"
        found.append(table(title, pairs, "sdri_db", numbers.setdefault("by sex", {})))
    return found


def more_sources(rows: list[Row], numbers: Numbers) -> list[Table]:
    """Three with networks that learnt two."""
    of = pick(rows, kind="three")
    columns = {domain: pick(of, domain=domain) for domain in dict.fromkeys(row["domain"] for row in of)}
    title = "Three sources by networks that learnt two: SDR improvement, dB"
    return [table(title, columns, "sdri_db", numbers.setdefault("three", {}), PAPER_THREE)] if of else []


def talkers(rows: list[Row], numbers: Numbers) -> list[Table]:
    """Talkers the network knows against others, and one talker over himself."""
    found, known = [], pick(rows, kind="closed")
    if known:
        domains = {row["domain"] for row in known}
        strangers = [row for row in pick(rows, kind="two") if row["domain"] in domains]
        note = (
            "Closed: talkers of the training, in the company of others; each mixture has the corpora, sexes, lengths "
            "and levels of one of the open ones. Their recordings were all heard in training, too. What differs in "
            "the ideal masks is how hard the mixtures are by themselves."
        )
        columns = {"closed": known, "open": strangers}
        title = "Talkers that the training knew (closed), and others (open): SDR improvement, dB"
        found.append(table(title, columns, "sdri_db", numbers.setdefault("closed and open", {}), note=note))
    if same := pick(rows, kind="same voice"):
        note = "Two stretches of one talker at once; in the paper (its female mixtures) hardly anything is left, too."
        title = "One voice over itself: SDR improvement, dB"
        store = numbers.setdefault("same voice", {})
        found.append(table(title, {"this bank": same}, "sdri_db", store, PAPER_SAME_VOICE, note))
    return found


def one_source(rows: list[Row], numbers: Numbers) -> list[Table]:
    """One source alone through networks for two."""
    of = pick(rows, kind="alone")
    if not of:
        return []
    found = []
    for domain in dict.fromkeys(row["domain"] for row in of):
        store = numbers.setdefault("alone", {}).setdefault(domain, {})
        lines: list[tuple[Cell, ...]] = []
        for way in ways_of(of):
            here = pick(of, domain=domain, way=way)
            figures = {name: mean(here, name) for name in ("si_sdr_db", "strayed_db")}
            store[way] = {name: asdict(interval) for name, interval in figures.items()}
            lines.append((way, *map(with_interval, figures.values())))
        columns = ("", "SI-SDR of the slot that has most of it, dB", "what strays to the other, dB")
        found.append(Table(f"One source of {domain} alone, by the network for two", columns, lines))
    return found


def table(
    title: str,
    columns: dict[str, list[Row]],
    figure: str,
    numbers: Numbers,
    paper: Printed | None = None,
    note: str = "",
) -> Table:
    """A row a way, a column for each of these groups of rows; paper: figures for known talkers and for others."""
    lines: list[tuple[Cell, ...]] = []
    for way in ways_of([row for rows in columns.values() for row in rows]):
        found = [mean(pick(rows, way=way), figure) for rows in columns.values()]
        for name, interval in zip(columns, found, strict=True):
            numbers.setdefault(name, {}).setdefault(way, {})[figure] = asdict(interval)
        theirs = (
            [None if value is None else number(value, 1) for value in paper.get(way, (None, None))] if paper else []
        )
        lines.append((way, *map(with_interval, found), *theirs))
    heads = ("paper, closed", "paper, open") if paper else ()
    sizes = [f"{name}: {len({row['mixture'] for row in rows})}" for name, rows in columns.items()]
    brackets = "In brackets the 95 % interval, by talker, song or kind of sound."
    said = " ".join([note, f"Mixtures: {', '.join(sizes)}. {brackets}"]).strip()
    return Table(title, ("", *columns, *heads), lines, said)


def pick(rows: Sequence[Row], **wanted: str) -> list[Row]:
    """Those with these values."""
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def ways_of(rows: Sequence[Row]) -> list[str]:
    """Those there are, in the tables' order."""
    present = {row["way"] for row in rows}
    return [way for way in WAYS if way in present]


def mean(rows: Sequence[Row], figure: str) -> Interval:
    """Over mixtures, of what there is."""
    values = [np.nan if row[figure] is None else float(row[figure]) for row in rows]
    return clustered_mean(values, [row["groups"] for row in rows])
