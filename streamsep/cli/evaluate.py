"""`streamsep evaluate`: the papers' tables for a bank, on lists of mixtures. For those who make models."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from streamsep.cli.console import remarks, results
from streamsep.cli.options import named
from streamsep.errors import ConfigError


def evaluate(
    lists: Annotated[
        Path, typer.Option("--lists", metavar="DIR", help="A folder with mixtures.csv and the clips it names.")
    ],
    report: Annotated[
        Path,
        typer.Option(
            "--report", "-o", parser=named, metavar="REPORT", help="A folder for the report; a run in it goes on."
        ),
    ],
    bank: Annotated[str, typer.Option(metavar="NAME|DIR", help="The bank: zoo, or a folder of models.")] = "zoo",
    studies: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="Which parts of it; all: all but hearing.")
    ] = "all",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first mixtures of every domain.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Mixtures at a time.")] = os.cpu_count() or 1,
) -> None:
    """Do for a bank what the papers did for theirs: every model on every domain's test mixtures, and who picks best.

    REPORT/report.html is one page with everything, report.md the same; results.csv has a row a source, summary.json
    the numbers of all tables.

    What was stopped goes on where it was when the command is given again. Needs the extra "evaluate".

    Example: [bold]streamsep evaluate --lists data -o report --limit 10[/]
    """
    from streamsep.report.extras import require
    from streamsep.report.runner import run
    from streamsep.report.studies import BY_NAME_ONLY, STUDIES, chosen
    from streamsep.report.study import Lists
    from streamsep.report.write import write_report

    require()
    names = [name.strip() for name in studies.split(",")]
    if names == ["all"]:
        names = [name for name in STUDIES if name not in BY_NAME_ONLY]
    wanted = chosen(names)
    if report.exists() and not report.is_dir():
        raise ConfigError(f"-o: {report} is a file; the report needs a folder of its own")
    what = Lists(lists, bank, limit)
    columns = TextColumn("evaluate"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=remarks, transient=True, disable=not remarks.is_terminal) as progress:
        bar = progress.add_task("")
        rows = run(wanted, what, report, processes, lambda done, of: progress.update(bar, completed=done, total=of))
    write_report(wanted, rows, what, report)
    results.print(f"{report / 'report.html'}")
