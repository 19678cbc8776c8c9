"""A session of live sound, seen from outside: it starts the process with the sound, and another when that one ends.

What the listener has chosen (domain, gains, bypass) outlives the process; what the models remember does not: the
sound before a gap says little of the sound after it.
"""

import json
import queue
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from streamsep.audio.device_latency import whole_way
from streamsep.audio.devices import Device
from streamsep.audio.tallies import Times
from streamsep.child import Child, message
from streamsep.errors import DeviceError, StreamsepError
from streamsep.live.sound import SoundPlan, serve
from streamsep.monitor.guardian import SETTLED_S, wait_s
from streamsep.realtime.engine import AUTO
from streamsep.realtime.ledger import Ledger

HANG_S = 10.0  # without a word from the process with the sound
SUSPENDED_S = 1.0  # longer than this no step takes: we were stopped (Ctrl-Z), or the machine slept
START_LIMIT_S = 60.0  # to open the models and the device
STOP_LIMIT_S = 10.0  # to fade out, to close the device and to write down the last of a recording
SUMS = ("seconds", "callbacks", "faults", "howls")
CAUSES = ("underruns", "overruns")


class Sound(Protocol):
    """The process with the sound, as the session knows it."""

    def ask(self, **what: Any) -> None:
        """One request, see `sound`."""
        ...

    def answers(self) -> Iterator[dict[str, Any]]:
        """What it said since, without waiting for more."""
        ...

    def ended(self) -> str | None:
        """What it died of, when it is dead and everything it said was heard."""
        ...

    def kill(self) -> None:
        """End it, at once."""
        ...


class SoundProcess:
    """A real one."""

    def __init__(self, plan: SoundPlan) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # until `kill`
        self._child = Child(message(serve, plan), self._complaints, answering=True)
        self._said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.answers is not None
        with self._child.answers as answers:
            for line in answers:
                self._said.put(json.loads(line))

    def ask(self, **what: Any) -> None:
        """One request, see `sound`."""
        self._child.tell((json.dumps(what) + "\n").encode())

    def answers(self) -> Iterator[dict[str, Any]]:
        """What it said since, without waiting for more."""
        while not self._said.empty():
            yield self._said.get()

    def ended(self) -> str | None:
        """What it died of, when it is dead and everything it said was heard."""
        code = self._child.exit_code()
        if code is None or self._reader.is_alive() or not self._said.empty():
            return None
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip()
        return said.splitlines()[-1][:300] if said else f"exit code {code}"

    def kill(self) -> None:
        """End it, at once."""
        self._child.kill()
        self._reader.join()  # it hears the end of what was said
        self._child.end(STOP_LIMIT_S)
        self._complaints.close()


