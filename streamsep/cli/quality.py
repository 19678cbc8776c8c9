"""`streamsep quality`: the models over lists of mixtures they were never trained on. For those who make models."""

import json
import math
import os
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import track
from rich.table import Table

from streamsep.cli.console import remarks, results
from streamsep.errors import ConfigError

if TYPE_CHECKING:
    from streamsep.arrays import Block
    from streamsep.assembly import Separation
    from streamsep.evaluation.intervals import Interval


def quality(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with a mixtures.csv and its clips.")],
    split: Annotated[str, typer.Option(help="Which of the lists: test, or val.")] = "test",
    domains: Annotated[str, typer.Option(metavar="NAME,NAME", help="Only these; otherwise all of the bank.")] = "",
    precision: Annotated[str, typer.Option(help="Which of the models: int8 or fp32.")] = "int8",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first mixtures of every list.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Mixtures to separate at a time.")] = os.cpu_count() or 1,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the figures there.")] = None,
) -> None:
    """Measure the models on lists of mixtures, through the whole engine: SI-SDR improvement with 95 % intervals.

    FILE gets {"noise.test.int8.speech.si_sdri_db": {"mean": 9.1, "low": 8.6, "high": 9.6, "n": 200}, ...}, in dB.

    A key without a source is of the mean of all sources; n counts the mixtures.

    Example: [bold]streamsep quality ../shared/data --domains noise --limit 20[/]
    """
    from streamsep.evaluation.lists import mixtures
    from streamsep.evaluation.quality import measure, summarise
    from streamsep.models.bank import open_bank

    known = open_bank(precision=precision).domains
    chosen = tuple(name.strip() for name in domains.split(",")) if domains else known
    if unknown := sorted(set(chosen) - set(known)):
        raise ConfigError(f"--domains: no model for {', '.join(unknown)}; the bank has {', '.join(known)}")
    if file is not None and not file.resolve().parent.is_dir():
        raise ConfigError(f"--json: {file.parent} is not a folder")
    figures: dict[str, Interval] = {}
    latencies_ms: dict[str, float] = {}
    for domain in chosen:
        listed = list(islice(mixtures(data, split, domain), limit))
        found = measure(partial(_separate, precision), listed, processes)
        scores = list(track(found, domain, len(listed), console=remarks, transient=True))
        figures |= summarise(scores, f"{domain}.{split}.{precision}")
        latencies_ms[domain] = scores[0].latency_ms
    show(figures, latencies_ms, f"{split}, {precision}")
    if file is not None:
        plain = {key: _finite(asdict(interval)) for key, interval in figures.items()}
        file.write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def show(figures: "dict[str, Interval]", latencies_ms: dict[str, float], which: str) -> None:
    """The figures, for people: a row for the mean of the slots, then one a slot."""
    table = Table(title=f"SI-SDR improvement, dB ({which}), 95 % intervals by clip", title_justify="left")
    for heading in ("domain", "source"):
        table.add_column(heading)
    for heading in ("mean", "from", "to", "mixtures", "latency, ms"):
        table.add_column(heading, justify="right")
    for key, interval in figures.items():
        domain, _, _, *slot, _ = key.split(".")
        numbers = [f"{value:.2f}" for value in (interval.mean, interval.low, interval.high)]
        if slot:
            table.add_row("", *slot, *numbers, str(interval.n))
        else:
            table.add_section()
            table.add_row(domain, "mean of all", *numbers, str(interval.n), f"{latencies_ms[domain]:.2f}")
    results.print(table)


def _separate(precision: str, mixture: "Block", domain: str) -> "Separation":
    """Through the engine; a function of this module, so that other processes find it."""
    from streamsep.assembly import separate
    from streamsep.evaluation.lists import RATE

    return separate(mixture, RATE, domain=domain, models={"precision": precision})


def _finite(interval: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no nan: null where there was nothing to measure."""
    return {key: value if math.isfinite(value) else None for key, value in interval.items()}
