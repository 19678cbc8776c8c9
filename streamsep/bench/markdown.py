"""The figures of a report that a README quotes, as Markdown."""

from collections.abc import Mapping
from textwrap import fill
from typing import Any

from streamsep.bench.tables import COLUMNS, load, model_name, sentences, stages

Entry = Mapping[str, Any]
WIDTH = 130
BUSY = 0.5  # load average from which on a machine was not idle


def markdown(report: Entry) -> str:
    """A table between two paragraphs; `make bench-readme` puts them into the README."""
    machine, versions = report["machine"], report["versions"]
    told = [
        f"Time of a hop in ms with {model_name(report)}, {report['hop']['hops']} hops each, one core of "
        f"{machine['cores']}, {machine['cpu']}, NumPy {versions['numpy']}, ONNX Runtime {versions['onnxruntime']}; "
        "load is the usual time over the hop's length."
    ]
    if (machine["load_average"] or 0.0) > BUSY:
        told.append(f"The machine was busy with other things (load average {machine['load_average']:g} before).")
    lines = ["| | " + " | ".join(COLUMNS) + " | load |", "|---|" + "---|" * (len(COLUMNS) + 1)]
    for name, entry in quoted(report):
        cells = [f"{entry[key]:.3f}" for key in COLUMNS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {load(entry) if 'deadline_ms' in entry else ''} |")
    return "\n".join([fill(" ".join(told), WIDTH), "", *lines, "", fill(" ".join(sentences(report)), WIDTH)]) + "\n"


def quoted(report: Entry) -> list[tuple[str, Entry]]:
    """The rows, by name."""
    hop, own, length = report["hop"], report["model"]["precision"], f"{report['hop']['length_ms']:g}"
    rows = [(f"whole hop of {length} ms, mono, {own}", hop)]
    rows += [(f"of it: {name.strip()}", each) for name, each in stages(hop)]
    rows.append(("in a fade: two models, two masks made one", report["hops"][length][own]["fade"]))
    if report["catch_up"]:
        rows.append(("in a fade, one of the two running twice", report["catch_up"]))
    rows += [(f"{count} channels", each) for count, each in report["channels"].items() if count != "1"]
    rows += [(f"at {rate} Hz", each) for rate, each in list(report["rates"].items())[1:]]
    for ms, by_precision in report["hops"].items():
        for precision, both in by_precision.items():
            if precision != "latency_ms" and (ms, precision) != (length, own):
                rows.append((f"hop of {ms} ms, {precision}", both["plain"]))
    if monitor := report["monitor"]:
        rows.append(("in real time, without the monitor", monitor["hop_without"]))
        rows.append(("in real time, with the monitor", monitor["hop_with"]))
    return rows
