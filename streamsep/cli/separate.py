"""`streamsep separate IN`: a sound file into what the listener hears, its sources, and a summary."""

import json
import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from streamsep.cli.console import ledger_json, print_json, remarks, results
from streamsep.cli.options import AsJson, Changes, Config, Domain, chosen
from streamsep.errors import AudioError

if TYPE_CHECKING:
    from streamsep.arrays import Block
    from streamsep.assembly import Separation
    from streamsep.config import Settings

SUMMARY = "summary.json"


def separate(
    sound: Annotated[
        Path, typer.Argument(metavar="IN", help="A sound file: WAV, FLAC, Ogg, MP3, AIFF; any rate and channels.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write.", show_default="IN's name + -separated"),
    ] = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Separate a sound file: writes listen.wav (what the listener hears), one ROLE.wav a source, and summary.json.

    All have the rate, channels and length of the input and are aligned with it: the engine's latency is taken out.

    Example: [bold]streamsep separate street.wav -o street --domain noise --set gains_db.noise=-30[/]
    """
    from streamsep.assembly import separate as separate_samples
    from streamsep.audio import files

    settings = chosen(config, domain, changes)
    folder = folder or Path(f"{sound.stem}-separated")
    if folder.exists() and not folder.is_dir():
        raise AudioError(f"{folder}: there is a file of this name; -o wants a folder")
    samples, rate = files.read(sound)
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=remarks, transient=True, disable=not remarks.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(f"separating {sound.name}", total=1.0)
        began_s = 0.0

        def progress(share: float) -> None:
            nonlocal began_s
            if share == 0:  # the models are loaded
                began_s = time.perf_counter()
            bar.update(task, completed=share)

        result = separate_samples(samples, rate, settings.model_dump(), progress=progress)
        took_s = time.perf_counter() - began_s
    outputs = {"listen": result.listen, **result.sources}
    summary = summarise(
        sound, samples, rate, settings, result, took_s, [*(f"{name}.wav" for name in outputs), SUMMARY]
    )
    write_all(folder, sound, outputs, rate, summary)
    if as_json:
        print_json(summary)
    else:
        show(folder, summary)


def summarise(
    sound: Path,
    samples: "Block",
    rate: int,
    settings: "Settings",
    result: "Separation",
    took_s: float,
    names: list[str],
) -> dict[str, Any]:
    """What summary.json says, by its keys.

    input: the path as given
    rate, channels, seconds: of the input and of every output; Hz
    domain, sources: the model's, and the names of its slots
    gains_db: by source, as heard in listen.wav; the sources' own files have none
    latency: samples at `rate`, ms, and terms in samples; already taken out of the files
    times_real_time: seconds of sound separated in a second; loading, reading and writing do not count
    levels_db: RMS of the input and of each output in dBFS; null for silence
    counters: what happened on the way, see streamsep.realtime.counters
    model: name, precision, version
    files: what was written, in this folder
    """
    manifest, gains_db = result.manifest, settings.gains_db
    names_roles = zip(result.sources, manifest.sources, strict=True)
    heard = {"input": samples, "listen": result.listen, **result.sources}
    return {
        "input": str(sound),
        "rate": rate,
        "channels": samples.shape[1],
        "seconds": len(samples) / rate,
        "domain": result.domain,
        "sources": list(result.sources),
        "gains_db": {name: gains_db.get(name, gains_db.get(role, 0.0)) for name, role in names_roles},
        "latency": ledger_json(result.latency),
        "times_real_time": round(len(samples) / rate / took_s, 2),
        "levels_db": {name: level_db(what) for name, what in heard.items()},
        "counters": {name: getattr(result.counters, name) for name in result.counters.__slots__},
        "model": {
            "name": f"{manifest.domain}-{manifest.graph}-{manifest.precision}",
            "precision": manifest.precision,
            "version": manifest.version,
        },
        "files": names,
    }


def level_db(samples: "Block") -> float | None:
    """Root mean square level in dBFS; None for silence, whose level is no number."""
    import numpy as np

    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return round(10 * math.log10(power), 2) if power > 0 else None


def write_all(folder: Path, sound: Path, outputs: dict[str, "Block"], rate: int, summary: dict[str, Any]) -> None:
    """Write everything into a hidden folder, then move it out file by file, so that no file is ever half written.

    Raises AudioError when the folder cannot be made or one of the files would replace the input."""
    from streamsep.audio import files

    if any((folder / name).exists() and (folder / name).samefile(sound) for name in summary["files"]):
        raise AudioError(f"{sound}: would be overwritten by an output; choose another folder with -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # inside the folder, because only that is sure to be on the same file system
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as aside:
            for name, samples in outputs.items():
                files.write(Path(aside) / f"{name}.wav", samples, rate)
            (Path(aside) / SUMMARY).write_text(
                json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
            for name in summary["files"]:
                (Path(aside) / name).replace(folder / name)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be written into: {error.strerror or error}") from None


def show(folder: Path, summary: dict[str, Any]) -> None:
    """The summary, for people."""
    table = Table(title=f"{summary['input']} as {summary['domain']}", title_justify="left")
    for heading in ("file", "level dBFS", "gain dB"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for name, level in summary["levels_db"].items():
        file = summary["input"] if name == "input" else str(folder / f"{name}.wav")
        gain = summary["gains_db"].get(name)
        table.add_row(file, "silent" if level is None else f"{level:.1f}", "" if gain is None else f"{gain:+g}")
    results.print(table)
    latency = summary["latency"]
    results.print(
        f"{summary['seconds']:.1f} s, {summary['times_real_time']:g} times faster than real time. "
        f"The files are aligned with the input: the latency of {latency['samples']} samples "
        f"({latency['ms']:g} ms) is taken out."
    )
    for name in ("non_finite_hops", "separator_faults"):
        if summary["counters"][name]:
            results.print(f"{name.replace('_', ' ')}: {summary['counters'][name]}")