class Session:
    """From the first sound to the summary. One thread's; `step` now and then, it waits for nothing."""

    def __init__(
        self,
        plan: SoundPlan,
        tell: Callable[[str], object],
        look: Callable[[dict[str, Any]], object] = lambda evaluation: None,
        start: Callable[[SoundPlan], Sound] = SoundProcess,
    ) -> None:
        """tell: called with a sentence for the user. look: with every look of the monitor."""
        self.plan = plan
        self.opened: dict[str, Any] | None = None  # facts of the newest process that has opened its device
        self.now: dict[str, Any] | None = None  # figures of this moment
        self.finished = False
        self.reconnections = 0
        self.decisions = 0
        self._tell, self._look, self._start = tell, look, start
        self._sound: Sound | None = None
        self._reports: list[dict[str, Any]] = []
        self._playing = self._stopping = False
        self._stopping_s: float | None = None  # since when, by the clock of `step`
        self._failures = 0
        self._next_s = self._started_s = self._heard_s = self._stepped_s = 0.0

    def step(self, now_s: float) -> None:
        """Hear what the process with the sound says, and see that there is one. now_s: a clock that only goes on.

        Raises StreamsepError when the first of them could not begin."""
        if now_s - self._stepped_s > SUSPENDED_S:  # what was said meanwhile is still on its way
            self._heard_s += now_s - self._stepped_s
        self._stepped_s = now_s
        if self._stopping and self._stopping_s is None:
            self._stopping_s = now_s
        if self._sound is None:
            if self._stopping:
                self.finished = True
            elif now_s >= self._next_s:
                self._started_s = self._heard_s = now_s
                self._playing = False
                try:
                    self._sound = self._start(self.plan)
                except OSError as error:
                    self._lose(f"the process with the sound could not be started: {error.strerror}", now_s)
            return
        for answer in self._sound.answers():
            self._heard_s = now_s
            self._hear(answer, now_s)
            if self._sound is None:
                return
        if (cause := self._sound.ended()) is not None:
            self._lose(f"the process with the sound ended: {cause}", now_s)
        elif self._stopping_s is not None:
            if now_s - self._stopping_s > STOP_LIMIT_S:
                lost = ": what it counted is lost" if self._playing else ""
                self._tell(f"the process with the sound did not end and was killed{lost}")
                self.close()
                self.finished = True
        elif now_s - self._heard_s > (HANG_S if self._playing else START_LIMIT_S):
            self._lose("the process with the sound gave no sign of life and was ended", now_s)

    def ask(self, **what: Any) -> None:
        """A request of the listener, see `sound`; it holds for every process to come."""
        if "select" in what:
            if what["select"] == AUTO != self.plan.settings.domain:  # there is no monitor to choose
                return
            self.plan = replace(self.plan, selected=what["select"])
        if "gain" in what:
            name, gain_db = what["gain"]
            self.plan = replace(self.plan, gains_db=self.plan.gains_db | {name: gain_db})
        if "bypass" in what:
            self.plan = replace(self.plan, bypass=what["bypass"])
        if self._sound is not None:
            self._sound.ask(**what)

    def stop(self) -> None:
        """Fade out and end; `finished` tells when that is done, STOP_LIMIT_S after the next step at the latest."""
        self._stopping = True
        if self._sound is not None:
            self._sound.ask(stop=True)

    def close(self) -> None:
        """End it as it is."""
        if self._sound is not None:
            self._sound.kill()
            self._sound = None

    def _hear(self, answer: dict[str, Any], now_s: float) -> None:
        if "now" in answer:
            self._note(answer["now"])
        elif "look" in answer:
            self.decisions += 1
            self._look(answer["look"])
        elif "say" in answer:
            self._tell(answer["say"])
        elif "opened" in answer:
            self._open(answer["opened"])
            self._playing = True
            source, sink = (Device(**facts) for facts in answer["opened"]["devices"])
            self.plan = replace(self.plan, known=(source, sink), part=self.plan.part + 1)
        elif "changed" in answer:
            assert self.opened is not None
            before_ms, self.opened = self.ledger.ms, self.opened | answer["changed"]
            block = self.opened["block"]
            self._tell(f"the device's blocks have {block} samples now{self._than(before_ms)}")
        elif "end" in answer:
            assert self.opened is not None
            self._reports.append(answer["end"])
            self.opened = self.opened | {fact: answer["end"][fact] for fact in ("block", "device_terms")}
            self.close()
            self.finished = True
        elif "gone" in answer:
            self._reports.append(answer["report"])
            self._lose(answer["gone"], now_s)
        elif self.opened is None:
            self.close()
            raise DeviceError(answer["error"])
        else:
            self._lose(answer["error"], now_s)

    def _open(self, opened: dict[str, Any]) -> None:
        """A process plays: the first one, or another after a gap, which is said, and if it is later than before."""
        if self.opened is None:
            self.opened = opened
            return
        before_ms, self.opened = self.ledger.ms, opened
        self.reconnections += 1
        self._tell(f"{opened['input']} → {opened['output']}: the sound is back{self._than(before_ms)}")

    def _than(self, before_ms: float) -> str:
        """What there is to say of the latency, when it is another than before."""
        now, before = f"{self.ledger.ms:.1f} ms", f"{before_ms:.1f}"
        return "" if now == f"{before} ms" else f"; the latency is {now}, it was {before}"

    def _note(self, now: dict[str, Any]) -> None:
        """What will be heard first by the process after this one."""
        self.now = now
        if self.plan.settings.domain == AUTO:
            heard = None if now["dry"] and not now["bypassed"] else now["domain"]
            if heard != self.plan.heard:
                self.plan = replace(self.plan, heard=heard)

    def _lose(self, why: str, now_s: float) -> None:
        """The sound is gone: try again, later and later, for ever."""
        self.close()
        self.now = None
        if self._stopping:
            self.finished = True
            return
        if self.opened is None:
            raise StreamsepError(why)
        if self._playing and now_s - self._started_s >= SETTLED_S:
            self._failures = 0
        self._failures += 1
        pause_s = wait_s(self._failures)
        self._next_s = now_s + pause_s
        self._tell(f"{why}; it is tried again in {pause_s:g} s")

    @property
    def ledger(self) -> Ledger:
        """How late the output is, by its terms, those of the devices as they were last asked for."""
        assert self.opened is not None
        said = self.opened["latency"]
        typical = said.get("filter_ms")
        engine = Ledger(self.opened["rate"], said["terms"], (typical["mean"], typical["p95"]) if typical else None)
        return whole_way(engine, self.opened["device_terms"])

    def summary(self) -> dict[str, Any]:
        """Everything counted by every process so far, ready for JSON. Raises DeviceError when none has played."""
        if self.opened is None:
            raise DeviceError("nothing was heard")
        reports = self._reports
        result: dict[str, Any] = {name: sum(report[name] for report in reports) for name in SUMS}
        for name in CAUSES:
            result[name] = add([report[name] for report in reports])
        counters = add([report["counters"] for report in reports])
        times = Times()
        for report in reports:
            times.heard(report["times"])
        callbacks = result["callbacks"]
        result["callback"] = times.summary(result["seconds"] / callbacks if callbacks else None)
        result["seconds"] = round(result["seconds"], 3)
        for name in ("worst_load", "overload"):
            result[name] = max((report[name] for report in reports), default=0)
        health = [report["monitor"] for report in reports if report["monitor"] is not None]
        opened, last = self.opened, reports[-1] if reports else None
        return {
            **result,
            "domain": self.plan.selected or self.plan.settings.domain,
            "heard": last and last["heard"],
            "rate": opened["rate"],
            "channels": opened["channels"],
            "block": opened["block"],
            "latency": self.ledger.told(),
            "fault": next((report["fault"] for report in reports if report["fault"]), None),
            "switches": counters.get("switches", 0),
            "decisions": self.decisions,
            "counters": counters,
            "reconnections": self.reconnections,
            "recordings": [report["recording"] for report in reports if report["recording"] is not None],
            "monitor": ({**add(health), "status": health[-1]["status"]} if health else None),
        }


def add(tallies: list[dict[str, Any]]) -> dict[str, int]:
    """Numbers of the same name added up; what is no number is left out."""
    names = {name: None for tally in tallies for name, value in tally.items() if isinstance(value, int)}
    return {name: sum(tally[name] for tally in tallies) for name in names}
