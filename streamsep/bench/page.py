"""A report as one page that needs nothing else: pictures, tables, machine, and the report itself."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from streamsep.bench.pictures import Line, bars, distributions, growth
from streamsep.bench.tables import Table, every_hop, load, measured_on, model_name, sentences, tables

Entry = Mapping[str, Any]

STYLE = """
:root { --paper: #fff; --ink: #1a1a1a; --faint: #e3e3e3; --dim: #666; --late: #c1121f;
  --c0: #0072b2; --c1: #e69f00; --c2: #009e73; --c3: #cc79a7; --c4: #56b4e9; --c5: #d55e00; --c6: #999;
  --c7: #332288 }
@media (prefers-color-scheme: dark) { :root { --paper: #16181b; --ink: #e8e8e8; --faint: #33373d; --dim: #9aa0a6;
  --late: #ff6b6b; --c0: #4aa3df; --c7: #b8a9f0 } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 1320px;
  margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: 0 } h2 { font-size: 1.2em; margin: 1.6em 0 0.3em }
.dim { color: var(--dim) } .row { display: flex; flex-wrap: wrap; gap: 0.5em; align-items: flex-start }
svg { max-width: 100%; height: auto; font: 11px system-ui, sans-serif }
.title { font-weight: 600; font-size: 13px; fill: var(--ink) } .label { fill: var(--dim) }
.grid { stroke: var(--faint) } .line { fill: none; stroke-width: 2 } .mark { stroke: var(--ink); stroke-width: 2 }
.deadline { stroke: var(--late); stroke-width: 1.5; stroke-dasharray: 4 3 } .deadline-name { fill: var(--late) }
.tiles { display: flex; flex-wrap: wrap; gap: 1.5em; margin: 1em 0 } .tiles b { display: block; font-size: 1.7em }
.tiles div { max-width: 12em }
table { border-collapse: collapse; margin: 0.5em 0 }
caption { text-align: left; font-weight: 600; padding: 0.6em 0 0.2em }
th, td { padding: 0.1em 0.8em; text-align: right; border-bottom: 1px solid var(--faint) }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: pre }
.key { display: inline-block; margin-right: 1.2em } .key i { display: inline-block; width: 1.6em; margin-right: 0.4em;
  vertical-align: middle; border-top: 3px solid } .key i.dashed { border-top-style: dashed }
""" + "".join(
    f".line.c{colour} {{ stroke: var(--c{colour}) }} .bar.c{colour}, .dot.c{colour} {{ fill: var(--c{colour}) }} "
    f".key .c{colour} {{ border-color: var(--c{colour}) }}\n"
    for colour in range(8)
)


def page(report: Entry) -> str:
    """HTML. The report is in it too, as JSON, so that the page is all that has to be kept."""
    hop = report["hop"]
    title = f"streamsep bench: {model_name(report)}"
    fade = report["hops"][f"{hop['length_ms']:g}"][report["model"]["precision"]]["fade"]
    tiles = {
        f"usual time of a hop of {hop['length_ms']:g} ms": f"{hop['p50_ms']:.3f} ms",
        "one hop in 1000 takes that or longer": f"{hop['p999_ms']:.3f} ms",
        "load: of the deadline, one core": load(hop),
        "one in 1000 while two models are faded": f"{fade['p999_ms']:.3f} ms",
        "latency of the engine, in to out": f"{hop['latency_ms']:g} ms",
    }
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f'<div class="dim">{escape(line)}</div>' for line in measured_on(report)),
        '<div class="tiles">',
        *(f"<div><b>{value}</b>{escape(meaning)}</div>" for meaning, value in tiles.items()),
        "</div>",
        *compared(report),
        *hops(report),
        *stages(report),
        *cases(report),
        *larger_banks(report),
        "<h2>Tables</h2>",
        *(table(each) for each in tables(report)),
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences(report)),
        "<h2>How it was measured</h2><ul>",
        *(f"<li>{escape(note)}</li>" for note in report["notes"]),
        "</ul>",
        "<p>The report is in this page: the text of the element <code>#report</code> is what <code>--json</code> "
        "prints.</p>",
    ]
    data = json.dumps(report, allow_nan=False).replace("<", "\\u003c")  # no tag in it can end the element
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n"
        f'<script type="application/json" id="report">{data}</script>\n</body></html>\n'
    )


def hops(report: Entry) -> list[str]:
    """Distributions by length of the hop."""
    lines: dict[str, list[Line]] = {}
    deadlines: dict[str, float] = {}
    precisions = list(dict.fromkeys(precision for _, precision, _, _ in every_hop(report)))
    for ms, precision, how, entry in every_hop(report):
        name = f"{precision}{', in a fade' if how == 'fade' else ''}"
        lines.setdefault(ms, []).append(line(report, name, entry, precisions.index(precision), how == "fade"))
        deadlines[ms] = entry["deadline_ms"]
    within = span([each for group in lines.values() for each in group], max(deadlines.values()))
    pictures = [distributions(f"Hop of {ms} ms", group, deadlines[ms], within) for ms, group in lines.items()]
    return [
        "<h2>How many hops took how long</h2>",
        "<p>How many hops took at least so long: further left is faster, steeper is steadier, and what lies right of "
        "the red line came too late.</p>",
        row(pictures),
        legend(next(iter(lines.values()))),
    ]


def stages(report: Entry) -> list[str]:
    """What the time is spent on."""
    rows = {
        f"{ms} ms, {precision}{', fade' if how == 'fade' else ''}": (
            {name: percent(stage["p50_ms"], entry) for name, stage in entry["stages"].items()},
            percent(entry["p999_ms"], entry),
        )
        for ms, precision, how, entry in every_hop(report)
    }
    keys = [Line(name, (), (), 1, colour) for colour, name in enumerate(report["hop"]["stages"])]
    return [
        "<h2>What the time is spent on</h2>",
        "<p>The usual time of every stage; the mark is what one hop in 1000 takes or exceeds.</p>",
        row([bars("Load by stage", rows, "% of the deadline")]),
        legend(keys),
    ]


def cases(report: Entry) -> list[str]:
    """Distributions of what else may be asked of an engine."""
    groups = {
        "Channels": {f"{count} channel{'s' * (count != '1')}": each for count, each in report["channels"].items()},
        "Rate of the device": {f"{rate} Hz": each for rate, each in report["rates"].items()},
    }
    if monitor := report["monitor"]:
        groups["In real time, two cores"] = {
            "without the monitor": monitor["hop_without"], "with the monitor": monitor["hop_with"],
        }  # fmt: skip
    drawn = {
        name: [line(report, each, entry, colour) for colour, (each, entry) in enumerate(entries.items())]
        for name, entries in groups.items()
    }
    deadline_ms = report["hop"]["deadline_ms"]
    within = span([each for group in drawn.values() for each in group], deadline_ms)
    pictures = [
        f"<div>{distributions(name, group, deadline_ms, within)}<br>{legend(group)}</div>"
        for name, group in drawn.items()
    ]
    return ["<h2>Channels, rates, the monitor</h2>", row(pictures)]


def larger_banks(report: Entry) -> list[str]:
    """What grows with the number of models."""
    found = {int(size): each for size, each in report["banks"].items()}
    sizes = list(found)
    hop = {
        "p50": [found[size]["hop"]["p50_ms"] for size in sizes],
        "p99": [found[size]["hop"]["p99_ms"] for size in sizes],
    }
    names = [Line(name, (), (), 1, colour) for colour, name in enumerate(hop)]
    pictures = [f"<div>{growth('Time of a hop', sizes, hop, 'ms')}<br>{legend(names)}</div>"]
    if all(found[size]["look"] for size in sizes):
        looks = {"p50": [found[size]["look"]["p50_ms"] for size in sizes]}
        pictures.append(growth("A usual look of the monitor", sizes, looks, "ms"))
    parts = {"Python": "python_s", "import": "import_s", "models": "open_s", "first hop": "hop_s"}
    starts = {
        f"{size} model{'s' * (size > 1)}": ({name: found[size]["start"][key] for name, key in parts.items()}, None)
        for size in sizes
    }
    if all(found[size]["start"]["rss_mb"] for size in sizes):
        memory = {"MB": [found[size]["start"]["rss_mb"] for size in sizes]}
        pictures.append(growth("Memory of the process", sizes, memory, "MB"))
    return [
        "<h2>Banks of one to eight models, and the start</h2>",
        row(pictures),
        row([bars("From nothing to the first hop", starts, "s")]),
        legend([Line(name, (), (), 1, colour) for colour, name in enumerate(parts)]),
    ]


def compared(report: Entry) -> list[str]:
    """What an earlier report said, if there was one."""
    if "compared_with" not in report:
        return []
    found = report["compared_with"]
    rows = [[each["key"], str(each["old"]), str(each["new"])] for each in found["differs"]]
    usual = [[key, f"{ratio:.2f}"] for key, ratio in found["ratios"].items() if ".stages." not in key]
    return [
        f"<h2>Compared with {escape(found['file'])}</h2>",
        *(
            [table(Table("Not the same", ("", "old", "new"), rows))]
            if rows
            else ["<p>Same machine, same versions.</p>"]
        ),
        f"<details><summary>New over old, {len(usual)} figures</summary>",
        table(Table("", ("", "ratio"), usual)),
        "</details>",
    ]


def line(report: Entry, name: str, entry: Entry, colour: int, dashed: bool = False) -> Line:
    """An entry of the report as it is drawn."""
    return Line(name, report["shares"], entry["curve_ms"], entry["hops"], colour, dashed)


def percent(ms: float, entry: Entry) -> float:
    """Of the deadline."""
    return round(100 * ms / float(entry["deadline_ms"]), 3)


def span(lines: Sequence[Line], deadline_ms: float) -> tuple[float, float]:
    """An axis on which they all have room."""
    return 0.8 * min(each.ms[0] for each in lines), 1.25 * max(deadline_ms, *(each.ms[-1] for each in lines))


def row(parts: Sequence[str]) -> str:
    """Side by side, as far as there is room."""
    return f'<div class="row">{"".join(parts)}</div>'


def legend(lines: Sequence[Line]) -> str:
    """Which line is which."""
    keys = (
        f'<span class="key"><i class="c{each.colour}{" dashed" * each.dashed}"></i>{escape(each.name)}</span>'
        for each in lines
    )
    return f"<div>{''.join(keys)}</div>"


def table(what: Table) -> str:
    """A table."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in what.headings)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in what.rows)
    return (
        f"<table><caption>{escape(what.title)}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )
