"""When callbacks came and when they ended: a stream that hears a noise of our own and plays nothing."""

import time
from dataclasses import dataclass

import numpy as np

from streamsep.arrays import Array, Block
from streamsep.audio.callback import Callback, Processor
from streamsep.audio.devices import Device, abandoned_when_gone
from streamsep.audio.live import collector_frozen, running
from streamsep.audio.two_devices import open_stream
from streamsep.bench.stimulus import lively_noise
from streamsep.errors import DeviceError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.edges import START_FADE_S
from streamsep.realtime.journal import Journal

SHORTEST_BLOCK = 16  # samples, on average: so many times are kept
POLL_S = 0.02


class Watched:
    """Calls an engine with noise, and writes down when. Nothing is played: a doctor must not howl.

    Audio side: `process`, `relieve`."""

    def __init__(self, engine: Processor | None, rate: int, channels: int, seconds: float) -> None:
        """engine: None for nothing at all."""
        self.rate, self.channels, self.journal = rate, channels, Journal()
        self.steps = 0  # none that work could be given up for
        room = round(seconds * rate / SHORTEST_BLOCK) + 1
        self.began_s, self.ended_s, self.frames = np.zeros(room), np.zeros(room), np.zeros(room)
        self.calls = 0
        self._engine = engine
        self._noise = lively_noise(1.0, rate, channels)
        self._at = 0

    @audio_thread
    def process(self, block: Block, out: Block) -> Block:
        """(samples, channels) -> out: silence."""
        began_s = time.perf_counter()
        count = len(block)
        if self._engine is not None and count <= len(self._noise):
            if self._at + count > len(self._noise):
                self._at = 0
            self._engine.process(self._noise[self._at : self._at + count], out=out)
            self._at += count
        out.fill(0)
        if self.calls < len(self.frames):
            self.began_s[self.calls] = began_s
            self.ended_s[self.calls] = time.perf_counter()
            self.frames[self.calls] = count
            self.calls += 1
        return out

    @audio_thread
    def relieve(self, level: int) -> None:
        """Never: it is to be seen what happens."""


@dataclass(frozen=True)
class Callbacks:
    """What was seen. Times in seconds, (calls,)."""

    began_s: Array
    ended_s: Array
    period_s: Array
    gaps: int  # that the device counted

    @property
    def calls(self) -> int:
        """How many."""
        return len(self.began_s)

    @property
    def period_ms(self) -> float:
        """Of sound in a callback, on average."""
        return 1000 * float(np.mean(self.period_s))

    @property
    def off_s(self) -> Array:
        """(calls - 1,): by how much each came later (or sooner: negative) after the one before than it should."""
        return np.diff(self.began_s) - self.period_s[:-1]

    @property
    def late(self) -> int:
        """How many ended after the next one was due, by their own delay, their own work, or both."""
        took_s = (self.ended_s - self.began_s)[1:]
        return int(np.count_nonzero(np.maximum(self.off_s, 0) + took_s > self.period_s[1:]))

    @property
    def safe(self) -> bool:
        """Whether nothing was heard."""
        return not self.gaps and not self.late

    def figures(self) -> dict[str, float]:
        """How far from their time the callbacks came, and how long they took, in ms."""
        said: dict[str, float] = {}
        for name, values in (("jitter", np.abs(self.off_s)), ("took", self.ended_s - self.began_s)):
            p50, p99, p999, most = 1000 * np.percentile(values, [50, 99, 99.9, 100], method="higher")
            said |= {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99, f"{name}_p999_ms": p999, f"{name}_max_ms": most}
        return {name: round(float(value), 4) for name, value in said.items()}


def watch(
    engine: Processor | None,
    source: Device,
    sink: Device,
    rate: int,
    channels: int,
    block: int | None,
    seconds: float,
) -> Callbacks:
    """Run callbacks for so many seconds, after half a second in which everything settles. block: see `open_stream`.

    Raises DeviceError when a device refuses, goes away, or calls back fewer than three times; and what the engine
    raised."""
    watched = Watched(engine, rate, channels, seconds + START_FADE_S + 1.0)
    callback = Callback(watched)
    with abandoned_when_gone():
        stream = open_stream(callback, source, sink, rate, channels, block)
        with collector_frozen(), running(stream):
            time.sleep(START_FADE_S)
            first, gaps = watched.calls, callback.gaps
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                stream.check()
                time.sleep(POLL_S)
            last, gaps = watched.calls, callback.gaps - gaps
        if callback.first_fault is not None:
            raise callback.first_fault
        if last - first < 3:
            raise DeviceError(f"{stream.names}: it called back {last - first} times in {seconds:g} s")
    seen = slice(first, last)
    return Callbacks(watched.began_s[seen], watched.ended_s[seen], watched.frames[seen] / rate, gaps)
