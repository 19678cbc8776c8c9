"""`streamsep live`: from the microphone through the engine to the ears."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from streamsep.cli.console import ledger_json, ledger_table, print_json, remarks, results
from streamsep.cli.options import AsJson, Changes, Config, Domain, chosen

DEVICE = "NAME|NUMBER"  # a device: a part of its name, or its number


def live(
    source: Annotated[str | None, typer.Option("--input", metavar=DEVICE, help="What to listen to.")] = None,
    sink: Annotated[str | None, typer.Option("--output", metavar=DEVICE, help="What to play on.")] = None,
    channels: Annotated[int | None, typer.Option(min=1, help="Of both devices; by default at most 2.")] = None,
    block: Annotated[int, typer.Option(min=0, help="Samples a callback; 0: as the device likes.")] = 0,
    rate: Annotated[int | None, typer.Option(min=1, help="Hz; by default the output device's.")] = None,
    config: Config = "default",
    domain: Domain = None,
    changes: Changes = None,
    bypass: Annotated[bool, typer.Option("--bypass", help="Hear the input, with the same latency.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long, not only at Ctrl-C.")] = None,
    as_json: AsJson = False,
) -> None:
    """Separate what a microphone hears, and play it. Use headphones: loudspeakers would howl. Ctrl-C ends it.

    Example: [bold]streamsep live --domain noise --set gains_db.noise=-30[/]
    """
    from streamsep.assembly import build
    from streamsep.audio import devices
    from streamsep.audio.live import Callback, Stream, collector_frozen

    settings = chosen(config, domain, changes)
    microphone, ears = devices.find(source, "input"), devices.find(sink, "output")
    channels = channels or min(2, microphone.inputs, ears.outputs)

    def tell(status: str) -> None:
        remarks.print(status)

    engine, _, guardian = build(settings, rate or ears.rate, channels, tell)
    with engine:
        engine.bypass(bypass)
        callback = Callback(engine)
        stream = Stream(callback, microphone, ears, engine.rate, channels, block)
        remarks.print(f"{microphone.name} → {settings.domain} → {ears.name}, {engine.rate} Hz, channels: {channels}")
        remarks.print(ledger_table(engine.latency))
        device_ms = stream.latency_ms
        remarks.print(
            f"and the devices: in {device_ms['input']:.2f} ms, out {device_ms['output']:.2f} ms. Ctrl-C ends."
        )
        with collector_frozen(), stream:
            stream.wait(seconds)
        summary = {
            **callback.report(),
            "domain": settings.domain,
            "heard": None if engine.dry else engine.domain,
            "rate": engine.rate,
            "channels": channels,
            "latency": {**ledger_json(engine.latency), "device_ms": device_ms},
            "switches": engine.counters.switches,
            "late_hand_overs": engine.counters.late_hand_overs,
            "monitor": None if guardian is None else asdict(guardian.health),
        }
    if callback.first_fault is not None:
        remarks.print(f"the engine failed {callback.faults} times, first with: {callback.first_fault!r}", style="red")
    if as_json:
        print_json(summary)
    else:
        show(summary)


def show(summary: dict[str, Any]) -> None:
    """The summary, for people."""
    times = ", ".join(f"{name.removesuffix('_ms')} {value} ms" for name, value in summary["callback"].items())
    results.print(f"{summary['seconds']:.1f} s heard in {summary['callbacks']} callbacks: {times}")
    for name in ("underruns", "overruns"):
        causes = summary[name]
        blamed = f" (ours {causes['deadline']}, the device's {causes['device']})" if any(causes.values()) else ""
        results.print(f"{name}: {sum(causes.values())}{blamed}")
