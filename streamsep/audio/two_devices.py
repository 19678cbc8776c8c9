"""Two sound cards with two clocks, one to listen to and one to play on, that run a callback as one card would."""

import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamsep.arrays import Block
from streamsep.audio.callback import Callback, Moment, Status
from streamsep.audio.device_latency import best_block
from streamsep.audio.devices import Device, held
from streamsep.audio.jack import API
from streamsep.audio.live import CLOSE_LIMIT_S, GONE_S, Stream, possible_ms, sides
from streamsep.errors import DeviceError
from streamsep.priority import come_first
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.two_clocks import MARGIN_S, Stairs, TwoClocks

BLOCKS = (32, 64, 128, 256, 512, 1024)  # samples, from short to long
TERM = "input ring"  # of latency
SURVEYS = 3  # looks at how the devices call; the calmest counts, so that one hiccup is not for ever
SURVEY_S = 0.25
SILENT_S = 2 * GONE_S  # after so long a device that does not call is given up: time for two pauses


def one_clock(source: Device, sink: Device) -> bool:
    """Whether one clock surely drives two devices: they are the same, or both are JACK's.

    Two devices that happen to share a clock are treated as if they did not; it costs some delay and nothing else.
    """
    return source.index == sink.index or source.api == sink.api == API


def open_stream(
    callback: Callback, source: Device, sink: Device, rate: int, channels: int, block: int | None
) -> Stream:
    """One stream of both devices, or two where they may have two clocks; rate in Hz. block: frames; 0: as the devices
    like; None: the shortest of BLOCKS with which they can be opened, or JACK's period, which is not ours to choose.
    From now on the calling thread, and those of the sound that it starts, come first on the processors.

    Raises DeviceError when a device refuses."""
    come_first()
    kind = Stream if one_clock(source, sink) else TwoDevices
    if block is None:
        for short in () if API in (source.api, sink.api) else BLOCKS:
            with suppress(DeviceError):
                return kind(callback, source, sink, rate, channels, short)
    return kind(callback, source, sink, rate, channels, best_block(source, sink, block or 0))


@dataclass(slots=True)
class Both:
    """What went wrong on either device or between them since the callback before."""

    input_underflow: bool = False
    input_overflow: bool = False
    output_underflow: bool = False
    output_overflow: bool = False

    def __bool__(self) -> bool:
        return self.input_underflow or self.input_overflow or self.output_underflow or self.output_overflow


