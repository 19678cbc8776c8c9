"""`streamsep demo`: the bundled scene, separated and measured, to hear and to look at."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from streamsep.cli.console import ledger_table, print_json, remarks, results
from streamsep.cli.options import AsJson, named

if TYPE_CHECKING:
    from streamsep.demo.run import Performance

PICTURE = "demo.png"


def demo(
    folder: Annotated[
        Path, typer.Option("--output", "-o", parser=named, metavar="DIR", help="Where to write.")
    ] = Path("demo-out"),
    as_json: AsJson = False,
) -> None:
    """Hear it in a minute: separate the scene that comes with streamsep, speech on a building site and then a song.

    Writes mixture.wav (what went in), listen.wav (what the listener hears), one file a source, and demo.png.

    Example: [bold]streamsep demo -o demo-out[/]
    """
    from streamsep import whole_files
    from streamsep.assembly import load
    from streamsep.config import load_settings
    from streamsep.demo import run

    whole_files.prepare(folder)
    scene = run.bundled_scene()
    with load(domain=scene.segments[0].domain, rate=scene.rate) as engine:
        done = run.perform(engine, scene)
    written = run.write(folder, scene, done)
    try:
        run.draw(folder / PICTURE, scene, done, load_settings().gains_db)
        written.append(folder / PICTURE)
    except ModuleNotFoundError:
        remarks.print(f"{PICTURE} was left out: it needs matplotlib, pip install 'streamsep[figures]'")
    if as_json:
        print_json(
            {
                "segments": run.summary(scene, done),
                "latency": done.latency.told(),
                "times_real_time": round(done.times_real_time, 1),
                "files": [str(path) for path in written],
            }
        )
    else:
        show(folder, done, len(scene.mixture) / scene.rate, written)


def show(folder: Path, done: "Performance", seconds: float, written: list[Path]) -> None:
    """What was done, for people."""
    table = Table(title="Each source against the rest (SI-SDR, dB)", title_justify="left")
    for heading in ("model", "source"):
        table.add_column(heading)
    for heading in ("before", "after", "gained"):
        table.add_column(heading, justify="right")
    last = None
    for figure in done.figures:
        if last not in (None, figure.segment):
            table.add_section()
        domain = "" if figure.segment is last else figure.segment.domain
        gained_db = figure.after_db - figure.before_db
        last = figure.segment
        table.add_row(domain, figure.source, f"{figure.before_db:.1f}", f"{figure.after_db:.1f}", f"{gained_db:+.1f}")
    results.print(table)
    results.print(ledger_table(done.latency))
    results.print(
        f"{seconds:.1f} s in one pass as it would be live, hop by hop and with the hand-over from model to model, "
        f"{done.times_real_time:.0f} times faster than real time. The files are aligned: the latency is taken out."
    )
    mixture, listen = folder / "mixture.wav", folder / "listen.wav"
    results.print(f"\nHear {mixture} first, then {listen}: the same, as the listener hears it.")
    results.print("Beside them, for the ears and the eyes: " + ", ".join(path.name for path in written[2:]))
