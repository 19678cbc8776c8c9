"""`streamsep doctor`: what this machine can do, and what stands in the way."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from streamsep.cli.console import print_json, remarks, results
from streamsep.cli.options import (
    Api,
    AsJson,
    Block,
    Changes,
    Channels,
    Config,
    Domain,
    Rate,
    Sink,
    Source,
    chosen,
    samples_a_block,
)

if TYPE_CHECKING:
    from streamsep.doctor.findings import Finding

MARKS = {"good": ("good", "green"), "fair": ("fair", "yellow"), "bad": ("bad", "bold red"), "unknown": ("?", "dim")}
NAME_WIDTH = 25


def doctor(
    api: Api = None,
    source: Source = None,
    sink: Sink = None,
    channels: Channels = None,
    block: Block = None,
    rate: Rate = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    seconds: Annotated[float, typer.Option(min=1, max=60, help="Of each of the two long measurements.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Examine this machine: what stands in the way of sound without gaps, and the command that mends it.

    It takes less than a minute, plays nothing, and changes nothing; with a JACK server that nobody else uses it tries
    other periods, and sets its own again. Whatever it finds, the exit code is 0.

    Example: [bold]streamsep doctor --output headphones[/]
    """
    import streamsep
    from streamsep.bench.machine import machine, versions
    from streamsep.doctor.examine import Patient, examine

    settings = chosen(config, domain, changes)
    patient = Patient(settings, api, source, sink, channels, samples_a_block(block, settings), rate)
    report = examine(patient, seconds, remarks.print)
    about, made_of = machine(), {"streamsep": streamsep.__version__, **versions()}
    if as_json:
        print_json(
            {
                "findings": [asdict(finding) for finding in report.findings],
                "callbacks": {
                    what: {
                        "calls": seen.calls,
                        "period_ms": round(seen.period_ms, 4),
                        "late": seen.late,
                        "gaps": seen.gaps,
                        **seen.figures(),
                    }
                    for what, seen in report.callbacks.items()
                },
                "blocks": {str(block): "safe" if safe else "not safe" for block, safe in report.blocks.items()},
                "smallest_safe_block": report.smallest_safe_block,
                "machine": about,
                "versions": made_of,
            }
        )
        return
    for finding in report.findings:
        show(finding)
    results.print(f"{about['cpu']}, {about['os']}", style="dim")
    results.print(", ".join(f"{name} {version}" for name, version in made_of.items()), style="dim")


def show(finding: "Finding") -> None:
    """One finding, and under it what mends it, on a line of its own that can be copied."""
    row = Table.grid(padding=(0, 1))
    row.add_column(width=4)
    row.add_column(width=NAME_WIDTH)
    row.add_column()
    row.add_row(Text(*MARKS[finding.state]), finding.name, finding.found)
    results.print(row)
    if finding.mend is not None:
        results.print(f"     → {finding.mend}", style="cyan", soft_wrap=True)
