"""A report in words and numbers, for a terminal, a page and the README alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamsep.bench.report import Ratio

COLUMNS = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms", "max": "max_ms"}
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first cell of a row is its name."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(report: Entry) -> list[Table]:
    """Everything that a person would read of a report, in order."""
    hop, length = report["hop"], f"{report['hop']['length_ms']:g}"
    own = report["hops"][length][report["model"]["precision"]]
    with_stages = [("whole hop", hop), *stages(hop), ("whole hop in a fade", own["fade"]), *stages(own["fade"])]
    lengths = [
        (f"{ms} ms, {precision}{', in a fade' if how == 'fade' else ''}", entry)
        for ms, precision, how, entry in every_hop(report)
    ]
    others = [
        (f"{count} channels" if count != "1" else "1 channel", each) for count, each in report["channels"].items()
    ]
    others += [(f"at {rate} Hz", each) for rate, each in report["rates"].items()]
    if report["catch_up"]:
        others.append(("in a fade, catching up", report["catch_up"]))
    found = [
        timing(f"Time of a hop of {length} ms with {model_name(report)}, in ms", with_stages),
        timing("Hops of other lengths and weights, with and without a fade, in ms", lengths),
        timing("Channels, rates, and the first hops of a warm hand-over, in ms", others),
    ]
    if monitor := report["monitor"]:
        beside = [("without the monitor", monitor["hop_without"]), ("with the monitor", monitor["hop_with"])]
        looks = [
            ("a look of the monitor", monitor["look"]),
            ("a look at 2 s never heard", monitor["whole_look_back"]),
        ]
        found.append(timing("Hops in real time, and the monitor in its own process, in ms", beside + looks))
    graphs = [(f"graph of {domain}", each) for domain, each in report["graph"].items()]
    return [*found, timing("Every model by itself, a hop, in ms", graphs), banks(report)]


def timing(title: str, rows: Sequence[tuple[str, Entry]]) -> Table:
    """Entries by name; load, and how many hops came late, of those that have a deadline."""
    cells = []
    for name, entry in rows:
        figures = [f"{entry[key]:.3f}" if entry[key] < 100 else f"{entry[key]:.1f}" for key in COLUMNS.values()]
        ended = (load(entry), str(entry["late"])) if "late" in entry else ("", "")
        cells.append([name, *figures, *ended])
    if not any("late" in entry for _, entry in rows):
        return Table(title, ["", *COLUMNS], [row[: 1 + len(COLUMNS)] for row in cells])
    return Table(title, ["", *COLUMNS, "load", "late"], cells)


def load(entry: Entry) -> str:
    """Usual time over deadline."""
    return f"{100 * entry['p50_ms'] / entry['deadline_ms']:.1f} %"


def stages(entry: Entry) -> list[tuple[str, Entry]]:
    """By stage, indented."""
    return [(f"  {name}", each) for name, each in entry["stages"].items()]


def every_hop(report: Entry) -> list[tuple[str, str, str, Entry]]:
    """Length in ms, precision, plain or fade, and what was measured."""
    return [
        (ms, precision, how, entry)
        for ms, by_precision in report["hops"].items()
        for precision, both in by_precision.items()
        if precision != "latency_ms"
        for how, entry in both.items()
    ]


def banks(report: Entry) -> Table:
    """What grows with a bank, and what does not."""
    rows = []
    for size, each in report["banks"].items():
        start, hop = each["start"], each["hop"]
        look = "" if each["look"] is None else f"{each['look']['p50_ms']:.0f}"
        memory = "" if start["rss_mb"] is None else f"{start['rss_mb']:.0f}"
        rows.append([
            size, f"{hop['p50_ms']:.3f}", f"{hop['p999_ms']:.3f}", look, f"{1000 * start['open_s']:.0f}",
            f"{1000 * start['together_s']:.0f}", memory,
        ])  # fmt: skip
    headings = ("models", "hop p50", "hop p99.9", "look", "open", "start", "memory")
    return Table("Banks: what grows with the number of models, in ms and MB", headings, rows)


def model_name(report: Entry) -> str:
    """Domain, version and precision."""
    model = report["model"]
    return f"{model['domain']} {model['version']} ({model['precision']})"


def sentences(report: Entry) -> list[str]:
    """What is no row of a table."""
    file, batch, memory, start = (report[key] for key in ("file", "batch", "memory", "start"))
    auto = file["auto_times_real_time"]
    chosen = "" if auto is None else f", {auto:g} times with the monitor's choice"
    held = ""
    if start["rss_mb"] is not None:
        held = f"; the process holds {start['rss_mb']:.0f} MB, {start['rss_import_mb']:.0f} of them after the import"
    lengths = ", ".join(f"{each['latency_ms']:g} ms at a hop of {ms} ms" for ms, each in report["hops"].items())
    rates = ", ".join(f"{each['latency_ms']:g} ms at {rate} Hz" for rate, each in report["rates"].items())
    said = [
        f"Latency of the engine, in to out, without devices: {lengths}; {rates}.",
        f"A file: {file['times_real_time']:g} times faster than real time with all sources{chosen}; the graph by "
        f"itself, {batch['frames']} frames at once, {batch['times_real_time']:g} times.",
        f"Start: {start['together_s']:.2f} s from nothing to the first hop: Python {start['python_s']:.2f}, import "
        f"{start['import_s']:.2f}, models {start['open_s']:.2f}.",
        f"Memory: at most {memory['traced_peak_bytes_per_hop']} bytes come and go within a hop{held}.",
    ]
    if monitor := report["monitor"]:
        ratio = monitor["hop_with"]["p50_ms"] / monitor["hop_without"]["p50_ms"]
        share, held = monitor["share_of_a_core"], monitor["rss_mb"]
        said.append(
            f"The monitor: with it the usual hop takes {ratio:.3f} times as long; every {monitor['every_s']:g} s it "
            f"takes a look, {'an unknown share' if share is None else f'{100 * share:.0f} %'} of another core"
            f"{'' if held is None else f', and its process holds {held:.0f} MB'}."
        )
    return said


def measured_on(report: Entry) -> list[str]:
    """The machine and the versions."""
    machine = report["machine"]
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['os']}, load {machine['load_average']} before; at the "
        f"end a hop took {machine['drift']:g} times as long as in the beginning",
        ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
    ]


def comparison(found: Sequence[Ratio]) -> Table:
    """Ratios, without those of single stages; three percentiles of one thing in a row."""
    percentiles = tuple(COLUMNS.values())[:3]
    rows: dict[str, list[str]] = {}
    for each in found:
        *what, key = each.what
        if "stages" in what:
            continue
        name = " · ".join(what if key in percentiles else each.what)
        row = rows.setdefault(name, ["", "", "", ""])
        row[percentiles.index(key) if key in percentiles else 3] = f"{each.ratio:.2f}"
    table = [[name, *cells] for name, cells in rows.items()]
    return Table(
        "New over old; of times_real_time more is better, of all else less", ["", *list(COLUMNS)[:3], "else"], table
    )
