"""`streamsep quality`: every shipped model over the lists of mixtures it was never trained on."""

import json
import math
import os
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table

from streamsep.arrays import Block
from streamsep.assembly import Result, separate
from streamsep.cli.console import remarks, results
from streamsep.errors import ConfigError
from streamsep.evaluation.intervals import Interval
from streamsep.evaluation.lists import RATE, mixtures
from streamsep.evaluation.quality import Score, measure, summarise
from streamsep.models.bank import open_bank


def quality(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder with a mixtures.csv and the clips it names.")],
    split: Annotated[str, typer.Option(help="Which of the lists: test, or val.")] = "test",
    domains: Annotated[str, typer.Option(metavar="NAME,NAME", help="Only these domains; otherwise all of the bank.")] = "",
    precision: Annotated[str, typer.Option(help="Which of the models: int8 or fp32.")] = "int8",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first mixtures of every list.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="How many mixtures to separate at a time.")] = os.cpu_count() or 1,
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to this file.")] = None,
) -> None:
    """Measure the models on lists of mixtures, through the whole engine: SI-SDR improvement with 95 % intervals.

    Example: streamsep quality ../shared/data --domains noise --limit 20
    """
    known = open_bank(precision=precision).domains
    chosen = tuple(name.strip() for name in domains.split(",")) if domains else known
    if unknown := set(chosen) - set(known):
        raise ConfigError(f"--domains: no model for {', '.join(sorted(unknown))}; the bank has {', '.join(known)}")
    table = Table(title=f"SI-SDR improvement in dB ({split}, {precision}), 95 % interval clustered by clip", title_justify="left")
    for column in ("domain", "slot"):
        table.add_column(column)
    for column in ("mean", "from", "to", "mixtures", "latency, ms"):
        table.add_column(column, justify="right")
    figures: dict[str, Interval] = {}
    for domain in chosen:
        listed = list(islice(mixtures(data, split, domain), limit))
        found = measure(partial(_separate, precision), listed, processes)
        scores = list(track(found, domain, len(listed), console=remarks, transient=True))
        prefix = f"{domain}.{split}.{precision}"
        summary = summarise(scores, prefix)
        figures |= summary
        _add_rows(table, domain, scores, summary, prefix)
    results.print(table)
    if file is not None:
        plain = {key: _finite(asdict(interval)) for key, interval in figures.items()}
        file.write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n")


def _separate(precision: str, mixture: Block, domain: str) -> Result:
    """Through the engine; at module level, so that another process finds it."""
    return separate(mixture, RATE, domain=domain, models={"precision": precision})


def _add_rows(table: Table, domain: str, scores: list[Score], summary: dict[str, Interval], prefix: str) -> None:
    """A row for the mean of the slots, then one a slot."""
    for key, interval in summary.items():
        slot = key.removeprefix(f"{prefix}.").removesuffix("si_sdri_db").rstrip(".")
        figures = [f"{value:.2f}" for value in (interval.mean, interval.low, interval.high)]
        latency = "" if slot else f"{scores[0].latency_ms:.2f}"
        table.add_row("" if slot else domain, slot or "mean of slots", *figures, str(interval.n), latency)
    table.add_section()


def _finite(interval: dict[str, float]) -> dict[str, float | None]:
    """JSON knows no nan: null where there was nothing to measure."""
    return {key: value if math.isfinite(value) else None for key, value in interval.items()}
