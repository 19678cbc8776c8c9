"""`streamsep check MODEL.onnx`: does this model keep the laws?"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from streamsep.cli.console import print_json, results
from streamsep.cli.options import AsJson


def check(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A step graph with its manifest.")],
    as_json: AsJson = False,
) -> None:
    """Run the laws that every separator must keep on a model of your own; exit code 1 when it breaks one.

    Example: [bold]streamsep check my-domain-step-fp32.onnx[/]
    """
    from streamsep.models.laws import check_laws

    verdicts = check_laws(model)
    kept = all(verdict.passed for verdict in verdicts)
    if as_json:
        print_json({"model": str(model), "passed": kept, "laws": [asdict(verdict) for verdict in verdicts]})
    else:
        table = Table(title=str(model), title_justify="left", show_lines=True)
        for heading in ("", "law", "found"):
            table.add_column(heading, overflow="fold")
        for verdict in verdicts:
            mark = Text("pass", "green") if verdict.passed else Text("FAIL", "red")
            table.add_row(mark, f"{verdict.name}:\n{verdict.law}", verdict.detail.replace("; ", "\n"))
        results.print(table)
    if not kept:
        raise typer.Exit(1)
