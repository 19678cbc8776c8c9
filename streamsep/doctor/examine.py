"""The examination, part by part, in an order in which nothing disturbs what comes after it."""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from streamsep.assembly import build, fitting_bank
from streamsep.audio import devices as audio
from streamsep.audio.callback import Processor
from streamsep.audio.devices import Device
from streamsep.audio.jack import API, jack, own_client
from streamsep.audio.two_devices import BLOCKS
from streamsep.config import Settings
from streamsep.doctor import findings, machine, sound_findings
from streamsep.doctor.callbacks import Callbacks, watch
from streamsep.doctor.findings import Finding
from streamsep.doctor.sound_findings import Server
from streamsep.errors import DeviceError, DeviceGoneError

TRIED_SHARE = 0.6  # of the time that one measurement takes, for each of them
STAT = Path("/proc/stat")
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


@dataclass
class Report:
    """Everything found, in the order of the examination."""

    findings: list[Finding] = field(default_factory=list)
    callbacks: dict[str, Callbacks] = field(default_factory=dict)  # by what ran in them
    blocks: dict[int, bool] = field(default_factory=dict)  # tried: whether they were safe

    @property
    def smallest_safe_block(self) -> int | None:
        """Samples; None: none of those tried."""
        return min((block for block, safe in self.blocks.items() if safe), default=None)


@dataclass(frozen=True)
class Patient:
    """What to examine: None for a device or a number means what live sound would take."""

    settings: Settings
    api: str | None = None
    source: str | None = None
    sink: str | None = None
    channels: int | None = None
    block: int | None = 0  # see `open_stream`
    rate: int | None = None


def examine(patient: Patient, seconds: float, tell: Callable[[str], object]) -> Report:
    """seconds: of each of the two long measurements. tell: called with a sentence on what is being done.

    Raises ConfigError and ModelError for settings that cannot be, nothing for what the machine cannot do."""
    bank = fitting_bank(patient.settings)
    report = Report()
    report.findings += machine.machine_findings()
    report.findings += sound_system()
    try:
        microphone = audio.find(patient.source, "input", patient.api)
        ears = audio.find(patient.sink, "output", patient.api)
    except DeviceError as error:
        nothing = Finding("callbacks", "unknown", f"nothing to measure with: {error}", "streamsep devices")
        report.findings.append(nothing)
        return report
    channels = patient.channels or min(2, microphone.inputs, ears.outputs)
    rate = patient.rate or ears.rate

    def seen(engine: Processor | None, block: int | None, seconds: float) -> Callbacks:
        return watch(engine, microphone, ears, rate, channels, block, seconds)

    before = machine.read(STAT)
    try:
        tell(f"Callbacks of {ears.name} without a model, {seconds:g} s.")
        report.callbacks["no model"] = seen(None, patient.block, seconds)
        with build(patient.settings, rate, channels, bank=bank)[0] as engine:
            tell(f"Callbacks with the bank, {seconds:g} s.")
            report.callbacks["the bank"] = seen(engine, patient.block, seconds)
            if before is not None and (after := machine.read(STAT)) and (stolen := findings.stolen(before, after)):
                report.findings.append(stolen)
            report.blocks |= try_blocks(lambda block: seen(engine, block, TRIED_SHARE * seconds), ears, tell)
    except DeviceError as error:
        report.findings.append(Finding("callbacks", "bad", str(error), "streamsep devices   # and choose others"))
    server: Server | None = None if ears.api != API else "PipeWire" if machine.pipewire_runs() else "JACK"
    smallest = sound_findings.smallest(report.blocks, server)
    report.findings += [sound_findings.regularity(*each, smallest.mend) for each in report.callbacks.items()]
    report.findings += [smallest] if report.blocks else []
    return report


def sound_system() -> list[Finding]:
    """PortAudio and the sound servers."""
    try:
        (version, apis), found = audio.portaudio_says(), audio.devices()
    except DeviceError:
        return [sound_findings.library(None, [], [])]
    heard: list[Finding | None] = [sound_findings.library(version, found, apis)]
    with jack() as server:
        if server is not None:
            heard.append(sound_findings.jack_server(server.period, server.rate, server.realtime))
        elif shutil.which("jackd") and not machine.pipewire_runs():
            heard.append(sound_findings.no_jack_server())
    heard.append(sound_findings.pipewire(machine.pipewire_settings(), machine.pipewire_runs(), API in apis))
    return [finding for finding in heard if finding is not None]


def try_blocks(
    seen: Callable[[int], Callbacks], sink: Device, tell: Callable[[str], object]
) -> Iterator[tuple[int, bool]]:
    """Blocks, from short to long, up to the first that is safe. With JACK the blocks are the server's: its period is
    changed for each and set back in the end, if nobody else uses it; otherwise only its own period is tried.

    A block that a device refuses is not safe, and said. Raises DeviceGoneError."""

    def is_safe(block: int) -> bool:
        try:
            return seen(block).safe
        except DeviceGoneError:
            raise
        except DeviceError as error:
            tell(str(error))
            return False

    if sink.api != API:
        for block in BLOCKS:
            tell(f"Blocks of {block} samples.")
            safe = is_safe(block)
            yield block, safe
            if safe:
                return
        return
    with leaving_in_order(), jack() as server:
        if server is None:
            return
        own, alone = server.period, server.clients() <= {own_client()}
        try:
            for period in BLOCKS if alone else (own,):
                if not alone or server.set_period(period):
                    tell(f"Periods of {period} samples.")
                    safe = is_safe(0)
                    yield period, safe
                    if safe:
                        return
        finally:
            if server.period != own:
                server.set_period(own)


@contextmanager
def leaving_in_order() -> Iterator[None]:
    """Who is told to end meanwhile does what is left to do first, as after Ctrl-C."""
    heeded = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]  # not those nohup ignores
    for number in heeded:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)
