"""The figures of a report that a README quotes, as Markdown."""

from collections.abc import Mapping
from typing import Any

from streamsep.bench.tables import COLUMNS, load, model_name, sentences, stages

Entry = Mapping[str, Any]


def markdown(report: Entry) -> str:
    """A paragraph, a table, a paragraph; the README has them between two comments, see the Makefile."""
    hop, machine, versions = report["hop"], report["machine"], report["versions"]
    own, length = report["model"]["precision"], f"{hop['length_ms']:g}"
    rows: list[tuple[str, Entry]] = [(f"whole hop of {length} ms, mono, {own}", hop)]
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
    lines = [
        f"Time of a hop in ms with {model_name(report)}, {hop['hops']} hops each, one core of {machine['cores']}, "
        f"{machine['cpu']}, NumPy {versions['numpy']}, ONNX Runtime {versions['onnxruntime']}; load is the usual "
        "time over the hop's length. `make bench` measures yours.",
        "",
        "| | " + " | ".join(COLUMNS) + " | load |",
        "|---|" + "---|" * (len(COLUMNS) + 1),
    ]
    for name, entry in rows:
        cells = [f"{entry[key]:.3f}" for key in COLUMNS.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {load(entry) if 'deadline_ms' in entry else ''} |")
    return "\n".join([*lines, "", *sentences(report)]) + "\n"
