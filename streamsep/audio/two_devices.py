"""Two sound cards with two clocks, one to listen to and one to play on, that run a callback as one card would."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamsep.arrays import Block
from streamsep.audio.callback import Callback, Moment, Status
from streamsep.audio.devices import Device
from streamsep.audio.live import CLOSE_LIMIT_S, POLL_S, Stream
from streamsep.errors import DeviceError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.two_clocks import Stairs, TwoClocks

JACK = "JACK Audio Connection Kit"  # PortAudio's name of it
SURVEYS = 3  # looks at how the devices call, of which the calmest counts: one hiccup is not for ever
SURVEY_S = 0.25


def one_clock(source: Device, sink: Device) -> bool:
    """Whether two devices are surely driven by one clock: they are one device, or both are JACK's.

    Of two devices that happen to share a clock nobody would know; they are treated as two, and it costs some delay.
    """
    return source.index == sink.index or source.api == sink.api == JACK


def open_stream(
    callback: Callback, source: Device, sink: Device, rate: int, channels: int, block: int
) -> Stream:
    """As many streams as there are clocks; rate in Hz, block in frames, 0: as the devices like. Raises DeviceError."""
    kind = Stream if one_clock(source, sink) else TwoDevices
    return kind(callback, source, sink, rate, channels, block)


@dataclass(slots=True)
class Both:
    """What happened on both devices, and between them, since the callback before."""

    input_underflow: bool = False
    input_overflow: bool = False
    output_underflow: bool = False
    output_overflow: bool = False

    def __bool__(self) -> bool:
        return self.input_underflow or self.input_overflow or self.output_underflow or self.output_overflow


class TwoDevices(Stream):
    """Two sound cards at one nominal rate. To open them takes a second, in which they are watched: how they call
    says how much sound has to wait between them, see `TwoClocks`. The callback runs in the output's."""

    def _open(self, source: Device, sink: Device, rate: int, channels: int, block: int) -> None:
        self.names = f"{source.name!r} to {sink.name!r}, two devices at {rate} Hz with {channels} channels, block {block}"
        self._clocks: TwoClocks | None = None
        self._calling = False
        self._stairs = Stairs(rate), Stairs(rate)
        self._longest = [0, 0]  # frames of a call, of input and output
        self._heard = np.zeros((rate, channels), np.float32)  # no device has blocks of a second
        self._overflowed = False  # set by the input's thread, put back by the output's
        self._gaps_told = (0, 0)
        self._both = Both()
        chosen: dict[str, Any] = {
            "samplerate": rate,
            "blocksize": block,
            "channels": channels,
            "dtype": "float32",
            "latency": "low",
        }
        with self._translated(f"the input refused (both have to run at one rate, see --rate)"):
            self._input = self._sd.InputStream(device=source.index, callback=self._listen, **chosen)
        with self._translated(f"the output refused (both have to run at one rate, see --rate)"):
            self._stream = self._sd.OutputStream(device=sink.index, callback=self._play, **chosen)
        self.latency_ms = {"input": 1000 * self._input.latency, "output": 1000 * self._stream.latency}
        with self._translated("could not be started"):
            self._input.start()
            self._stream.start()
        written, read = self._survey(rate)
        self._clocks = TwoClocks(rate, channels, written, read)
        self.terms = {"between two clocks": round(self._clocks.delay - self._longest[0])}

    def _survey(self, rate: int) -> tuple[float, float]:
        """The widths of the stairs of input and output. Raises DeviceError when one of them does not call."""
        seen = []
        for _ in range(SURVEYS):
            self._stairs = Stairs(rate), Stairs(rate)
            time.sleep(SURVEY_S)
            seen.append([stairs.width for stairs in self._stairs])
        for side, widths in zip(("input", "output"), zip(*seen, strict=True), strict=True):
            if not any(widths):
                self._close()
                raise DeviceError(f"{self.names}: the {side} was opened, but gives no sign of life")
        written, read = (min(filter(None, widths)) for widths in zip(*seen, strict=True))
        return written, read
