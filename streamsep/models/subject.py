"""What is held to the laws, what it is made to hear, and how two results are compared. See `laws`."""

import math
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array, Block, Samples, State
from streamsep.errors import ModelError
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import Engine
from streamsep.realtime.masking import slot_names
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.stft import Analysis, FrontEnd

APART_DB = (
    -20.0
)  # from slot to slot: with equal gains the masks would not be heard, and a test of them would be empty
EXACT = 1e-4  # of the reference's peak: how far float32 graphs may be apart
ROUGH_DB = -30.0  # the same for 8 bits, whose scales depend on what is computed together: energy of the difference

Spectra = NDArray[np.complex128]  # (frames, bins)


class Graph(Protocol):
    """A separator's arithmetic over many frames at once; see `loader.Batch`."""

    def start(self) -> State:
        """The state before the first frame."""
        ...

    def run(self, spectrum: Spectra, state: State) -> tuple[Array, State]:
        """(frames, bins), state -> (frames, ...), the state after the last frame."""
        ...


@dataclass(frozen=True)
class Subject:
    """Something that makes a separator, the same one and as new, as often as it is asked."""

    make: Callable[[], Separator]
    front_end: FrontEnd
    sequence: Graph | None = None  # its masks, many frames at once
    look_back: Graph | None = None  # its embeddings
    exact: bool = True  # whether it computes in floating point; otherwise in 8 bits
    options: Mapping[str, Any] = field(default_factory=dict)  # of the engine around it

    @property
    def graphs(self) -> dict[str, "Sequences"]:
        """The graphs that there are, by what they give."""
        graphs = {"masks": self.sequence, "embeddings": self.look_back}
        return {
            name: Sequences(graph, self.front_end, self.exact) for name, graph in graphs.items() if graph is not None
        }


@dataclass(frozen=True)
class Sequences:
    """A graph over many frames alone."""

    graph: Graph
    front_end: FrontEnd
    exact: bool


