"""What the sound card calls: the engine, faded in at the start and out at the end, timed, counted, and relieved when
the machine cannot keep up. A frame is one sample of every channel."""

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from streamsep.arrays import Block
from streamsep.audio.hold_ups import HoldUps
from streamsep.audio.tallies import Times, Xruns
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.edges import Edges
from streamsep.realtime.howl import HowlGuard
from streamsep.realtime.journal import Journal
from streamsep.realtime.overload import Overload
from streamsep.realtime.tape import Tape

JUMP_S = 1.0  # by which no callback is late: the device's clock has jumped


class Processor(Protocol):
    """What live sound passes through: the engine, as far as the callback knows it."""

    @property
    def rate(self) -> int:
        """Of the sound, in Hz."""
        ...

    @property
    def channels(self) -> int:
        """Of every block."""
        ...

    @property
    def journal(self) -> Journal:
        """What the sound does not tell."""
        ...

    @property
    def steps(self) -> int:
        """Hops of the models, so far."""
        ...

    def process(self, block: Block, out: Block) -> Block:
        """(samples, channels) -> out, the same."""
        ...

    def relieve(self, level: int) -> None:
        """Give up work, by level: see `realtime.overload`. The audio side's."""
        ...


class Status(Protocol):
    """What PortAudio says of the time between two callbacks."""

    input_underflow: bool
    input_overflow: bool
    output_underflow: bool
    output_overflow: bool


class Moment(Protocol):
    """What PortAudio says of the time of a callback."""

    currentTime: float  # noqa: N815  # when the device asked for it, in seconds of a clock of its own


class Callback:
    """Audio side: the call itself. Control side: everything else; `stop` may be called while the callback runs."""

    def __init__(self, engine: Processor, guard: HowlGuard | None = None) -> None:
        """guard: against howling; without one only the limiter bounds a loop. `device_clock`, once it is set, tells
        the time by the clock of `Moment`; `tape` takes all that comes in and goes out."""
        self.device_clock: Callable[[], float] = lambda: 0.0
        self.tape: Tape | None = None
        self.underruns, self.overruns = Xruns(), Xruns()
        self.faults = 0  # callbacks in which the engine raised; silence was heard
        self.first_fault: Exception | None = None
        self.calls = 0
        self.frames = 0
        self.block = 0  # of the last callback: its frames
        self.times = Times()
        self.load = 0.0  # of the last callback: time used over the time it has
        self.worst_load = 0.0
        self.peaks = [0.0, 0.0]  # of input and output, since somebody set them back
        self.overload = Overload()
        self._engine, self._guard = engine, guard
        self._rate = engine.rate
        self._took_s = self._computed_s = self._late_s = self._period_s = 0.0  # of the callback before
        self._began_s = -math.inf  # the same
        self.hold_ups = HoldUps()
        self._told = False  # of a gap, since the device last asked for sound
        self._edges = Edges(engine.rate, engine.channels, engine.journal)

    @audio_thread
    def __call__(self, block: Block, out: Block, frames: int, when: Moment, status: Status) -> None:
        """(frames, channels) -> out, the same. Raises nothing: an exception would end the stream in mid-sound."""
        began_s = time.perf_counter()
        computing_s = time.thread_time()
        steps = self._engine.steps
        if self.hold_ups.begin(when.currentTime, frames):
            self._told = False
        if status and not self._told:  # PortAudio says it again with every piece of a block that it has cut
            self._told = True
            self._count(status, frames)
        self._late_s = self._lateness(self.device_clock() - when.currentTime, began_s)
        try:
            self._engine.process(block, out=out)
            if self._guard is not None:
                self._guard.process(out)
        except Exception as fault:  # whatever it is, the listener gets silence, and a fade-in after it
            self._edges.fail(out)
            self.faults += 1
            if self.first_fault is None:
                self.first_fault = fault
        else:
            self._edges.process(out)
        if self.tape is not None:
            self.tape.write(block, out)
        self._measure(block, out)
        self._period_s = period_s = frames / self._rate
        self._computed_s = time.thread_time() - computing_s
        self._took_s = took_s = time.perf_counter() - began_s
        self.times.add(took_s)
        self.load = load = (took_s + self._late_s) / period_s
        if load > self.worst_load:
            self.worst_load = load
        if self.overload.hear(self._engine.steps != steps, took_s > period_s, period_s):
            self._engine.relieve(self.overload.level)
        self.calls += 1
        self.frames += frames
        self.block = frames

    @audio_thread
    def _lateness(self, late_s: float, began_s: float) -> float:
        """How late the callback began after the device had asked for it, as far as that can be: later than the one
        before by no more than the time since that one began, and by no more than the sound that JACK has asked for.
        Otherwise the device's clock has jumped, as JACK's does by hundreds of milliseconds when it has an xrun, and
        says nothing: 0."""
        passed_s = began_s - self._began_s
        self._began_s = began_s
        possible_s = min(JUMP_S, self._late_s + passed_s, self.hold_ups.wanted / self._rate)
        return late_s if 0.0 < late_s < possible_s else 0.0

    @audio_thread
    def _measure(self, block: Block, out: Block) -> None:
        """The loudest sample on each side; what is not finite counts as nothing."""
        peaks = self.peaks
        for index, sound in enumerate((block, out)):
            loudest = max(float(np.maximum.reduce(sound, axis=None)), -float(np.minimum.reduce(sound, axis=None)))
            if peaks[index] < loudest < math.inf:
                peaks[index] = loudest

    @audio_thread
    def _count(self, status: Status, frames: int) -> None:
        """Count the gaps that the device reports under what this callback and the one before it had met."""
        if status.output_underflow or status.input_underflow:
            self._blame(self.underruns, frames)
        if status.input_overflow or status.output_overflow:
            self._blame(self.overruns, frames)

    @audio_thread
    def _blame(self, xruns: Xruns, frames: int) -> None:
        if self._took_s > self._period_s and self._computed_s > 0.5 * self._took_s:
            xruns.deadline += 1
        elif self._took_s + self._late_s > self._period_s or self.hold_ups.missed(frames):
            xruns.interpreter += 1
        else:
            xruns.device += 1

    @property
    def gaps(self) -> int:
        """In the sound so far: underruns or overruns, whichever are more, for most gaps are both."""
        return max(self.underruns.total, self.overruns.total)

    def stop(self) -> None:
        """From the next callback on, fade out; `silent` tells when that is done."""
        self._edges.stop()

    @property
    def silent(self) -> bool:
        """Whether the stop fade is over."""
        return self._edges.silent

    def report(self) -> dict[str, Any]:
        """Everything counted so far, ready for JSON."""
        return {
            "seconds": self.frames / self._rate,
            "underruns": self.underruns.told(),
            "overruns": self.overruns.told(),
            "times": self.times.told(),
            "callbacks": self.calls,
            "worst_load": self.worst_load,
            "overload": self.overload.worst,
            "faults": self.faults,
        }
