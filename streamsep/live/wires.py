"""What the devices add to the latency while a stream runs: asked once more when JACK's period changes."""

from typing import Any

from streamsep.audio.callback import Callback
from streamsep.audio.device_latency import device_terms, samples_a_call
from streamsep.audio.devices import Device
from streamsep.audio.jack import API
from streamsep.audio.live import Stream


class Wires:
    """From the microphone to the callback and from there to the ears. The control thread's.

    JACK's period is everybody's, and whoever changes it makes us later or sooner. The callback's block tells: it is
    the period, unless blocks of another length were asked for; those stay, and are asked about only in the end."""

    def __init__(self, source: Device, sink: Device, rate: int, stream: Stream, callback: Callback) -> None:
        """rate: Hz. Asks JACK, if the devices are its."""
        self._source, self._sink, self._rate = source, sink, rate
        self._stream, self._callback = stream, callback
        self._by_period = source.api == sink.api == API and not stream.block
        self._block = samples_a_call(source, sink, stream.block)

    def told(self) -> dict[str, Any]:
        """As they are now: samples that the callback is handed at a time (0: nobody knows), and what the devices add
        to the latency, by its terms."""
        ways = (self._source, self._sink, self._rate, self._stream.block, self._stream.latency_ms)
        return {"block": self._block, "device_terms": device_terms(*ways) | self._stream.terms}

    def changed(self) -> dict[str, Any] | None:
        """The same, once the period is another than it was; otherwise None, at no cost."""
        block = self._callback.block
        if not self._by_period or block in (0, self._block):
            return None
        self._block = block
        return self.told()
