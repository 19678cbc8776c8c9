"""A sound card that runs a callback."""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streamsep.arrays import Block
from streamsep.audio.callback import Callback, Moment, Status
from streamsep.audio.devices import Device, held, portaudio
from streamsep.audio.jack import API
from streamsep.errors import DeviceError, DeviceGoneError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.edges import STOP_FADE_S

CLOSE_LIMIT_S = 3.0  # a device that is alive takes a few periods
# Without a callback for so long, and two blocks, the device plays no more, whatever it says. PortAudio itself pauses
# for two seconds at the start and after a gap where ALSA leads to PulseAudio.
GONE_S, GONE_JACK_S = 4.0, 1.0
POLL_S = 0.02
LATEST_S = 60.0  # that a device can be late


def possible_ms(late_s: float) -> float:
    """A latency as PortAudio says it, in ms. It takes JACK's period off what JACK says; where that is less, as with
    virtual devices of PipeWire, it arrives at a day: that is none.

    >>> possible_ms(0.005), possible_ms(89478.48)
    (5.0, 0.0)
    """
    return 1000 * late_s if late_s < LATEST_S else 0.0


def sides(sink: Device, channels: int) -> int:
    """Channels to play so many on: one is heard on both sides of what has two, not on the left alone."""
    return 2 if channels == 1 and sink.outputs >= 2 else channels


class Stream:
    """A sound card that runs a callback, from `start` to `stop`."""

    def __init__(
        self, callback: Callback, source: Device, sink: Device, rate: int, channels: int, block: int
    ) -> None:
        """Opens it; rate in Hz, block in frames, 0: as the device likes. Raises DeviceError when a device refuses."""
        self._callback = callback
        self.block = block  # that PortAudio was asked for
        self._sd = portaudio()
        self.terms: dict[str, float] = {}  # of latency, that we add ourselves, in samples
        self._calls, self._called_s = -1, 0.0  # when last looked at
        self._gone_s = (GONE_JACK_S if sink.api == API else GONE_S) + 2 * block / rate
        self._open(source, sink, rate, channels, block)
        callback.device_clock = self._time_s

    def _open(self, source: Device, sink: Device, rate: int, channels: int, block: int) -> None:
        self.names = f"{source.name!r} to {sink.name!r} at {rate} Hz with {channels} channels, block {block}"
        played = sides(sink, channels)
        with self._translated("refused"), held():
            self._stream = self._sd.Stream(
                samplerate=rate,
                blocksize=block,
                device=(source.index, sink.index),
                channels=(channels, played),
                dtype="float32",
                latency="low",
                callback=self._callback if played == channels else self._on_both_sides,
            )
        heard_late_s, played_late_s = self._stream.latency
        self.latency_ms = {"input": possible_ms(heard_late_s), "output": possible_ms(played_late_s)}

    @audio_thread
    def _time_s(self) -> float:
        """By the device's clock; 0 is no time to PortAudio, and its binding complains."""
        try:
            return float(self._stream.time)
        except self._sd.PortAudioError:
            return 0.0

    @audio_thread
    def _on_both_sides(self, block: Block, out: Block, frames: int, when: Moment, status: Status) -> None:
        """The callback, of one channel that is played as two."""
        self._callback(block, out[:, :1], frames, when, status)
        out[:, 1] = out[:, 0]

    def start(self) -> None:
        """The callback is called from now on. Raises DeviceError when the device cannot."""
        with self._translated("could not be started"), held():
            self._stream.start()

    def stop(self) -> None:
        """Fade out, and give the device back; or give up on it: PortAudio waits minutes for a sound server that
        died."""
        self._callback.stop()
        deadline = time.monotonic() + STOP_FADE_S + 1.0
        while self._stream.active and not self._callback.silent and time.monotonic() < deadline:
            time.sleep(POLL_S)
        time.sleep(self.latency_ms["output"] / 1000)  # what was faded has still to be heard
        self._close()

    def _close(self) -> None:
        closing = threading.Thread(target=self._stream.close, daemon=True)
        with held():
            closing.start()
            closing.join(CLOSE_LIMIT_S)

    @property
    def alive(self) -> bool:
        """Whether the device still plays, as far as it says."""
        return bool(self._stream.active)

    def check(self) -> None:
        """To be called again and again while it runs. Raises DeviceGoneError when the device plays no more: it says
        so, or does not call any more."""
        now_s = time.monotonic()
        if self._callback.calls != self._calls:
            self._calls, self._called_s = self._callback.calls, now_s
        if not self.alive or now_s - self._called_s > self._gone_s:
            raise DeviceGoneError(f"{self.names}: the device went away or its sound server stopped")

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """PortAudio's errors, in our words."""
        try:
            yield
        except self._sd.PortAudioError as error:
            raise DeviceError(f"{self.names}: {what}: {error.args[0]}") from None


@contextmanager
def running(stream: Stream) -> Iterator[None]:
    """From start to stop."""
    try:
        stream.start()
        yield
    finally:
        stream.stop()


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
