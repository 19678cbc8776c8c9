"""Live sound: the engine inside the callback of a sound card. A frame, here only, is one sample of every channel."""

import atexit
import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Block
from streamsep.audio.devices import Device, portaudio
from streamsep.errors import DeviceError
from streamsep.realtime.contract import audio_thread

START_FADE_S = 0.5
STOP_FADE_S = 0.1
KEPT_TIMES = 2**18  # callbacks whose times are kept: the newest 12 minutes of 128-frame blocks at 48 kHz
CLOSE_LIMIT_S = 3.0  # a device that is alive takes a few periods
POLL_S = 0.02


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

    def process(self, block: Block, out: Block) -> Block:
        """(samples, channels) -> out, the same."""
        ...


class Status(Protocol):
    """What PortAudio says of the time between two callbacks."""

    input_underflow: bool
    input_overflow: bool
    output_underflow: bool
    output_overflow: bool


@dataclass(slots=True)
class Xruns:
    """Gaps in the sound, by their cause: our callback before it was late, or the device (or the machine) was."""

    deadline: int = 0
    device: int = 0


class Callback:
    """What the sound card calls: the engine, faded in at the start and out at the end, timed and counted.

    Audio side: the call itself. Control side: everything else; `stop` may be called while the callback runs.
    """

    def __init__(self, engine: Processor) -> None:
        self.underruns, self.overruns = Xruns(), Xruns()
        self.faults = 0  # callbacks in which the engine raised; silence was heard
        self.first_fault: Exception | None = None
        self.calls = 0
        self.frames = 0
        self.longest_s = 0.0
        self._engine = engine
        self._rate = engine.rate
        self._times_s = np.full(KEPT_TIMES, np.nan)  # written now, so that the callback meets no new page
        self._last_s = self._last_period_s = 0.0
        self._rise = _fade_curve(START_FADE_S, engine.rate, engine.channels)
        self._fall = _fade_curve(STOP_FADE_S, engine.rate, engine.channels)[::-1].copy()
        self._risen = self._fallen = 0  # frames of each fade that have been heard
        self._stopping = False

    @audio_thread
    def __call__(self, block: Block, out: Block, frames: int, when: object, status: Status) -> None:
        """(frames, channels) -> out, the same. Raises nothing: an exception would end the stream in mid-sound."""
        began_s = time.perf_counter()
        if status:
            self._count(status)
        try:
            self._engine.process(block, out=out)
        except Exception as fault:  # whatever it is, the listener gets silence, and a fade-in after it
            out.fill(0)
            self._risen = 0
            self.faults += 1
            if self.first_fault is None:
                self.first_fault = fault
        else:
            self._fade(out)
        self._last_s = took_s = time.perf_counter() - began_s
        self._last_period_s = frames / self._rate
        self._times_s[self.calls % KEPT_TIMES] = took_s
        if took_s > self.longest_s:
            self.longest_s = took_s
        self.calls += 1
        self.frames += frames

    @audio_thread
    def _fade(self, out: Block) -> None:
        """Fade in after the start, fade out once asked to stop, silence from then on."""
        rising = min(len(out), len(self._rise) - self._risen)
        if rising:
            np.multiply(out[:rising], self._rise[self._risen : self._risen + rising], out=out[:rising])
            self._risen += rising
        if self._stopping:
            falling = min(len(out), len(self._fall) - self._fallen)
            np.multiply(out[:falling], self._fall[self._fallen : self._fallen + falling], out=out[:falling])
            out[falling:].fill(0)
            self._fallen += falling

    @audio_thread
    def _count(self, status: Status) -> None:
        """Count the gaps that the device reports; the last callback is to blame if it took longer than its sound."""
        late = self._last_s > self._last_period_s
        if status.output_underflow or status.input_underflow:
            self.underruns.deadline += late
            self.underruns.device += not late
        if status.input_overflow or status.output_overflow:
            self.overruns.deadline += late
            self.overruns.device += not late

    def stop(self) -> None:
        """From the next callback on, fade out; `silent` tells when that is done."""
        self._stopping = True

    @property
    def silent(self) -> bool:
        """Whether the stop fade is over."""
        return self._fallen == len(self._fall)

    def times(self) -> dict[str, float | None]:
        """The length of a callback's sound and how long the callbacks took, in ms; null before the first one."""
        if not self.calls:
            return dict.fromkeys(("period_ms", "p50_ms", "p99_ms", "p999_ms", "max_ms"))
        p50, p99, p999 = 1000 * np.percentile(self._times_s[: self.calls], (50, 99, 99.9))
        period = 1000 * self.frames / self.calls / self._rate
        longest = 1000 * self.longest_s
        measured = {"period_ms": period, "p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "max_ms": longest}
        return {name: round(float(value), 4) for name, value in measured.items()}

    def report(self) -> dict[str, Any]:
        """Everything counted so far, ready for JSON."""
        return {
            "seconds": round(self.frames / self._rate, 3),
            "underruns": asdict(self.underruns),
            "overruns": asdict(self.overruns),
            "callback": self.times(),
            "callbacks": self.calls,
            "faults": self.faults,
        }


def _fade_curve(seconds: float, rate: int, channels: int) -> NDArray[np.float32]:
    """(frames, channels): a raised cosine from 0 to 1."""
    frames = math.ceil(seconds * rate)
    curve = 0.5 - 0.5 * np.cos(np.pi * np.arange(frames) / frames)
    return np.repeat(curve.astype(np.float32)[:, None], channels, axis=1)


class Stream:
    """A sound card that runs a callback; a context manager that starts it, and at the end fades out and closes it."""

    def __init__(
        self, callback: Callback, source: Device, sink: Device, rate: int, channels: int, block: int
    ) -> None:
        """Opens it; rate in Hz, block in frames, 0: as the device likes. Raises DeviceError when a device refuses."""
        self._callback = callback
        self._sd = portaudio()
        self._names = f"{source.name!r} to {sink.name!r} at {rate} Hz with {channels} channels, block {block}"
        with self._translated("refused"):
            self._stream = self._sd.Stream(
                samplerate=rate,
                blocksize=block,
                device=(source.index, sink.index),
                channels=channels,
                dtype="float32",
                latency="low",
                callback=callback,
            )
        self.latency_ms = {"input": 1000 * self._stream.latency[0], "output": 1000 * self._stream.latency[1]}

    def __enter__(self) -> Self:
        with self._translated("could not be started"):
            self._stream.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._callback.stop()
        deadline = time.monotonic() + STOP_FADE_S + 1.0
        while self._stream.active and not self._callback.silent and time.monotonic() < deadline:
            time.sleep(POLL_S)
        time.sleep(self.latency_ms["output"] / 1000)  # what was faded has still to be heard
        self._close()

    def _close(self) -> None:
        """Give the device back; or give up on it: PortAudio waits minutes for a sound server that died."""
        closing = threading.Thread(target=self._stream.close, daemon=True)
        closing.start()
        closing.join(CLOSE_LIMIT_S)
        if closing.is_alive():
            atexit.unregister(self._sd._exit_handler)  # it would wait too

    def wait(self, seconds: float | None) -> None:
        """Until the seconds are over, or Ctrl-C. Raises DeviceError when the device ends the stream."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        with _interruptions() as interrupted:
            while time.monotonic() < end and not interrupted():
                if not self._stream.active:
                    raise DeviceError(f"{self._names}: the device went away or its sound server stopped")
                time.sleep(POLL_S)

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """PortAudio's errors, in our words."""
        try:
            yield
        except self._sd.PortAudioError as error:
            raise DeviceError(f"{self._names}: {what}: {error.args[0]}") from None


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed, which ends nothing the first time and everything the second.

    A handler of our own, because a shell starts background jobs with SIGINT ignored."""
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def collector_frozen() -> Iterator[None]:
    """Python's garbage collector held still: one collection may take longer than a callback has."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()
