"""The laws that every separator keeps, as code that measures: for `streamsep check` and for the tests.

Each law yields figures and the limit of each; a law is kept when no figure is above its limit. The numbers are those of
the README's table. Law 9, switching, is about two separators in one engine and lives in the tests alone.
"""

import math
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array, Block, State
from streamsep.errors import ModelError
from streamsep.models.loader import Batch, open_model
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import LOUDEST, Engine, EngineOptions
from streamsep.realtime.masking import slot_names
from streamsep.realtime.stft import Analysis, FrontEnd

APART_DB = -20.0  # from slot to slot: with equal gains the masks would not be heard, and a test of them would be empty
EXACT = 1e-4  # of the reference's peak: how far float32 graphs may be apart
ROUGH_DB = -30.0  # the same for 8 bits, whose scales depend on what is computed together: energy of the difference
ROUNDING = 1e-5  # of the peak: float32 samples and masks, and their sums
BLOCKS = (1, 63, 64, 65, 8193)
STEADY_HOPS = 10_000
HOP_BYTES = 4096  # that a hop may take for a moment
GROWTH_BYTES = 4096  # of traced memory over STEADY_HOPS: counters outgrow Python's ready-made small integers
RESIDENT_BYTES = 4 * 2**20  # of the process: less than half a kilobyte lost in every hop shows

Spectra = NDArray[np.complex128]  # (frames, bins)


@dataclass(frozen=True)
class Verdict:
    """How a law was kept."""

    name: str  # its number and short name
    law: str  # what it says
    passed: bool
    detail: str  # the figures that were measured, and their limits


@dataclass(frozen=True)
class Figure:
    """Something measured, and the most it may be."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def kept(self) -> bool:
        """Whether the limit holds; nothing that is NaN keeps one."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{self.what} {self.value:.3g}{self.unit} (at most {self.limit:g}{self.unit})"


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
    """What is held to the laws: something that makes a separator, the same one and as new, as often as it is asked."""

    make: Callable[[], Separator]
    front_end: FrontEnd
    sequence: Graph | None = None  # its masks, many frames at once
    look_back: Graph | None = None  # its embeddings
    exact: bool = True  # whether it computes in floating point; otherwise in 8 bits

    def graphs(self) -> dict[str, Graph]:
        """Those that there are, by what they give."""
        graphs = {"masks": self.sequence, "embeddings": self.look_back}
        return {name: graph for name, graph in graphs.items() if graph is not None}


@dataclass(frozen=True)
class Sequences:
    """What is held to the laws when there is only a graph over many frames."""

    graph: Graph
    front_end: FrontEnd
    exact: bool


# ------------------------------------------------------------------------------------------------------ the sounds


def test_sound(front_end: FrontEnd, seconds: float, channels: int = 1) -> Block:
    """(samples,) or (samples, channels), peak 0.5: a gliding voice that comes and goes in noise; the same every time."""
    rate = front_end.sample_rate
    count = round(seconds * rate)
    time = np.arange(count) / rate
    random = np.random.default_rng(1)
    pitch = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate
    voice = sum(np.sin(k * pitch) / k for k in range(1, 25)) * (np.sin(2 * np.pi * 1.7 * time) > 0)
    sound = np.stack([voice * side for side in (1.0, 0.6, 0.3)[:channels]], 1)
    sound = sound + random.normal(size=sound.shape) * (0.3 + 0.25 * np.sin(2 * np.pi * 0.45 * time))[:, None]
    sound = (0.5 * sound / np.abs(sound).max()).astype(np.float32)
    return sound if channels > 1 else sound[:, 0]


