"""`streamsep models`: what each domain's model is, and how late it makes the sound."""

import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from streamsep.cli.console import ledger_table, print_json, results
from streamsep.cli.options import AsJson, Changes, Config, chosen
from streamsep.realtime.resample import HIGHEST_HZ, LOWEST_HZ


def models(
    rate: Annotated[
        int | None,
        typer.Option(metavar="HZ", min=LOWEST_HZ, max=HIGHEST_HZ, help="Of the sound; by default the models' own."),
    ] = None,
    config: Config = "default",
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """List the domains there are models for: sources, size, licence, checksum, and the latency term by term.

    Example: [bold]streamsep models --rate 48000 --set models.precision=fp32[/]
    """
    from streamsep.assembly import build
    from streamsep.models.bank import open_bank

    settings = chosen(config, None, changes)
    bank = open_bank(**settings.models.model_dump())
    some = settings.model_copy(update={"domain": bank.domains[0]})  # any: a bank has one latency
    with build(some, rate or bank.front_end.sample_rate, channels=1)[0] as engine:
        ledger = engine.latency
    entries: list[dict[str, Any]] = []
    for domain, model in bank.models.items():
        manifest, digest = model.manifest, hashlib.sha256(model.path.read_bytes()).hexdigest()
        entries.append(
            {
                "domain": domain,
                "sources": list(manifest.sources),
                "version": manifest.version,
                "precision": manifest.precision,
                "parameters": manifest.parameters,
                "file": str(model.path),
                "bytes": model.path.stat().st_size,
                "sha256": digest,
                "checksum": compared(model.path, digest),
                "licence": manifest.licence,
                "latency": {"rate": ledger.rate, **ledger.told()},
            }
        )
    if as_json:
        print_json(entries)
        return
    for entry in entries:
        table = Table(show_header=False, title=f"{entry['domain']} {entry['version']}", title_justify="left")
        table.add_column()
        table.add_column(overflow="fold")
        table.add_row("sources", ", ".join(entry["sources"]))
        table.add_row("parameters", f"{entry['parameters']:,}, {entry['precision']}")
        table.add_row("file", f"{Path(entry['file']).name}, {entry['bytes'] / 1e6:.2f} MB")
        table.add_row("SHA-256", f"{entry['sha256']} ({entry['checksum']})")
        table.add_row("licence", entry["licence"])
        results.print(table)
    results.print(ledger_table(ledger))


def compared(path: Path, digest: str) -> str:
    """A file's checksum against SHA256SUMS beside it: "ok", "WRONG" or "not listed"."""
    sums = path.parent / "SHA256SUMS"
    text = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else ""
    lines = (line.split(maxsplit=1) for line in text.splitlines())
    listed = {name.lstrip("*"): known for known, name in (words for words in lines if len(words) == 2)}
    if path.name not in listed:
        return "not listed"
    return "ok" if listed[path.name].lower() == digest else "WRONG"
