"""`streamsep scenes`: how well the monitor follows from one domain to another. For those who make models."""

import hashlib
import json
import math
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.progress import track
from rich.table import Table

from streamsep.cli.console import remarks, results
from streamsep.cli.options import Changes, Config, chosen, leave_alone, writable
from streamsep.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamsep.evaluation.intervals import Interval
    from streamsep.evaluation.scene_run import Switched
    from streamsep.evaluation.switching import Slots
    from streamsep.models.bank import Bank

SETS = ("listed", "made")


def scenes(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with scenes.csv, mixtures.csv and clips.")],
    split: Annotated[str, typer.Option(help="Which of the scenes: test, or val.")] = "test",
    which: Annotated[
        str, typer.Option("--scenes", metavar="listed|made", help="Those of scenes.csv, or made from mixtures.csv.")
    ] = "listed",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first scenes.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Scenes to separate at a time.")] = os.cpu_count() or 1,
    kept: Annotated[
        Path | None, typer.Option("--kept", metavar="DIR", help="Keep figures there: a stopped run goes on.")
    ] = None,
    pictures: Annotated[Path | None, typer.Option("--pictures", metavar="DIR", help="Draw them there.")] = None,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures there.")] = None,
    config: Config = "default",
    changes: Changes = None,
) -> None:
    """Measure the monitor on scenes that go from one domain to another, through the whole engine.

    How much of the time the right domain is heard, how soon after a change, how many switches are wrong; and the
    SI-SDR improvement of what comes out beside every fixed model, a choice by lot and the right model all the time.

    Every figure comes with a 95 % interval, by scene. "settled" leaves out the 4 s after every change.

    Example: [bold]streamsep scenes data --pictures pictures --limit 4[/]
    """
    from itertools import islice

    from streamsep import whole_files
    from streamsep.evaluation import made_scenes
    from streamsep.evaluation import scenes as listed_scenes
    from streamsep.evaluation.scene_figures import draw_delays, draw_worth
    from streamsep.evaluation.scene_run import Kept, measure_scenes
    from streamsep.evaluation.scene_summary import summarise
    from streamsep.models.bank import open_bank
    from streamsep.report.extras import package

    if which not in SETS:
        raise ConfigError(f"--scenes: expected one of {list(SETS)}, got {which!r}")
    leave_alone(changes, {"domain": "the monitor chooses it, and every fixed one is measured beside; leave it out"})
    writable(file)
    settings = chosen(config, "auto", changes)
    bank = open_bank(**settings.models.model_dump())
    if pictures is not None:
        package("matplotlib", "figures")
    for folder in (kept, pictures):
        if folder is not None:
            whole_files.prepare(folder)
    plain = settings.model_dump()
    source = listed_scenes.listed if which == "listed" else made_scenes.made
    keep = None if kept is None else Kept(kept, made_with(bank, plain))
    fixed, switched = partial(_fixed, plain), partial(_switched, plain)
    wanted = islice(source(data, split), limit)  # never all at once: they are megabytes each
    measured = measure_scenes(wanted, bank.domains, fixed, switched, processes, keep)
    scores = list(track(measured, "scenes", limit, console=remarks, transient=True, disable=not remarks.is_terminal))
    summary = summarise(scores)
    show(summary, f"{len(scores)} {which} scenes of {split}")
    if file is not None:
        whole_files.write_texts({file: json.dumps(_plain(summary), indent=1, allow_nan=False) + "\n"})
    if pictures is not None:
        with whole_files.whole(pictures / f"{which}-worth.png") as picture:
            draw_worth(picture, summary)
        with whole_files.whole(pictures / f"{which}-delays.png") as picture:
            draw_delays(picture, scores)


def show(summary: "dict[str, Interval]", title: str) -> None:
    """The figures, for people."""
    table = Table("", "mean", "95 %", "n", box=box.SIMPLE_HEAD, show_edge=False, title=title, title_justify="left")
    for name, interval in summary.items():
        if interval.n:
            between = "-" if math.isnan(interval.low) else f"{interval.low:.2f} to {interval.high:.2f}"
            table.add_row(name, f"{interval.mean:.2f}", between, str(interval.n))
    results.print(table)


def made_with(bank: "Bank", settings: dict[str, Any]) -> dict[str, str]:
    """What a rendering depends on, by domain, and for the switch: checksums of the models, and the settings, of
    which those of the monitor change nothing where one model is heard all the time."""
    from streamsep.models.bank import look_back_graphs

    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    unwatched = {section: value for section, value in settings.items() if section != "monitor"}
    heard = {
        domain: json.dumps([digest(model.path), unwatched], sort_keys=True) for domain, model in bank.models.items()
    }
    judged = [digest(path) for path in look_back_graphs(bank).values()]
    return heard | {"switched": json.dumps([*heard.values(), *judged, settings], sort_keys=True)}


def _plain(summary: "dict[str, Interval]") -> dict[str, dict[str, float | None]]:
    """JSON knows no nan and no infinity: null."""
    return {
        name: {key: value if math.isfinite(value) else None for key, value in asdict(interval).items()}
        for name, interval in summary.items()
    }


def _fixed(settings: dict[str, Any], mixture: "NDArray[np.float32]", domain: str) -> "Slots":
    """One model all the time; a function of this module, so that other processes find it."""
    from streamsep.evaluation.lists import RATE
    from streamsep.recording import separate

    return separate(mixture, RATE, settings, domain).slots


def _switched(settings: dict[str, Any], mixture: "NDArray[np.float32]") -> "Switched":
    """What the monitor makes of it."""
    from streamsep.evaluation.lists import RATE
    from streamsep.evaluation.scene_run import Switched
    from streamsep.recording import separate

    done = separate(mixture, RATE, settings, "auto")
    ends = [*(round(span.start_s * RATE) for span in done.spans[1:]), len(mixture)]
    for span, end in zip(done.spans, ends, strict=True):
        if span.domain is None:  # nothing is separated for the listener: that is what is scored
            done.slots[:, round(span.start_s * RATE) : end] = mixture[round(span.start_s * RATE) : end]
    timeline: list[tuple[float, str | None]] = [(0.0, None)]
    for look in done.decisions:
        if look.active != timeline[-1][1]:
            timeline.append((look.time_s, look.active))
    return Switched(done.slots, timeline)
