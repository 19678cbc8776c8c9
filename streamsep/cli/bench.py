"""`streamsep bench`: how long a hop takes here, how fast a file goes, how much memory it needs."""

from typing import Annotated, Any

import typer
from rich.table import Table

from streamsep.cli.console import print_json, remarks, results
from streamsep.cli.options import AsJson, Changes, Config, Domain, chosen

COLUMNS = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms", "max": "max_ms"}


def bench(
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Sound to measure each figure with.")] = 40.0,
    precision: Annotated[str | None, typer.Option(metavar="int8|fp32", help="Which of the models.")] = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Measure speed and memory of the engine on this machine, on one core. Leave the machine alone meanwhile.

    Example: [bold]streamsep bench --seconds 10 --precision fp32[/]
    """
    import streamsep
    from streamsep.assembly import build, separate
    from streamsep.bench.run import measure
    from streamsep.models.bank import open_bank

    settings = chosen(config, domain, [*(changes or []), *([f"models.precision={precision}"] if precision else [])])
    rate = open_bank(**settings.models.model_dump()).front_end.sample_rate
    remarks.print("Measuring; this takes some time, and the machine should do nothing else.")
    report = measure(
        lambda rate, channels: build(settings, rate, channels),
        lambda samples, rate: separate(samples, rate, settings.model_dump()),
        rate,
        seconds,
    )
    report["versions"]["streamsep"] = streamsep.__version__
    load = report["machine"]["load_average"]
    if load is not None and load > 0.5:
        remarks.print(
            f"The machine was busy before (load average {load:g}): the times may be too long.", style="yellow"
        )
    if as_json:
        print_json(report)
    else:
        show(report)


def show(report: dict[str, Any]) -> None:
    """The report, for people."""
    hop, model, machine = report["hop"], report["model"], report["machine"]
    name = f"{model['domain']} {model['version']} ({model['precision']})"
    table = Table(title=f"Time of a hop of {hop['length_ms']:g} ms with {name}, in ms", title_justify="left")
    table.add_column("")
    for heading in COLUMNS:
        table.add_column(heading, justify="right")

    def add(name: str, figures: dict[str, float]) -> None:
        table.add_row(name, *(f"{figures[key]:.3f}" for key in COLUMNS.values()))

    add("whole hop", hop)
    for stage, figures in hop["stages"].items():
        add(f"  {stage}", figures)
    table.add_section()
    for channels, figures in report["channels"].items():
        add(f"{channels} channels", figures)
    for rate, figures in report["rates"].items():
        add(f"at {rate} Hz", figures)
    if report["deadline_case"]:
        add("two models at once", report["deadline_case"])
    table.add_section()
    for domain, figures in report["graph"].items():
        add(f"graph of {domain} alone", figures)
    results.print(table)
    memory, file, batch = report["memory"], report["file"], report["batch"]
    results.print(f"A file: {file['times_real_time']:g} times faster than real time, with all sources.")
    results.print(
        f"Its graph, {batch['frames']} frames at once: {batch['times_real_time']:g} times faster than real time."
    )
    resident = "" if memory["rss_mb"] is None else f"; the process holds {memory['rss_mb']:g} MB"
    results.print(f"Memory: at most {memory['traced_peak_bytes_per_hop']} bytes come and go within a hop{resident}.")
    results.print(f"Import: {report['import_s']:g} s.")
    results.print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['os']}, load {machine['load_average']} before"
    )
    results.print(", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    for note in report["notes"]:
        results.print(note, style="dim")