class TwoDevices(Stream):
    """Two sound cards at one nominal rate; the callback runs in the output's.

    Opening them takes a second, in which they play silence and are watched: how they call says how much sound has to
    wait between them, see `TwoClocks`. Gaps of theirs, and of the ring's, are told the callback as a device's.
    """

    def _open(self, source: Device, sink: Device, rate: int, channels: int, block: int) -> None:
        self.names = (
            f"{source.name!r} to {sink.name!r}, two devices at {rate} Hz with {channels} channels, block {block}"
        )
        self._clocks: TwoClocks | None = None  # until the survey is over
        self._calling = False
        self._stairs = Stairs(rate), Stairs(rate)  # of input and output
        self._most = [rate, rate]  # frames of a call of either that the ring is made for
        self._outgrown = False
        self._heard = np.zeros((rate, channels), np.float32)  # no device has blocks of a second
        self._input_called_s = 0.0  # its newest call; of the output's `Stream.check` knows
        self._overflows = self._overflows_told = 0  # of the input: its thread counts, the output's tells
        self._stalls_told = self._floods_told = 0
        self._both = Both()
        played = sides(sink, channels)
        self._hear = self._callback if played == channels else self._on_both_sides
        wanted: dict[str, Any] = {"samplerate": rate, "blocksize": block, "dtype": "float32", "latency": "low"}
        refused = f"refused (two devices have to run at one rate, now {rate} Hz: see --rate)"
        with held(), ExitStack() as opened:
            with self._translated(f"the input {refused}"):
                self._input = self._sd.InputStream(
                    device=source.index, channels=channels, callback=self._listen, **wanted
                )
            opened.callback(self._input.close)
            with self._translated(f"the output {refused}"):
                self._stream = self._sd.OutputStream(
                    device=sink.index, channels=played, callback=self._play, **wanted
                )
            opened.callback(self._stream.close)
            with self._translated("could not be started"):
                self._input.start()
                self._stream.start()
            opened.pop_all()  # what was refused is not left open: it would be in use when it is tried again
        self.latency_ms = {"input": possible_ms(self._input.latency), "output": possible_ms(self._stream.latency)}
        written, read, at_once = self._survey(rate)
        self._most = [round(width + MARGIN_S * rate) for width in (written, read)]
        self._clocks = TwoClocks(rate, channels, written, read)
        told_ms = min(1000 * at_once / rate, self.latency_ms["input"])  # is in the input device's term already
        self.terms = {TERM: round(self._clocks.delay - told_ms * rate / 1000)}

    def _survey(self, rate: int) -> tuple[float, float, float]:
        """The widths of the stairs of input and output, and the input's block. Raises DeviceError when one of them
        does not call."""
        seen: list[tuple[float, float, float]] = []
        began_s = time.monotonic()
        while len(seen) < SURVEYS and time.monotonic() < began_s + SILENT_S:
            self._stairs = written, read = Stairs(rate), Stairs(rate)
            time.sleep(SURVEY_S)
            if written.width and read.width:  # some begin late, or begin and pause
                seen.append((written.width, read.width, written.block))
        if not seen:
            self._close()
            side = "output" if written.block else "input"
            raise DeviceError(
                f"{self.names}: the {side} was opened, but gives no sign of life: is it in use elsewhere?"
            )
        from_input, from_output, block = (min(each) for each in zip(*seen, strict=True))
        return from_input, from_output, block

    def start(self) -> None:
        """The callback is called from now on."""
        self._calling = True

    def _close(self) -> None:
        def close() -> None:
            self._stream.close()
            self._input.close()

        closing = threading.Thread(target=close, daemon=True)
        closing.start()
        closing.join(CLOSE_LIMIT_S)

    @property
    def alive(self) -> bool:
        """Whether both devices still play, as far as they say, in blocks that the ring is made for."""
        calling = time.perf_counter() - self._input_called_s < GONE_S
        return bool(self._stream.active and self._input.active) and calling and not self._outgrown

    # ------------------------------------------------------------------------------------------------ the audio side

    @audio_thread
    def _listen(self, block: Block, frames: int, when: Moment, status: Status) -> None:
        """Called by the input, in a thread of its own."""
        now_s = time.perf_counter()
        self._input_called_s = now_s
        if status and status.input_overflow:
            self._overflows += 1
        if frames > self._most[0]:
            self._outgrown = True
        if self._clocks is None:
            self._stairs[0].step(frames, now_s)
        else:
            self._clocks.write(block, now_s)

    @audio_thread
    def _play(self, out: Block, frames: int, when: Moment, status: Status) -> None:
        """Called by the output, in another."""
        now_s = time.perf_counter()
        if frames > self._most[1]:
            self._outgrown = True
        if self._clocks is None:
            self._stairs[1].step(frames, now_s)
        if self._clocks is None or not self._calling or frames > len(self._heard):
            out.fill(0)
            return
        block = self._heard[:frames]
        self._clocks.read(block, now_s)
        self._hear(block, out, frames, when, self._tell(self._clocks, status))

    @audio_thread
    def _tell(self, clocks: TwoClocks, status: Status) -> Both:
        """Everything that went wrong since the call before."""
        both, gaps, overflows = self._both, clocks.gaps, self._overflows
        both.output_underflow = bool(status) and status.output_underflow
        both.input_underflow = gaps.stalls != self._stalls_told
        both.input_overflow = gaps.floods != self._floods_told or overflows != self._overflows_told
        self._stalls_told, self._floods_told, self._overflows_told = gaps.stalls, gaps.floods, overflows
        return both
