"""`streamsep separate IN`: a sound file into what the listener hears, its sources, and a summary."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from streamsep.cli.console import print_json, remarks, results
from streamsep.cli.options import AsJson, Changes, Config, Domain, chosen, named, nothing_to_hear, read_sound
from streamsep.cli.written import DECISIONS, SUMMARY, TIMELINE, check_folder, existing, written_at_once
from streamsep.errors import ConfigError
from streamsep.realtime.masking import gain_db_of, slot_names

if TYPE_CHECKING:
    from streamsep.arrays import Block
    from streamsep.config import Settings
    from streamsep.recording import Separation

PIECE = 1 << 20  # samples at a time: of hours of sound there is little room for anything beside it


def separate(
    sound: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A sound file: WAV, FLAC, Ogg, MP3, AIFF; 8 to 192 kHz. Or a folder of `live --record`.",
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=named,
            metavar="DIR",
            help="Where to write.",
            show_default="IN's name + -separated",
        ),
    ] = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Separate a sound file: writes listen.wav (what the listener hears), one ROLE.wav a source, and summary.json.

    All have the rate, channels and length of the input and are aligned with it: the engine's latency is taken out.
    Unless a domain is named, the monitor chooses, as it would live: decisions.jsonl has a line for each of its looks,
    and timeline.png shows them.

    A folder that `streamsep live --record` has written is heard again: with its own settings, and at the same samples
    whatever you or the monitor did. listen.wav is then what was heard live, to the bit, and the latency stays in.

    Example: [bold]streamsep separate street.wav -o street --domain noise --set gains_db.noise=-30[/]
    """
    from streamsep import whole_files
    from streamsep.audio import files
    from streamsep.record.folder import is_recording

    folder = folder or Path(f"{sound.stem}-separated")
    check_folder(folder)
    if is_recording(sound):
        if config != "default" or domain or changes:
            raise ConfigError(
                f"{sound}: a recorded session has settings of its own; for others separate its input.wav"
            )
        with watched(sound.name) as watch:
            done = again(sound, watch, existing(folder))
    else:
        settings = chosen(config, domain, changes)
        with watched(sound.name) as watch:
            done = afresh(sound, settings, watch, existing(folder))
        heard = {domain: slot_names(manifest.sources) for domain, manifest in done.result.manifests.items()}
        if remark := nothing_to_hear(settings, heard):
            remarks.print(remark, soft_wrap=True)
    samples, rate, result = done.samples, done.rate, done.result
    summary = summarise(sound, done, watch.took_s)
    with written_at_once(folder, sound) as aside:
        for name, what in {"listen": result.listen, **result.sources}.items():
            files.write(aside / f"{name}.wav", what, rate)
        if result.domain == "auto":
            write_decisions(aside, sound.name, samples, rate, result)
        outputs = [*(f"{name}.wav" for name in ("listen", *result.sources)), DECISIONS, TIMELINE]
        summary["files"] = [*(name for name in outputs if (aside / name).exists()), SUMMARY]
        whole_files.write_texts({aside / SUMMARY: json.dumps(summary, indent=2, allow_nan=False) + "\n"})
    if as_json:
        print_json(summary)
    else:
        show(folder, summary)


@dataclass(frozen=True)
class Done:
    """What was separated, and what came of it."""

    samples: "Block"
    rate: int
    settings: "Settings"
    result: "Separation"
    replay: dict[str, Any] | None = None  # see `summarise`


