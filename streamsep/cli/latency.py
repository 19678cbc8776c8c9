"""`streamsep latency`: how late sound is on this machine, by the stopwatch."""

from typing import TYPE_CHECKING, Annotated

import typer

from streamsep.cli.console import ledger_table, print_json, remarks, results
from streamsep.cli.options import (
    Api,
    AsJson,
    Block,
    Changes,
    Channels,
    Config,
    Rate,
    Sink,
    Source,
    chosen,
    samples_a_block,
)

if TYPE_CHECKING:
    from streamsep.audio.round_trip import RoundTrip


def latency(
    api: Api = None,
    source: Source = None,
    sink: Sink = None,
    channels: Channels = None,
    block: Block = None,
    rate: Rate = None,
    config: Config = "default",
    changes: Changes = None,
    seconds: Annotated[float, typer.Option(min=4, max=60, help="The longer, the more repetitions.")] = 6.0,
    level_dbfs: Annotated[float, typer.Option("--level", min=-60, max=-6, help="Of the probe, dBFS.")] = -20.0,
    loop: Annotated[bool, typer.Option("--loop", help="JACK: lead the sound back without a cable.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the whole delay: play a hiss through the engine (bypassed), hear it come back, and compare with the
    ledger. Connect an output of the sound card to an input with a cable first; wear no headphones.

    Example: [bold]streamsep latency --block 128[/]
    """
    from streamsep.assembly import fitting_bank, make_engine
    from streamsep.audio import devices
    from streamsep.audio.jack import API
    from streamsep.audio.round_trip import measure

    settings = chosen(config, None, changes)
    bank = fitting_bank(settings)
    api = api or (API if loop else None)
    microphone, ears = devices.find(source, "input", api), devices.find(sink, "output", api)
    settings = settings.model_copy(update={"domain": bank.domains[0]})  # bypassed, they are all alike
    channels = channels or min(2, microphone.inputs, ears.outputs)
    with make_engine(settings, bank, rate or ears.rate, channels, None) as engine:
        engine.bypass(True)
        engine.reset()
        remarks.print(f"{ears.name} → {'JACK' if loop else 'cable'} → {microphone.name}, {engine.rate} Hz.")
        remarks.print(f"For {seconds:g} s there will be hisses of {level_dbfs:g} dBFS: wear no headphones.")
        samples = samples_a_block(block, settings)
        trip = measure(engine, engine.latency, microphone, ears, samples, seconds, level_dbfs, loop)
    if as_json:
        ledger = trip.ledger.told()
        print_json(
            {
                "measured_ms": round(1000 * trip.measured / trip.ledger.rate, 4),
                "measured_samples": trip.measured,
                "ledger_ms": ledger["ms"],
                "ledger_samples": ledger["samples"],
                "terms": ledger["terms"],
                "terms_ms": ledger["terms_ms"],
                "agrees": trip.agrees,
                "rate": trip.ledger.rate,
                "block": trip.block,
                "probes": trip.probes,
                "echoes": trip.echoes,
                "spread_samples": trip.spread,
                "gaps": trip.gaps,
            }
        )
    else:
        show(trip)


def show(trip: "RoundTrip") -> None:
    """The measurement, for people."""
    rate = trip.ledger.rate
    results.print(ledger_table(trip.ledger))
    spread = f"all within {trip.spread} samples" if trip.spread else "all alike"
    results.print(
        f"measured: {trip.measured} samples, {1000 * trip.measured / rate:.2f} ms "
        f"({len(trip.echoes)} of {trip.probes} probes, {spread})"
    )
    if trip.gaps:
        results.print(f"The sound had {trip.gaps} gaps meanwhile: see `streamsep doctor`.", style="yellow")
    if trip.missing == 0:
        results.print("The ledger is right, to the sample.", style="green")
        return
    much = f"{abs(trip.missing)} samples ({1000 * abs(trip.missing) / rate:.2f} ms)"
    more = "more" if trip.missing > 0 else "less"
    if trip.agrees:
        results.print(f"That is {much} {more} than the ledger says: within a block of {trip.block}.", style="green")
        return
    reason = (
        "The converters, the driver or something wireless takes time that PortAudio does not know of."
        if trip.missing > 0
        else "The sound took a shorter way than through both devices, or a driver tells of buffers it does not use."
    )
    results.print(f"That is {much} {more} than the ledger says, and more than a block of {trip.block}.", style="red")
    results.print(reason)
