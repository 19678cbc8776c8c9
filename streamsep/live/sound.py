"""The process with the sound: a callback, and one thread that sleeps. It is asked and answers in lines of JSON.

A sound server that dies leaves PortAudio waiting for it for minutes, and unable to begin anew; a process can be
ended. So this one gives up whenever its device does, and the session starts another.

It is asked: {"select": domain}, {"gain": [name, dB]}, {"bypass": bool}, {"stop": true}.
It answers: {"error": text} and ends, or {"opened": facts}, then {"now": figures} again and again, {"look":
evaluation}, {"say": text} and {"changed": facts} in between, and at last {"end": report}, or {"gone": text,
"report": report}.
"""

import json
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import streamsep
from streamsep.assembly import Tell, build, fitting_bank, make_guard
from streamsep.audio import devices
from streamsep.audio.callback import Callback
from streamsep.audio.devices import Device
from streamsep.audio.jack import API, counter
from streamsep.audio.live import Stream, collector_frozen
from streamsep.audio.two_devices import open_stream
from streamsep.child import deaf_to_signals
from streamsep.config import Settings
from streamsep.errors import DeviceGoneError, StreamsepError
from streamsep.live.wires import Wires
from streamsep.models.bank import Bank
from streamsep.monitor.evaluation import Evaluation
from streamsep.monitor.guardian import Guardian
from streamsep.priority import come_first
from streamsep.realtime.engine import Engine
from streamsep.realtime.howl import HowlGuard
from streamsep.realtime.overload import HIGHEST, MONITOR_SLOW, SLOWER
from streamsep.record.folder import facts
from streamsep.record.recorder import Recorder

TOLD_EVERY_S = 0.05
SWITCH_INTERVAL_S = (
    0.0005  # the callback waits at most so long for a thread that computes; Python's usual is ten times that
)
LINE = 1 << 16


@dataclass(frozen=True)
class SoundPlan:
    """What is to be played, and how. It is pickled."""

    settings: Settings
    api: str | None = None  # a part of the name of the devices' host API; None: any
    source: str | None = None  # devices: a part of the name, or the number; None: the default one
    sink: str | None = None
    known: tuple[Device, Device] | None = None  # what these were to a process before: they are waited for
    channels: int | None = None  # None: at most two
    block: int | None = 0  # samples; 0: as the device likes; None: the shortest that it takes
    rate: int | None = None  # Hz; None: the output device's
    bypass: bool = False
    heard: str | None = None  # the domain to begin with where the monitor chooses; None: the dry sound
    selected: str | None = None  # by the listener, since: a domain, or "auto"
    gains_db: dict[str, float] = field(default_factory=dict)  # that were changed since
    record: Path | None = None  # the folder to record into
    part: int = 1  # of the recording: one more for every process that has played


class Speaker:
    """Lines of JSON to whoever started us; when they have gone, nobody hears them."""

    def __init__(self) -> None:
        self._file = os.dup(sys.__stdout__.fileno() if sys.__stdout__ else 1)
        os.dup2(2, 1)  # what a library prints is a complaint, not an answer
        self._lock = threading.Lock()  # of several threads, none of them the audio side's

    def say(self, **what: Any) -> None:
        """One line."""
        line = (json.dumps(what, allow_nan=False) + "\n").encode()
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._file, line) :]
            except OSError:
                return


def serve(plan: SoundPlan, lifeline: int) -> None:
    """The life of the process."""
    deaf_to_signals()
    come_first()  # all threads here: whoever of them is interrupted may hold Python's lock
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    speaker = Speaker()
    asked: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    if plan.selected is not None:
        asked.put({"select": plan.selected})  # before anything that is asked from now on
    threading.Thread(target=_listen, args=(lifeline, asked), daemon=True).start()
    try:
        _play(plan, speaker, asked)
    except StreamsepError as error:
        speaker.say(error=str(error))
    sys.stderr.flush()
    os._exit(0)  # not by way of PortAudio, which would wait for a sound server that has died


