"""How late sound really is: it is played through the engine, comes back over a cable, and is looked for."""

import time
from dataclasses import dataclass

import numpy as np

from streamsep.arrays import Array, Block
from streamsep.audio.callback import Callback, Processor
from streamsep.audio.device_latency import device_terms, whole_way
from streamsep.audio.devices import Device, abandoned_when_gone
from streamsep.audio.jack import API, jack, own_client
from streamsep.audio.live import collector_frozen, running
from streamsep.audio.probe import Echo, find, make_probe
from streamsep.audio.two_devices import open_stream
from streamsep.errors import DeviceError
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.edges import START_FADE_S
from streamsep.realtime.ledger import Ledger

EVERY_S = 1.0  # between two probes; what comes back later than that is taken for the echo of the next
FIRST_S = START_FADE_S + 0.2  # until then only silence is played
POLL_S = 0.02
CONNECT = (
    "connect an output of the sound card to an input with a cable, and turn both up; or choose a loopback or monitor "
    "device with --input; on JACK --loop does it without a cable, on PipeWire a sink that is the input too"
)


class Prober:
    """Plays probes through an engine and writes down what comes in, until its time is over. Then it is silent.

    Audio side: `process`, `relieve`. Afterwards: `echoes`."""

    def __init__(self, engine: Processor, probe: Array, seconds: float) -> None:
        """probe: (samples,), shorter than EVERY_S. seconds: enough for one; 4 are enough for two."""
        self.rate, self.channels, self.journal = engine.rate, engine.channels, engine.journal
        first, every, total = (round(length_s * self.rate) for length_s in (FIRST_S, EVERY_S, seconds))
        self._starts = range(first, total - every - len(probe) + 1, every)
        self._engine, self._probe = engine, probe
        self._every = every
        self._played = np.zeros((total, self.channels), np.float32)
        for start in self._starts:
            self._played[start : start + len(probe)] = probe[:, None]
        self._recorded = np.zeros((total, self.channels), np.float32)
        self._at = 0
        self.done = False

    @audio_thread
    def process(self, block: Block, out: Block) -> Block:
        """(samples, channels): what came in -> out, what is played."""
        at, end = self._at, self._at + len(block)
        if end > len(self._played):
            self.done = True
            out.fill(0)
            return out
        self._recorded[at:end] = block
        self._at = end
        return self._engine.process(self._played[at:end], out=out)

    @property
    def steps(self) -> int:
        """The engine's."""
        return self._engine.steps

    @audio_thread
    def relieve(self, level: int) -> None:
        """As the engine does."""
        self._engine.relieve(level)

    def echoes(self) -> list[Echo]:
        """Of every probe whose time was over before the recording ended, on the channel on which it is clearest."""
        span = self._every + len(self._probe)
        return [
            max(
                (find(self._probe, lane) for lane in self._recorded[start : start + span].T),
                key=lambda echo: echo.clarity,
            )
            for start in self._starts
            if start + span <= self._at
        ]

    @property
    def loudest(self) -> float:
        """The greatest magnitude of what came in."""
        return float(np.abs(self._recorded).max())


@dataclass(frozen=True)
class RoundTrip:
    """What was measured, beside what the ledger says; in samples."""

    echoes: list[int]  # delays of the probes that came back clearly
    probes: int
    ledger: Ledger
    block: int
    gaps: int  # underruns or overruns meanwhile

    @property
    def measured(self) -> int:
        """The median; of an even number the lower one of the two in the middle, so that it did occur."""
        return sorted(self.echoes)[(len(self.echoes) - 1) // 2]

    @property
    def spread(self) -> int:
        """From the least to the greatest."""
        return max(self.echoes) - min(self.echoes)

    @property
    def missing(self) -> int:
        """What was measured and is not in the ledger; negative: it is in the ledger and was not measured."""
        return self.measured - self.ledger.samples

    @property
    def agrees(self) -> bool:
        """Whether that is less than a block, or just one."""
        return abs(self.missing) <= self.block


def measure(
    engine: Processor,
    latency: Ledger,
    source: Device,
    sink: Device,
    block: int | None,
    seconds: float,
    level_dbfs: float,
    loop: bool = False,
) -> RoundTrip:
    """Play probes for so many seconds, at this level, and find them again. latency: the engine's, which should be
    bypassed. block: see `open_stream`. loop: have JACK lead what is played straight back.

    Raises DeviceError when the devices refuse or go away, and when fewer than half of the probes come back; and what
    the engine raised."""
    if loop and not source.api == sink.api == API:
        raise DeviceError(f"--loop: only JACK and PipeWire's JACK can lead sound back; this is {sink.api}; {CONNECT}")
    prober = Prober(engine, make_probe(engine.rate, level_dbfs), seconds)
    callback = Callback(prober)
    with abandoned_when_gone():
        stream = open_stream(callback, source, sink, engine.rate, engine.channels, block)
        with collector_frozen(), running(stream):
            if loop:
                lead_back()
            while not prober.done:
                stream.check()
                time.sleep(POLL_S)
            terms = device_terms(source, sink, engine.rate, stream.block, stream.latency_ms) | stream.terms
    if callback.first_fault is not None:
        raise callback.first_fault
    echoes = prober.echoes()
    clear = [echo.delay for echo in echoes if echo.clear]
    if len(clear) < len(echoes) / 2 or not clear:
        raise DeviceError(
            f"no loopback was found: of {len(echoes)} probes {len(clear)} came back clearly; the input "
            f"{heard(prober.loudest)}. {CONNECT[0].upper()}{CONNECT[1:]}"
        )
    block = round(callback.frames / callback.calls)
    return RoundTrip(clear, len(echoes), whole_way(latency, terms), block, callback.gaps)


def lead_back() -> None:
    """Wire what this process plays on JACK to what it hears, and to nothing else. Raises DeviceError when JACK does
    not."""
    me = own_client()
    with jack() as server:
        if server is None or me is None or not server.lead_back(me):
            raise DeviceError("--loop: JACK did not connect the program with itself")


def heard(loudest: float) -> str:
    """What to say of an input of this peak.

    >>> heard(0.1), heard(0.0)
    ('heard -20 dBFS at most', 'was silent')
    """
    return f"heard {20 * np.log10(loudest):.0f} dBFS at most" if loudest > 0 else "was silent"