@dataclass(frozen=True)
class Figure:
    """Something measured, and the most it may be."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def kept(self) -> bool:
        """Whether the limit holds; what is NaN keeps none."""
        return self.value <= self.limit

    def __str__(self) -> str:
        value, limit = (f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}" for x in (self.value, self.limit))
        return f"{self.what}: {value}{self.unit} (at most {limit}{self.unit})"


# -------------------------------------------------------------------------------------------------- what is heard


def example_sound(front_end: FrontEnd, seconds: float, channels: int = 1) -> Block:
    """(samples,) or (samples, channels), up to 3, peak 0.5: a voice comes and goes in noise; the same every time."""
    rate = front_end.sample_rate
    time = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate
    voice = np.sum([np.sin(k * pitch) / k for k in range(1, 25)], 0) * (np.sin(2 * np.pi * 1.7 * time) > 0)
    sound = np.stack([voice * side for side in (1.0, 0.6, 0.3)[:channels]], 1)
    noise = np.random.default_rng(1).normal(size=sound.shape)
    sound = sound + noise * (0.3 + 0.25 * np.sin(2 * np.pi * 0.45 * time))[:, None]
    block: Block = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    return block if channels > 1 else block[:, 0]


def strange_sounds(front_end: FrontEnd, seconds: float) -> dict[str, Block]:
    """(samples,) each: all of them finite numbers, none of them sound."""
    sound = example_sound(front_end, seconds)
    time = np.arange(len(sound)) / front_end.sample_rate
    impulses = np.zeros_like(sound)
    impulses[:: front_end.sample_rate // 5] = 1
    strange = {
        "nearly nothing": 1e-30 * sound,
        "huge": 1e30 * sound,
        "the largest number": np.full_like(sound, np.finfo(np.float32).max),
        "denormal": np.full_like(sound, 1e-40),
        "constant": np.full_like(sound, 0.5),
        "impulses": impulses,
        "square": np.where(np.sin(2 * np.pi * 100 * time) >= 0, 1, -1),
        "from nothing to huge": sound * np.geomspace(1e-30, 1e30, len(sound)),
    }
    return {name: np.asarray(block, np.float32) for name, block in strange.items()}


class Hops(NamedTuple):
    """What a separator is given, hop after hop, of one channel."""

    spectra: Spectra  # (hops, bins)
    samples: Samples  # (hops, hop)


def hops_of(front_end: FrontEnd, sound: Block) -> Hops:
    """(samples,) -> what the engine would give to a separator."""
    hop = front_end.hop
    analysis = Analysis(1, front_end.window, front_end.synthesis_window, hop)
    samples = np.asarray(sound, np.float64)[: len(sound) // hop * hop].reshape(-1, hop)
    return Hops(np.concatenate([analysis.process(piece[None]).copy() for piece in samples]), samples)


def step_through(separator: Separator, hops: Hops) -> NDArray[np.float32]:
    """-> (hops, sources, bins): the masks, hop by hop."""
    return np.stack([separator.process(frame[None], piece[None]).copy() for frame, piece in zip(*hops, strict=True)])


def make_engine(
    subject: Subject,
    channels: int = 1,
    step_db: float = APART_DB,
    first_db: float = 0.0,
    separator: Separator | None = None,
) -> Engine:
    """An engine at the model's rate, around a separator of its own if none is given.

    first_db: the first slot's gain; step_db: from there to the second's, and so on."""
    separator = separator or subject.make()
    gains_db = {name: first_db + slot * step_db for slot, name in enumerate(slot_names(separator.sources))}
    rate = subject.front_end.sample_rate
    options = EngineOptions(gains_db, **subject.options)
    return Engine({"it": separator}, subject.front_end, options, "it", rate, channels)


def hear(engine: Engine, sound: Block, blocks: Iterable[int] | None = None) -> tuple[Block, Block]:
    """What comes out, (samples[, channels]) and (slots, samples[, channels]); in blocks of these sizes, or in one.

    Raises ModelError when the separator failed: the engine goes on without it, and nobody would be keeping a law."""
    heard, parts, at = [], [], 0
    for size in (len(sound),) if blocks is None else blocks:
        out, sources = engine.process(sound[at : at + size], separate=True)
        heard.append(out.copy())
        parts.append(sources.copy())
        at += size
    if faults := engine.counters.separator_faults:
        raise ModelError(f"the separator failed in {faults} of {engine.counters.hops} hops")
    return np.concatenate(heard), np.concatenate(parts, 1)


# ---------------------------------------------------------------------------------------------- how it is compared


def unequal(first: Iterable[Array], second: Iterable[Array]) -> int:
    """How many numbers are not the same to the bit."""
    return sum(int(np.count_nonzero(one != other)) for one, other in zip(first, second, strict=True))


def not_finite(arrays: Iterable[Array]) -> int:
    """How many numbers are not finite."""
    return sum(int(np.count_nonzero(~np.isfinite(array))) for array in arrays)


def apart(what: str, reference: Array, other: Array, exact: bool) -> Figure:
    """How far `other` is from `reference`, held to what this arithmetic allows."""
    difference = np.asarray(other, np.float64) - reference
    if exact:
        peak = max(float(np.abs(reference).max(initial=0)), 1e-30)
        return Figure(what, float(np.abs(difference).max(initial=0)) / peak, EXACT)
    share = float(np.linalg.norm(difference)) / max(float(np.linalg.norm(reference)), 1e-30)
    return Figure(what, 20 * math.log10(max(share, 1e-10)), ROUGH_DB, " dB")


def states_apart(what: str, reference: State, other: State, exact: bool) -> Figure:
    """The same for two states; the worst of their arrays counts. Raises ModelError when they are not alike."""
    if reference.keys() != other.keys():
        raise ModelError(f"{what}: one has {sorted(reference)}, the other {sorted(other)}")
    figures = [apart(what, reference[name], other[name], exact) for name in reference]
    return max(figures, key=lambda figure: math.inf if math.isnan(figure.value) else figure.value)


def lag_of(late: Block, sound: Block) -> int:
    """(samples,), (samples,) -> by how many samples `late` comes after `sound`: where the two correlate best.

    Both are whitened by the spectrum of `sound`, so that its own pitch does not blunt the peak."""
    size = 2 * len(sound)
    spectrum = np.fft.rfft(sound, size)
    power = np.square(np.abs(spectrum))
    response = np.fft.irfft(np.fft.rfft(late, size) * spectrum.conj() / (power + 1e-3 * power.mean()), size)
    return int(np.argmax(response[: len(sound)]))


class Memory(NamedTuple):
    """Bytes."""

    peak: int  # traced: the most that one call took for a moment
    kept: int  # traced: what was gained over all calls
    grown: int  # by the whole process


def memory_of(run: Callable[[], object], times: int, first: int = 300) -> Memory:
    """Of `times` calls, after `first` ones in which everything finds its place."""
    for _ in range(first):
        run()
    tracemalloc.start()
    try:
        for _ in range(100):
            run()
        peak = 0
        began, resident = tracemalloc.get_traced_memory()[0], resident_bytes()
        for _ in range(times):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            run()
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
        return Memory(peak, tracemalloc.get_traced_memory()[0] - began, resident_bytes() - resident)
    finally:
        tracemalloc.stop()


def resident_bytes() -> int:
    """Memory of this process, or else the most it ever had; 0 where the system does not tell."""
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