def _listen(lifeline: int, asked: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """What is asked, line by line; in the end, to stop."""
    rest = b""
    while said := os.read(lifeline, LINE):
        *lines, rest = (rest + said).split(b"\n")
        for line in lines:
            asked.put(json.loads(line))
    asked.put({"stop": True})


def _play(plan: SoundPlan, speaker: Speaker, asked: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """From the first sample to the last. Raises StreamsepError when it cannot begin."""
    bank = fitting_bank(plan.settings)
    microphone, ears = find_devices(plan)
    channels = plan.channels or min(2, microphone.inputs, ears.outputs)
    recorder: Recorder | None = None

    def tell(status: str) -> None:
        speaker.say(say=status)
        if recorder is not None:
            recorder.note("said", text=status)

    def look(seen: Evaluation) -> None:
        speaker.say(look=asdict(seen))
        if recorder is not None:
            recorder.look(asdict(seen))

    engine, _, guardian = build(
        plan.settings, plan.rate or ears.rate, channels, tell=tell, look=look, first=plan.heard, bank=bank
    )
    with engine, ExitStack() as ending:
        engine.bypass(plan.bypass)
        for name, gain_db in plan.gains_db.items():
            engine.set_gain(name, gain_db)
        guard = make_guard(plan.settings, engine.rate, channels)
        callback = Callback(engine, guard)
        stream = open_stream(callback, microphone, ears, engine.rate, channels, plan.block)
        asked_by_jack = counter() if microphone.api == ears.api == API else None
        callback.hold_ups.asked = asked_by_jack
        wires = Wires(microphone, ears, engine.rate, stream, callback)
        told = wires.told()
        names = {"input": microphone.name, "output": ears.name, "api": ears.api}
        recorder = _record(plan, engine, bank, names | told, speaker)
        if recorder is not None:
            callback.tape = ending.enter_context(recorder).tape
        speaker.say(
            opened={
                **names,
                **told,
                "devices": [asdict(microphone), asdict(ears)],
                "rate": engine.rate,
                "channels": channels,
                "domains": list(engine.domains),
                "sources": {name: list(slots) for name, slots in engine.slots.items()},
                "latency": engine.latency.told(),
                "watched": guardian is not None,
            }
        )
        player = Player(engine, callback, guardian, recorder, guard, plan.bypass)
        with collector_frozen():
            stream.start()
            gone = player.run(stream, speaker, tell, asked, wires)
            if gone is None:
                told = wires.told()  # as they are in the end
                stream.stop()
                if asked_by_jack is not None:
                    asked_by_jack.close()
        ending.close()
        report = player.report()
    if gone is None:
        speaker.say(end=report | told)
    else:
        speaker.say(gone=gone, report=report)


def find_devices(plan: SoundPlan) -> tuple[Device, Device]:
    """Microphone and ears. Raises DeviceError."""
    if plan.known is not None:
        microphone, ears = plan.known
        return devices.refind(microphone, "input"), devices.refind(ears, "output")
    return devices.find(plan.source, "input", plan.api), devices.find(plan.sink, "output", plan.api)


def _record(
    plan: SoundPlan, engine: Engine, bank: Bank, used: Mapping[str, Any], speaker: Speaker
) -> Recorder | None:
    """The recorder, if there is to be one: of the first process in the folder itself, of a later one in a folder in
    it. used: facts of the devices. Raises StreamsepError when it cannot begin; later on the sound matters more."""
    if plan.record is None:
        return None
    folder = plan.record if plan.part == 1 else plan.record / str(plan.part)
    made_with = facts(plan.settings, bank, engine, plan.heard, used)
    made_with["versions"]["streamsep"] = streamsep.__version__
    try:
        return Recorder(folder, engine, made_with, lambda status: speaker.say(say=status))
    except StreamsepError as error:
        if plan.part == 1:
            raise
        speaker.say(say=f"not recorded: {error}")
        return None


class Player:
    """What the control thread does while there is sound."""

    def __init__(
        self,
        engine: Engine,
        callback: Callback,
        guardian: Guardian | None,
        recorder: Recorder | None,
        guard: HowlGuard | None,
        bypassed: bool,
    ) -> None:
        self._engine, self._callback, self._guardian, self._recorder = engine, callback, guardian, recorder
        self._guard, self._howls = guard, 0
        self._bypassed = bypassed
        self._pace = 1
        self._overloaded = False  # since no model ran, until everything does again
        self._gaps: dict[str, Any] = {}  # by cause, as the recorder knows them

    def run(
        self, stream: Stream, speaker: Speaker, tell: Tell, asked: "queue.SimpleQueue[dict[str, Any]]", wires: Wires
    ) -> str | None:
        """Until somebody asks to stop: None; or the device goes away: what became of it. tell: called with a sentence
        for the user."""
        while True:
            for request in _all_of(asked):
                if "stop" in request:
                    return None
                try:
                    self._do(request)
                except StreamsepError as error:
                    tell(str(error))
            try:
                stream.check()
            except DeviceGoneError as gone:
                return str(gone)
            self._relieve_monitor()
            self._tell_of_overload(tell)
            self._warn_of_howling(tell)
            self._check_recorder()
            if changed := wires.changed():
                speaker.say(changed=changed)
            speaker.say(now=self.now())
            time.sleep(TOLD_EVERY_S)

    def _do(self, request: dict[str, Any]) -> None:
        """What was asked for."""
        if self._recorder is not None:
            self._recorder.note("asked", **request)
        if "select" in request:
            self._engine.select(request["select"])
        if "gain" in request:
            self._engine.set_gain(*request["gain"])
        if "bypass" in request:
            self._bypassed = bool(request["bypass"])
            self._engine.bypass(self._bypassed)

    def _relieve_monitor(self) -> None:
        """On a machine that cannot keep up it looks less often."""
        pace = SLOWER if self._callback.overload.level >= MONITOR_SLOW else 1
        if pace != self._pace and self._guardian is not None:
            self._pace = pace
            self._guardian.board.slow_down(pace)

    def _tell_of_overload(self, tell: Tell) -> None:
        """Say so when no model runs any more, and when everything does again; the meter shows what lies between."""
        level = self._callback.overload.level
        if level == HIGHEST and not self._overloaded:
            self._overloaded = True
            tell("too slow: the models are off, the dry sound is heard, with the same latency")
        elif level == 0 and self._overloaded:
            self._overloaded = False
            tell("fast enough again: the models are back")

    def _warn_of_howling(self, tell: Tell) -> None:
        """Say so when the microphone hears the loudspeaker."""
        guard = self._guard
        if guard is not None and guard.howls != self._howls:
            self._howls = guard.howls
            where = f" at {guard.tone_hz:.0f} Hz" if guard.tone_hz else ""
            tell(f"it howls{where} and was turned down: use headphones, or lower a gain")

    def _check_recorder(self) -> None:
        """See how it is, and let it know of gaps in the sound."""
        if self._recorder is None:
            return
        self._recorder.check()
        gaps = {"underruns": self._callback.underruns.told(), "overruns": self._callback.overruns.told()}
        if self._callback.gaps and gaps != self._gaps:
            self._gaps = gaps
            self._recorder.note("gaps", **gaps)

    def now(self) -> dict[str, Any]:
        """Figures of this moment, for the meter; levels in dB of full scale, null for silence."""
        engine, callback = self._engine, self._callback
        peaks = callback.peaks
        levels = [_decibels(peak) for peak in peaks]
        peaks[:] = 0.0, 0.0
        return {
            "seconds": round(callback.frames / engine.rate, 2),
            "levels_db": levels,
            "sources_db": {name: _decibels(level) for name, level in engine.source_levels().items()},
            "domain": engine.domain,
            "dry": engine.dry,
            "bypassed": self._bypassed,
            "locked": engine.locked,
            "load": round(callback.load, 4),
            "worst_load": round(callback.worst_load, 4),
            "gaps": callback.gaps,
            "overload": callback.overload.level,
            "switches": engine.counters.switches,
        }

    def report(self) -> dict[str, Any]:
        """Everything counted, at the end."""
        engine, callback, guardian = self._engine, self._callback, self._guardian
        if callback.first_fault is not None:
            fault = f"the engine failed {callback.faults} times, first with: {callback.first_fault!r}"
        else:
            fault = None
        return {
            **callback.report(),
            "fault": fault,
            "heard": None if engine.dry else engine.domain,
            "counters": asdict(engine.counters),
            "monitor": None if guardian is None else asdict(guardian.health),
            "howls": 0 if self._guard is None else self._guard.howls,
            "recording": None if self._recorder is None else self._recorder.report(),
        }


def _all_of(asked: "queue.SimpleQueue[dict[str, Any]]") -> Iterator[dict[str, Any]]:
    """What waits, without waiting for more."""
    while not asked.empty():
        yield asked.get()


def _decibels(linear: float) -> float | None:
    """Rounded; None for nothing."""
    return round(20 * math.log10(linear), 1) if linear > 0 else None
