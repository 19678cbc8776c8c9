"""Where the commands speak: results on stdout, everything else on stderr."""

import json
from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from streamsep.realtime.ledger import Ledger

results = Console(highlight=False, markup=False, emoji=False)  # names may have colons in them
remarks = Console(stderr=True, highlight=False, markup=False, emoji=False)


def print_json(value: Mapping[str, Any] | list[Any]) -> None:
    """One line of strict JSON on stdout; what is not finite must have been made null before."""
    typer.echo(json.dumps(value, allow_nan=False))


def print_error(text: str) -> None:
    """One red line on stderr, however narrow the terminal is."""
    remarks.print(f"streamsep: {text}", style="red", soft_wrap=True)


def ledger_table(ledger: Ledger) -> Table:
    """A latency ledger for people, term by term; terms that are zero are left out, and what varies is not added."""
    table = Table(title=f"Latency at {ledger.rate} Hz", title_justify="left", show_footer=True)
    table.add_column("term", "together")
    table.add_column("samples", str(ledger.samples), justify="right")
    table.add_column("ms", f"{ledger.ms:.2f}", justify="right")
    for term, samples in ledger.terms.items():
        if samples:
            table.add_row(term, f"{samples:g}", f"{1000 * samples / ledger.rate:.2f}")
    if ledger.filter_ms is not None:
        mean_ms, p95_ms = ledger.filter_ms
        table.add_row("filter: varies with the sound", "", f"{mean_ms:.2f} on average, 95 % within {p95_ms:.2f}")
    return table
