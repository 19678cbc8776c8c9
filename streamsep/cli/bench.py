"""`streamsep bench`: how long a hop takes here, how fast a file goes, how much memory it needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from streamsep.cli.console import print_json, remarks, results
from streamsep.cli.options import AsJson, Changes, Config, Domain, chosen
from streamsep.errors import StreamsepError

if TYPE_CHECKING:
    from streamsep.bench.watched import Look
    from streamsep.config import Settings
    from streamsep.realtime.engine import Engine

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
    from streamsep.assembly import build, make_engine
    from streamsep.bench.run import measure
    from streamsep.models.bank import open_bank
    from streamsep.recording import separate

    settings = chosen(config, domain, [*(changes or []), *([f"models.precision={precision}"] if precision else [])])
    bank = open_bank(**settings.models.model_dump())
    if settings.domain == "auto":  # one model is measured
        settings = settings.model_copy(update={"domain": "noise" if "noise" in bank.domains else bank.domains[0]})
    rate = bank.front_end.sample_rate
    remarks.print("Measuring; this takes some time, and the machine should do nothing else.")
    report = measure(
        lambda rate, channels: build(settings, rate, channels)[:2],
        lambda monitor: make_engine(settings, bank, rate, 1, monitor(bank.separators(), bank.front_end.hop)),
        lambda samples, rate: separate(samples, rate, settings.model_dump()),
        rate,
        seconds,
    )
    try:
        report["monitor"] = monitor_report(settings, rate, seconds)
    except StreamsepError as error:  # a bank of one's own may have no monitor
        report["monitor"] = None
        remarks.print(f"the monitor was left out: {error}")
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


def monitor_report(settings: "Settings", rate: int, seconds: float) -> dict[str, Any]:
    """What the monitor of this bank costs; see `bench.watched.measure_monitor`."""
    from streamsep.assembly import build, build_inline
    from streamsep.bench.watched import measure_monitor

    auto = settings.model_copy(update={"domain": "auto"})

    def inline() -> "tuple[Engine, Look, float]":
        engine, _, monitor = build_inline(auto, rate, 1)
        assert monitor is not None
        return engine, monitor.look, settings.monitor.every_s

    def watched() -> "tuple[Engine, Callable[[], int | None]]":
        engine, _, guardian = build(auto, rate, 1)
        assert guardian is not None
        return engine, lambda: guardian.pid

    return measure_monitor(inline, lambda: build(settings, rate, 1)[0], watched, seconds)


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
    if report["catch_up"]:
        add("two, one of them twice", report["catch_up"])
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
    if monitor := report["monitor"]:
        look, without, with_it = (monitor[name] for name in ("look", "hop_without", "hop_with"))
        share = "unknown" if monitor["share_of_a_core"] is None else f"{100 * monitor['share_of_a_core']:.0f} %"
        results.print(
            f"The monitor: a look takes {look['p50_ms']:.0f} ms, at most {look['max_ms']:.0f}; every "
            f"{monitor['every_s']:g} s that is {share} of another core. In real time a hop takes "
            f"{without['p50_ms']:.3f} ms without it and {with_it['p50_ms']:.3f} with it; "
            f"p99.9 {without['p999_ms']:.3f} and {with_it['p999_ms']:.3f}."
        )
    results.print(
        f"{machine['cpu']}, {machine['cores']} cores, {machine['os']}, load {machine['load_average']} before"
    )
    results.print(", ".join(f"{name} {version}" for name, version in report["versions"].items()))
    for note in report["notes"]:
        results.print(note, style="dim")
