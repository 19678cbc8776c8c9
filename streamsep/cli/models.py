"""`streamsep models`: what each domain's model is, and how late it makes the sound."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from streamsep.cli.console import AsJson, Config, Set, ledger_table, print_json, results
from streamsep.models.bank import Bank, BankModel


@dataclass(frozen=True)
class Entry:
    """One domain's model, as `streamsep models --json` prints it."""

    domain: str
    sources: list[str]  # roles, in the order of the slots
    version: str
    precision: str
    parameters: int
    file: str
    size_bytes: int
    sha256: str
    checksum: str  # "ok", "wrong", or "not listed": compared with SHA256SUMS beside the file
    licence: str
    latency: dict[str, object]  # samples, rate, ms, terms


def models(config: Config = "default", changes: Set = None, as_json: AsJson = False) -> None:
    """List the domains there are a model for: sources, latency term by term, size, licence, checksum.

    Example: [bold]streamsep models --json[/]
    """