class Watch:
    """Told the share that is done: shows it, and how long it took since the models were loaded."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar, self._task = bar, bar.add_task(f"separating {name}", total=1.0)
        self._began_s = self.took_s = 0.0

    def __call__(self, share: float) -> None:
        """From 0 to 1."""
        if share == 0:  # the models are loaded, and no error is to be expected any more
            self._bar.start()
            self._began_s = time.perf_counter()
        self.took_s = time.perf_counter() - self._began_s
        self._bar.update(self._task, completed=share)


@contextmanager
def watched(name: str) -> Iterator[Watch]:
    """A progress bar, where there is a terminal."""
    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=remarks, transient=True, disable=not remarks.is_terminal,
    )  # fmt: skip
    watch = Watch(bar, name)
    try:
        yield watch
    finally:
        if watch.took_s:
            bar.stop()


def afresh(sound: Path, settings: "Settings", watch: Watch, disk: Path) -> Done:
    """A sound file, separated; disk: see `recording.separate`."""
    from streamsep.recording import separate as separate_samples

    samples, rate = read_sound(sound)
    result = separate_samples(samples, rate, settings.model_dump(), progress=watch, disk=disk)
    return Done(samples, rate, settings, result)


def again(folder: Path, watch: Watch, disk: Path) -> Done:
    """A recorded session, heard again; disk: see `recording.separate`."""
    import numpy as np

    from streamsep.replay import replay as hear_again

    heard = hear_again(folder, watch, disk)
    recorded = heard.recorded
    rate, at = recorded.facts["rate"], heard.differs_at
    replay = {
        "equal": at is None,
        "differs_from_s": None if at is None else round(at / rate, 3),
        "difference": heard.difference,
        "dropped": recorded.facts["dropped"],
    }
    return Done(np.nan_to_num(recorded.input), rate, recorded.settings, heard.separation, replay)


def summarise(sound: Path, done: Done, took_s: float) -> dict[str, Any]:
    """What summary.json says, by its keys.

    input: the path as given
    rate, channels, seconds: of the input and of every output; Hz
    domain: as asked for
    spans: what was heard from when on, in seconds; null for the dry sound
    sources: names of the slots of all models that were heard
    gains_db: by source, as heard in listen.wav; the sources' own files have none
    latency: samples at `rate`, ms, and terms in samples; already taken out of the files, but not of a session
    times_real_time: seconds of sound separated in a second; loading, reading and writing do not count
    levels_db: RMS of the input and of each output in dBFS; null for silence
    counters: what happened on the way, see streamsep.realtime.counters
    models: by domain, those that were heard: name, precision, version
    replay: of a recorded session: whether listen.wav is equal to what was heard live, from when on it is not, the
    largest difference (full scale 1), and the samples that the recording lacks (null: it never came to its end)
    files: what was written, in this folder
    """
    samples, rate, result, gains_db = done.samples, done.rate, done.result, done.settings.gains_db
    heard = {"input": samples, "listen": result.listen, **result.sources}
    return {
        "input": str(sound),
        "rate": rate,
        "channels": samples.shape[1],
        "seconds": len(samples) / rate,
        "domain": result.domain,
        "spans": [{"start_s": round(span.start_s, 3), "domain": span.domain} for span in result.spans],
        "sources": list(result.sources),
        "gains_db": {name: gain_db_of(name, gains_db) for name in result.sources},
        "latency": result.latency.told(),
        "times_real_time": round(len(samples) / rate / took_s, 2),
        "levels_db": {name: level_db(what) for name, what in heard.items()},
        "counters": {name: getattr(result.counters, name) for name in result.counters.__slots__},
        "models": {
            domain: {
                "name": f"{manifest.domain}-{manifest.graph}-{manifest.precision}",
                "precision": manifest.precision,
                "version": manifest.version,
            }
            for domain, manifest in result.manifests.items()
        },
        **({} if done.replay is None else {"replay": done.replay}),
    }


def write_decisions(folder: Path, name: str, samples: "Block", rate: int, result: "Separation") -> None:
    """The monitor's looks, a line each, and a picture of them with the sound's name, where there is matplotlib."""
    from streamsep import whole_files
    from streamsep.evaluation.timeline import draw_timeline

    lines = [json.dumps(asdict(look), allow_nan=False) + "\n" for look in result.decisions]
    whole_files.write_texts({folder / DECISIONS: "".join(lines)})
    try:
        with whole_files.whole(folder / TIMELINE) as picture:
            draw_timeline(
                picture,
                name,
                samples,
                rate,
                [look.time_s for look in result.decisions],
                [look.score for look in result.decisions],
                [look.smoothed for look in result.decisions],
                [(span.start_s, span.domain) for span in result.spans],
            )
    except ModuleNotFoundError:
        remarks.print(f"{TIMELINE} was left out: it needs matplotlib, pip install 'streamsep[figures]'")


def level_db(samples: "Block") -> float | None:
    """Root mean square level in dBFS; None for silence, whose level is no number."""
    import numpy as np

    pieces = (samples[at : at + PIECE] for at in range(0, len(samples), PIECE))
    power = sum(float(np.square(piece, dtype=np.float64).sum()) for piece in pieces) / samples.size
    return round(10 * math.log10(power), 2) if power > 0 else None


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
    latency = f"the latency of {summary['latency']['samples']} samples ({summary['latency']['ms']:g} ms)"
    if replay := summary.get("replay"):
        where = f"The files are as late as what was heard: {latency} is in them."
    else:
        where = f"The files are aligned with the input: {latency} is taken out."
    results.print(f"{summary['seconds']:.1f} s, {summary['times_real_time']:g} times faster than real time. {where}")
    if replay and replay["equal"]:
        results.print("listen.wav is what was heard live, to the bit")
    elif replay:
        results.print(
            f"listen.wav is not what was heard live: it differs from {replay['differs_from_s']:.3f} s on, by up to "
            f"{replay['difference']:.3g} of full scale; samples that the recording lacks: {replay['dropped']}"
        )
    if summary["domain"] == "auto":
        spans = ", ".join(f"{span['start_s']:.1f} s {span['domain'] or 'dry'}" for span in summary["spans"])
        results.print(f"heard from {spans}")
    for name in ("non_finite_hops", "separator_faults"):
        if summary["counters"][name]:
            results.print(f"{name.replace('_', ' ')}: {summary['counters'][name]}")
