"""Where the commands speak: results on stdout, everything else on stderr; and the options that several of them share."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

results = Console(highlight=False, markup=False)
remarks = Console(stderr=True, highlight=False, markup=False)

Config = Annotated[
    str, typer.Option("--config", metavar="NAME|FILE", help="A configuration of configs/ by its name, or a YAML file.")
]
Domain = Annotated[
    str | None, typer.Option("--domain", metavar="NAME", help="The kind of mixture; `streamsep models` lists them.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, for example gains_db.noise=-30. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for a program to read.")]


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """One line of strict JSON on stdout: what is not finite must have been made null before."""
    typer.echo(json.dumps(value, allow_nan=False))


def print_error(text: str) -> None:
    """One red line on stderr, however wide the terminal is."""
    remarks.print(f"streamsep: {text}", style="red", soft_wrap=True)


def decibels(root_mean_square: float) -> float | None:
    """Level in dB; None for silence, whose level is no number.

    >>> decibels(0.1)
    -20.0
    """
    return round(20 * math.log10(root_mean_square), 2) if root_mean_square > 0 else None


def ledger_table(terms: Mapping[str, float], rate: int, title: str) -> Table:
    """The latency term by term, in samples at `rate` and in ms; terms that are zero are left out."""
    table = Table(title=title, title_justify="left", show_footer=True)
    samples = sum(terms.values())
    table.add_column("latency", "together")
    table.add_column("samples", f"{samples:g}", justify="right")
    table.add_column("ms", f"{1000 * samples / rate:.2f}", justify="right")
    for term, length in terms.items():
        if length:
            table.add_row(term, f"{length:g}", f"{1000 * length / rate:.2f}")
    return table