def frames_of(front_end: FrontEnd, sound: Block) -> Spectra:
    """(samples,) -> (frames, bins), as the engine's analysis gives them."""
    hop = front_end.hop
    analysis = Analysis(1, front_end.window, front_end.synthesis_window, hop)
    pieces = np.asarray(sound, np.float64)[: len(sound) // hop * hop].reshape(-1, 1, hop)
    return np.concatenate([analysis.process(piece).copy() for piece in pieces])


def make_engine(subject: Subject, channels: int = 1, step_db: float = APART_DB) -> Engine:
    """An engine of its own, at the model's rate; each slot's gain is `step_db` from that of the one before it."""
    separator = subject.make()
    gains_db = {name: max(slot * step_db, -120.0) for slot, name in enumerate(slot_names(separator.sources))}
    rate = subject.front_end.sample_rate
    return Engine({"it": separator}, subject.front_end, EngineOptions(gains_db), "it", rate, channels)


def hear(engine: Engine, sound: Block, blocks: Iterable[int] | None = None) -> tuple[Block, Block]:
    """What comes out, (samples[, channels]) and (slots, samples[, channels]), in blocks of these sizes, or all at once.

    Raises ModelError when the separator failed: the engine would go on without it, and the laws be kept by nobody."""
    heard, parts, at = [], [], 0
    for size in [len(sound)] if blocks is None else blocks:
        out, sources = engine.process(sound[at : at + size], separate=True)
        heard.append(out.copy())
        parts.append(sources.copy())
        at += size
    if engine.counters.separator_faults:
        raise ModelError(f"the separator failed in {engine.counters.separator_faults} of {engine.counters.hops} hops")
    return np.concatenate(heard), np.concatenate(parts, 1)


def step_through(separator: Separator, spectra: Spectra) -> NDArray[np.float32]:
    """(frames, bins) -> (frames, sources, bins), hop by hop; for separators that look at spectra alone."""
    nothing = np.zeros((1, 0))
    return np.stack([separator.process(frame[None], nothing).copy() for frame in spectra])


# ----------------------------------------------------------------------------------------------------- comparisons


def unequal(first: Iterable[Array], second: Iterable[Array]) -> int:
    """How many numbers are not the same to the bit."""
    return sum(int(np.count_nonzero(one != other)) for one, other in zip(first, second, strict=True))


def apart(what: str, reference: Array, other: Array, exact: bool) -> Figure:
    """How far `other` is from `reference`, held to what this arithmetic allows."""
    difference = np.asarray(other, np.float64) - reference
    if exact:
        peak = max(float(np.abs(reference).max(initial=0)), 1e-30)
        return Figure(what, float(np.abs(difference).max(initial=0)) / peak, EXACT)
    energy = np.linalg.norm(difference) / max(float(np.linalg.norm(reference)), 1e-30)
    return Figure(what, 20 * math.log10(max(float(energy), 1e-10)), ROUGH_DB, " dB")


def states_apart(what: str, reference: State, other: State, exact: bool) -> Figure:
    """The same for two states; the worst of their arrays counts."""
    if reference.keys() != other.keys():
        raise ModelError(f"{what}: one has {sorted(reference)}, the other {sorted(other)}")
    figures = [apart(what, reference[name], other[name], exact) for name in reference]
    return max(figures, key=lambda figure: math.inf if math.isnan(figure.value) else figure.value)


# -------------------------------------------------------------------------------------------------------- the laws


def same_in_pieces(subject: Subject) -> Iterator[Figure]:
    """1"""
    for channels, word in ((1, "mono"), (2, "stereo")):
        sound = test_sound(subject.front_end, 1.5, channels)
        whole = hear(make_engine(subject, channels), sound)
        random = np.random.default_rng(2).integers(1, 700, len(sound)).tolist()
        partitions = [[size] * -(-len(sound) // size) for size in BLOCKS] + [random]
        differing = sum(unequal(whole, hear(make_engine(subject, channels), sound, cut(p, len(sound)))) for p in partitions)
        yield Figure(f"{word} samples that differ", differing, 0)


def cut(sizes: Iterable[int], count: int) -> Iterator[int]:
    """Block sizes until `count` samples are used up."""
    for size in sizes:
        if count <= 0:
            return
        yield min(size, count)
        count -= size


def one_arithmetic(subject: Subject) -> Iterator[Figure]:
    """2"""
    spectra = frames_of(subject.front_end, test_sound(subject.front_end, 2))
    separator = subject.make()
    masks = step_through(separator, spectra)
    for name, graph in subject.graphs().items():
        result, state = graph.run(spectra, graph.start())
        if graph is subject.sequence:
            yield apart("masks, step and sequence", masks, result, subject.exact)
        if state:
            yield states_apart(f"states, step and {name}", separator.state(), state, subject.exact)


def one_by_one(subject: Sequences) -> Iterator[Figure]:
    """2, of a graph alone"""
    spectra = frames_of(subject.front_end, test_sound(subject.front_end, 1))
    whole, end = subject.graph.run(spectra, subject.graph.start())
    state, results = subject.graph.start(), []
    for frame in spectra:
        result, state = subject.graph.run(frame[None], state)
        results.append(result)
    yield apart("results, one by one and all at once", np.concatenate(results), whole, subject.exact)
    if state:
        yield states_apart("states, one by one and all at once", state, end, subject.exact)


def causal(subject: Subject) -> Iterator[Figure]:
    """3"""
    sound = test_sound(subject.front_end, 1.5)
    past = hear(make_engine(subject), sound)
    moved = 0
    for at in (len(sound) // 3 + 1, len(sound) // 2):
        for future in (1e30, math.nan):
            other = sound.copy()
            other[at:] = future
            heard = hear(make_engine(subject), other)
            moved += unequal((past[0][:at], past[1][:, :at]), (heard[0][:at], heard[1][:, :at]))
    yield Figure("samples of the past that moved", moved, 0)
    for name, graph in subject.graphs().items():
        yield from causal_sequence(Sequences(graph, subject.front_end, subject.exact), name)


def causal_sequence(subject: Sequences, name: str = "results") -> Iterator[Figure]:
    """3, of a graph alone"""
    spectra = frames_of(subject.front_end, test_sound(subject.front_end, 1.5))
    at = len(spectra) // 2
    whole, _ = subject.graph.run(spectra, subject.graph.start())
    # A NaN would poison the scale of everything that 8-bit arithmetic quantises together with it, as it is meant to.
    for word, future in {"loud": LOUDEST * subject.front_end.window, "NaN": math.nan}.items():
        if subject.exact or not math.isnan(future):
            other = spectra.copy()
            other[at:] = future
            moved, _ = subject.graph.run(other, subject.graph.start())
            yield apart(f"{name} before {word} frames", whole[:at], moved[:at], subject.exact)


def delay_is_the_ledgers(subject: Subject) -> Iterator[Figure]:
    """4"""
    sound = test_sound(subject.front_end, 2)
    for word, step_db in (("equal", 0.0), ("20 dB apart", APART_DB)):
        engine = make_engine(subject, step_db=step_db)
        heard, _ = hear(engine, sound)
        yield Figure(f"samples off, gains {word}", abs(lag_of(heard, sound) - engine.latency.samples), 0)


def lag_of(late: Block, sound: Block) -> int:
    """(samples,), (samples,) -> by how many samples `late` is like `sound` but later: where they correlate best."""
    size = 2 * len(sound)
    return int(np.argmax(np.fft.irfft(np.fft.rfft(late, size) * np.fft.rfft(sound, size).conj(), size)[: len(sound)]))


def reset_is_new(subject: Subject) -> Iterator[Figure]:
    """5"""
    sound = test_sound(subject.front_end, 1, 2)
    used = make_engine(subject, 2)
    hear(used, 0.3 * sound[::-1])
    used.reset()
    yield Figure("samples that differ after a reset", unequal(hear(make_engine(subject, 2), sound), hear(used, sound)), 0)

    spectra = frames_of(subject.front_end, test_sound(subject.front_end, 1.5))
    before, after = np.split(spectra, [len(spectra) // 2 + 1])
    first, second = subject.make(), subject.make()
    step_through(first, before)
    state = first.state()
    kept = {name: array.copy() for name, array in state.items()}
    masks = step_through(first, after)
    yield Figure("numbers of a copied state that moved", unequal(kept.values(), state.values()), 0)
    step_through(second, after[::-1])
    second.set_state(state)
    yield Figure("masks that differ after state out, state in", unequal([masks], [step_through(second, after)]), 0)
    for name, graph in subject.graphs().items():
        yield from resumed_sequence(Sequences(graph, subject.front_end, subject.exact), name)


def resumed_sequence(subject: Sequences, name: str = "results") -> Iterator[Figure]:
    """5, of a graph alone"""
    spectra = frames_of(subject.front_end, test_sound(subject.front_end, 1.5))
    before, after = np.split(spectra, [len(spectra) // 2 + 1])
    whole, _ = subject.graph.run(spectra, subject.graph.start())
    _, state = subject.graph.run(before, subject.graph.start())
    resumed, _ = subject.graph.run(after, state)
    yield apart(f"{name}, in one run and in two", whole[len(before) :], resumed, subject.exact)


def sources_add_up(subject: Subject) -> Iterator[Figure]:
    """6"""
    sound = test_sound(subject.front_end, 2, 2)
    peak = float(np.abs(sound).max())
    for word, step_db in (("", APART_DB), (", gains equal", 0.0)):
        engine = make_engine(subject, 2, step_db)
        heard, sources = hear(engine, sound)
        late = engine.latency.samples
        total = sources.sum(0, np.float64) if step_db else heard
        what = "mixture less its sources" if step_db else "mixture less the output"
        yield Figure(what + word, float(np.abs(total[late:] - sound[:-late]).max()) / peak, ROUNDING)
    masks = step_through(subject.make(), frames_of(subject.front_end, sound[:, 0]))
    yield Figure("masks below 0", float(-masks.min()), ROUNDING)
    yield Figure("masks above 1", float(masks.max() - 1), ROUNDING)
    yield Figure("sum of masks off 1", float(np.abs(masks.sum(1, np.float64) - 1).max()), ROUNDING)


def strange_sounds(front_end: FrontEnd, seconds: float) -> dict[str, Block]:
    """(samples,) each, all of them finite numbers, none of them sound."""
    sound = test_sound(front_end, seconds)
    time = np.arange(len(sound)) / front_end.sample_rate
    impulses = np.zeros_like(sound)
    impulses[:: front_end.sample_rate // 5] = 1
    strange = {
        "nearly nothing": 1e-30 * sound,
        "huge": 1e30 * sound,
        "largest": np.full_like(sound, np.finfo(np.float32).max),
        "denormal": np.full_like(sound, 1e-40),
        "constant": np.full_like(sound, 0.5),
        "impulses": impulses,
        "square": np.where(np.sin(2 * np.pi * 100 * time) >= 0, 1, -1),
        "from nothing to huge": sound * np.geomspace(1e-30, 1e30, len(sound)),
    }
    return {name: np.asarray(block, np.float32) for name, block in strange.items()}


def silence_and_noise(subject: Subject) -> Iterator[Figure]:
    """7"""
    rate = subject.front_end.sample_rate
    heard = hear(make_engine(subject), np.zeros(rate // 2, np.float32))
    yield Figure("samples heard of silence", sum(int(np.count_nonzero(array)) for array in heard), 0)
    wrong = hops = numbers = 0
    for sound in strange_sounds(subject.front_end, 0.5).values():
        separator = subject.make()
        engine = make_engine(Subject(lambda it=separator: it, subject.front_end))  # type: ignore[misc]
        heard = hear(engine, sound)
        wrong += sum(int(np.count_nonzero(~np.isfinite(array))) for array in heard)
        numbers += not_finite(separator.state())
        hops += engine.counters.non_finite_hops
    yield Figure("samples not finite", wrong, 0)
    yield Figure("numbers of states not finite", numbers, 0)
    yield Figure("finite hops taken for others", hops, 0)
    yield from not_a_number(subject)


def not_a_number(subject: Subject) -> Iterator[Figure]:
    """7, of samples that are no numbers: silence in their place, and what is heard later is what is heard after that."""
    front = subject.front_end
    sound = test_sound(front, 1.5)
    start = 200 * front.hop + front.hop // 3
    silent, broken = sound.copy(), sound.copy()
    silent[start : start + 3] = 0
    broken[start : start + 3] = math.nan, math.inf, -math.inf
    separator = subject.make()
    engine = make_engine(Subject(lambda: separator, front))
    heard = hear(engine, broken)
    wanted = hear(make_engine(subject), silent)
    calm = start // front.hop * front.hop + engine.latency.samples + front.synthesis_window
    yield Figure("hops with NaN off the count of 1", abs(engine.counters.non_finite_hops - 1), 0)
    yield Figure("samples not finite after NaN", not_finite({"heard": heard[0], "sources": heard[1]}), 0)
    yield Figure("numbers of states not finite after NaN", not_finite(separator.state()), 0)
    later = unequal((wanted[0][calm:], wanted[1][:, calm:]), (heard[0][calm:], heard[1][:, calm:]))
    yield Figure("samples that remember NaN", later, 0)


def finite_sequence(subject: Sequences) -> Iterator[Figure]:
    """7, of a graph alone"""
    wrong = 0
    for sound in strange_sounds(subject.front_end, 0.5).values():
        spectra = frames_of(subject.front_end, np.clip(sound, -LOUDEST, LOUDEST))
        result, state = subject.graph.run(spectra, subject.graph.start())
        wrong += not_finite({"result": result, **state})
    yield Figure("numbers not finite", wrong, 0)


def not_finite(arrays: State) -> int:
    """How many numbers are not finite."""
    return sum(int(np.count_nonzero(~np.isfinite(array))) for array in arrays.values())


def steady(subject: Subject) -> Iterator[Figure]:
    """8"""
    hop = subject.front_end.hop
    engine = make_engine(subject)
    sound = test_sound(subject.front_end, 2)
    blocks = [sound[at : at + hop] for at in range(0, len(sound) - hop, hop)]
    out = np.zeros(hop, np.float32)
    turn = 0

    def process() -> None:
        nonlocal turn
        engine.process(blocks[turn % len(blocks)], out=out)
        turn += 1

    for _ in range(300):
        process()
    tracemalloc.start()
    try:
        peak, growth, resident = memory_of(process, STEADY_HOPS)
    finally:
        tracemalloc.stop()
    yield Figure("traced bytes in a hop", peak, HOP_BYTES)
    yield Figure(f"traced bytes gained in {STEADY_HOPS} hops", growth, GROWTH_BYTES)
    yield Figure("bytes gained by the process", resident, RESIDENT_BYTES)


def memory_of(run: Callable[[], object], times: int) -> tuple[int, int, int]:
    """Bytes: the most that one call took for a moment, what all of them kept, and what the process grew by.

    tracemalloc has to be running."""
    for _ in range(100):
        run()
    peak = 0
    began, resident = tracemalloc.get_traced_memory()[0], resident_bytes()
    for _ in range(times):
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
    return peak, tracemalloc.get_traced_memory()[0] - began, resident_bytes() - resident


def resident_bytes() -> int:
    """Memory of this process, or the most it ever had; 0 where the system does not tell."""
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        return int(statistics.read_text().split()[1]) * 4096
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def ceiling_holds(subject: Subject) -> Iterator[Figure]:
    """10"""
    loudest = 0.0
    for sound in strange_sounds(subject.front_end, 0.5).values():
        engine = make_engine(subject, step_db=0)
        for name in engine.sources:
            engine.set_gain(name, 24)
        loudest = max(loudest, float(np.abs(hear(engine, sound)[0]).max()))
    yield Figure("loudest sample", 20 * math.log10(max(loudest, 1e-10)), EngineOptions().ceiling_db, " dBFS")


Measure = Callable[[Subject], Iterable[Figure]]
LAWS: dict[str, tuple[str, Measure]] = {
    "1 same in pieces": ("blocks of any size give the same samples, to the bit", same_in_pieces),
    "2 one arithmetic": ("hop by hop and many frames at once give the same", one_arithmetic),
    "3 causal": ("what comes beyond the look-ahead does not change the past", causal),
    "4 delay": ("the output is as late as the ledger says, to the sample", delay_is_the_ledgers),
    "5 reset and state": ("reset means new; state out, state in resumes to the bit", reset_is_new),
    "6 sources add up": ("the sources add up to the delayed mixture, masks are in [0, 1]", sources_add_up),
    "7 finite": ("silence gives silence, finite gives finite, NaN is replaced and forgotten", silence_and_noise),
    "8 steady": ("no hop takes memory and none keeps any", steady),
    "10 ceiling": ("no sample is above the ceiling", ceiling_holds),
}
SEQUENCE_LAWS: dict[str, Callable[[Sequences], Iterable[Figure]]] = {
    "2 one arithmetic": one_by_one,
    "3 causal": causal_sequence,
    "5 reset and state": resumed_sequence,
    "7 finite": finite_sequence,
}


def judge(name: str, measure: Callable[[], Iterable[Figure]]) -> Verdict:
    """Measure one of LAWS. A law under which anything is raised is broken."""
    try:
        figures = list(measure())
    except Exception as error:  # whatever a stranger's model does
        first = (str(error).splitlines() or [""])[0]
        return Verdict(name, LAWS[name][0], False, f"{type(error).__name__}: {first[:300]}")
    detail = "; ".join(map(str, figures)) or "nothing to compare"
    return Verdict(name, LAWS[name][0], all(figure.kept for figure in figures), detail)


def subject_of(path: Path) -> Subject:
    """A step graph, with the look-back graph beside it if there is one. Raises ModelError for a file that is wrong."""
    sequence = Batch(path)
    beside = path.with_name(path.name.replace("-step-", "-look-back-"))
    look_back = Batch(beside) if beside != path and beside.is_file() else None
    manifest = sequence.manifest
    return Subject(lambda: open_model(path)[1], manifest.front_end, sequence, look_back, manifest.precision == "fp32")


def check_laws(path: Path) -> list[Verdict]:
    """Hold a model file to the laws: a step graph, together with DOMAIN-look-back-PRECISION.onnx beside it if that is
    there, or a look-back graph alone, to those laws that concern it. Raises ModelError when the file is no such model."""
    batch = Batch(path)
    if batch.manifest.graph == "look-back":
        graph = Sequences(batch, batch.manifest.front_end, batch.manifest.precision == "fp32")
        return [judge(name, lambda measure=measure: measure(graph)) for name, measure in SEQUENCE_LAWS.items()]  # type: ignore[misc]
    subject = subject_of(path)
    return [judge(name, lambda measure=measure: measure(subject)) for name, (_, measure) in LAWS.items()]  # type: ignore[misc]
