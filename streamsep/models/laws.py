"""The laws that every separator keeps, as code that measures: for `streamsep check` and for the tests.

A law yields figures, each with the most it may be, and is kept when none is above that. Law 9, switching, is about
two separators in one engine and lives in the tests alone.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from streamsep.models.bank import look_back_beside
from streamsep.models.loader import Batch, open_model
from streamsep.models.subject import (
    APART_DB,
    Figure,
    Hops,
    Sequences,
    Subject,
    apart,
    example_sound,
    hear,
    hops_of,
    lag_of,
    make_engine,
    memory_of,
    not_finite,
    states_apart,
    step_through,
    strange_sounds,
    unequal,
)
from streamsep.realtime.cleaning import LOUDEST
from streamsep.realtime.options import EngineOptions

ROUNDING = 1e-5  # of the peak: float32 samples and masks, and their sums
BLOCKS = (1, 63, 64, 65, 8193)
STEADY_HOPS = 10_000
HOP_BYTES = 4096  # that a hop may take for a moment
KEPT_BYTES = 4096  # in STEADY_HOPS: the counters outgrow Python's ready-made small integers
GROWN_BYTES = 4 * 2**20  # the process, in STEADY_HOPS: half a kilobyte lost in every hop would show


@dataclass(frozen=True)
class Verdict:
    """How a law was kept."""

    name: str  # its number and short name
    law: str  # what it says
    passed: bool
    detail: str  # the figures that were measured, and their limits


def same_in_pieces(subject: Subject) -> Iterator[Figure]:
    """Law 1, in blocks of several sizes and of random ones."""
    for channels, word in ((1, "mono"), (2, "stereo")):
        sound = example_sound(subject.front_end, 1.2, channels)
        whole = hear(make_engine(subject, channels), sound)
        random = np.random.default_rng(2).integers(1, 700, len(sound)).tolist()
        differing = 0
        for sizes in ([size] * len(sound) for size in BLOCKS):
            differing += unequal(whole, hear(make_engine(subject, channels), sound, cut(sizes, len(sound))))
        differing += unequal(whole, hear(make_engine(subject, channels), sound, cut(random, len(sound))))
        yield Figure(f"{word} samples that differ", differing, 0)


def cut(sizes: Iterable[int], count: int) -> Iterator[int]:
    """Block sizes until `count` samples are used up."""
    for size in sizes:
        if count > 0:
            yield min(size, count)
        count -= size


def one_arithmetic(subject: Subject) -> Iterator[Figure]:
    """Law 2, between the separator and its graphs over many frames."""
    hops = hops_of(subject.front_end, example_sound(subject.front_end, 2))
    separator = subject.make()
    masks = step_through(separator, hops)
    for name, sequences in subject.graphs.items():
        result, state = sequences.graph.run(hops.spectra, sequences.graph.start())
        if name == "masks":
            yield apart("masks, one by one and all at once", masks, result, subject.exact)
        if state:
            yield states_apart(
                f"states, of steps and of the graph of {name}", separator.state(), state, subject.exact
            )


def one_by_one(sequences: Sequences) -> Iterator[Figure]:
    """Law 2, within one graph."""
    spectra = hops_of(sequences.front_end, example_sound(sequences.front_end, 1)).spectra
    whole, end = sequences.graph.run(spectra, sequences.graph.start())
    state, results = sequences.graph.start(), []
    for frame in spectra:
        result, state = sequences.graph.run(frame[None], state)
        results.append(result)
    yield apart("results, one by one and all at once", np.concatenate(results), whole, sequences.exact)
    if state:
        yield states_apart("states, one by one and all at once", state, end, sequences.exact)


def causal(subject: Subject) -> Iterator[Figure]:
    """Law 3, inside one large block and in the graphs."""
    sound = example_sound(subject.front_end, 1.5)
    past = hear(make_engine(subject), sound)
    moved = 0
    for at in (len(sound) // 3 + 1, len(sound) // 2):
        for future in (1e30, math.nan):
            other = sound.copy()
            other[at:] = future
            heard = hear(make_engine(subject), other)
            moved += unequal((past[0][:at], past[1][:, :at]), (heard[0][:at], heard[1][:, :at]))
    yield Figure("samples of the past that moved", moved, 0)
    for name, sequences in subject.graphs.items():
        yield from causal_sequence(sequences, name)


def causal_sequence(sequences: Sequences, name: str = "results") -> Iterator[Figure]:
    """Law 3, of one graph."""
    spectra = hops_of(sequences.front_end, example_sound(sequences.front_end, 1.5)).spectra
    at = len(spectra) // 2
    whole, _ = sequences.graph.run(spectra, sequences.graph.start())
    # A NaN rightly spoils the scale of all that 8-bit arithmetic quantises together with it, so there it is no test.
    futures = {"loud": LOUDEST * sequences.front_end.window} | ({"NaN": math.nan} if sequences.exact else {})
    for word, future in futures.items():
        other = spectra.copy()
        other[at:] = future
        moved, _ = sequences.graph.run(other, sequences.graph.start())
        yield apart(f"{name} before {word} frames", whole[:at], moved[:at], sequences.exact)


def delay_is_the_ledgers(subject: Subject) -> Iterator[Figure]:
    """Law 4, by correlation, with all gains equal and with the masks in use."""
    sound = example_sound(subject.front_end, 2)
    for word, step_db in (("equal", 0.0), ("20 dB apart", APART_DB)):
        engine = make_engine(subject, step_db=step_db)
        lag = lag_of(hear(engine, sound)[0], sound)
        yield Figure(f"samples off the ledger, gains {word}", abs(lag - engine.latency.samples), 0)


def reset_is_new(subject: Subject) -> Iterator[Figure]:
    """Law 5, of the engine around the separator, of the separator, and of the graphs."""
    sound = example_sound(subject.front_end, 1.5, 2)
    used = make_engine(subject, 2)
    hear(used, 0.3 * sound[:5:-1])  # until the middle of a hop
    used.reset()
    yield Figure(
        "samples that differ after a reset", unequal(hear(make_engine(subject, 2), sound), hear(used, sound)), 0
    )

    hops = hops_of(subject.front_end, sound[:, 0])
    half = len(hops.spectra) // 2
    before = Hops(hops.spectra[:half], hops.samples[:half])
    after = Hops(hops.spectra[half:], hops.samples[half:])
    first, second = subject.make(), subject.make()
    step_through(first, before)
    state = first.state()
    kept = {name: array.copy() for name, array in state.items()}
    masks = step_through(first, after)
    yield Figure("numbers of a state handed out that moved", unequal(kept.values(), state.values()), 0)
    step_through(second, after)
    second.set_state(state)
    yield Figure("masks that differ after state out, state in", unequal([masks], [step_through(second, after)]), 0)
    for name, sequences in subject.graphs.items():
        yield from resumed_sequence(sequences, name)


def resumed_sequence(sequences: Sequences, name: str = "results") -> Iterator[Figure]:
    """Law 5, of one graph."""
    spectra = hops_of(sequences.front_end, example_sound(sequences.front_end, 1.5)).spectra
    half = len(spectra) // 2
    whole, _ = sequences.graph.run(spectra, sequences.graph.start())
    _, state = sequences.graph.run(spectra[:half], sequences.graph.start())
    resumed, _ = sequences.graph.run(spectra[half:], state)
    yield apart(f"{name}, in one run and in two", whole[half:], resumed, sequences.exact)


def sources_add_up(subject: Subject) -> Iterator[Figure]:
    """Law 6, of the sources, of what is heard with equal gains, and of the masks themselves."""
    sound = example_sound(subject.front_end, 2, 2)
    engine = make_engine(subject, 2, step_db=0.0)
    heard, sources = hear(engine, sound)
    late, peak = engine.latency.samples, float(np.abs(sound).max())
    for what, total in (("sum of the sources", sources.sum(0, np.float64)), ("output at equal gains", heard)):
        off = float(np.abs(total[late:] - sound[:-late]).max()) / peak
        yield Figure(f"{what} off the delayed mixture", off, ROUNDING)
    masks = step_through(subject.make(), hops_of(subject.front_end, sound[:, 0])).astype(np.float64)
    yield Figure("least mask below 0", max(0.0, -float(masks.min())), ROUNDING)
    yield Figure("greatest mask above 1", max(0.0, float(masks.max()) - 1), ROUNDING)
    yield Figure("sum of the masks off 1", float(np.abs(masks.sum(1) - 1).max()), ROUNDING)


def silence_and_noise(subject: Subject) -> Iterator[Figure]:
    """Law 7."""
    front, quiet = subject.front_end, np.zeros(subject.front_end.sample_rate // 2, np.float32)
    heard = hear(make_engine(subject), quiet)
    engine = make_engine(subject)
    hear(engine, example_sound(front, 0.5))
    after = hear(engine, np.zeros(engine.latency.samples + front.window + front.hop, np.float32))
    yield Figure("samples heard of silence", unequal(heard, map(np.zeros_like, heard)), 0)
    yield Figure("samples heard of silence after sound", int(np.count_nonzero(after[0][-front.hop :])), 0)
    samples = numbers = hops = 0
    for sound in strange_sounds(front, 0.5).values():
        separator = subject.make()
        engine = make_engine(subject, separator=separator)
        samples += not_finite(hear(engine, sound))
        numbers += not_finite(separator.state().values())
        hops += engine.counters.non_finite_hops
    yield Figure("samples not finite", samples, 0)
    yield Figure("numbers of states not finite", numbers, 0)
    yield Figure("finite hops taken for others", hops, 0)
    yield from not_a_number(subject)


def not_a_number(subject: Subject) -> Iterator[Figure]:
    """Law 7, of samples that are no numbers: silence in their place, and later what would be heard after silence."""
    front = subject.front_end
    sound = example_sound(front, 1.5)
    hop = 200
    start = hop * front.hop + front.hop // 3
    silent, broken = sound.copy(), sound.copy()
    silent[start : start + 3] = 0
    broken[start : start + 3] = math.nan, math.inf, -math.inf
    separator = subject.make()
    engine = make_engine(subject, separator=separator)
    heard = hear(engine, broken)
    wanted = hear(make_engine(subject), silent)
    calm = (hop + 1) * front.hop + engine.latency.samples + front.synthesis_window
    yield Figure("hops counted for a NaN, off 1", abs(engine.counters.non_finite_hops - 1), 0)
    yield Figure("samples not finite for a NaN", not_finite(heard), 0)
    yield Figure("numbers of states not finite for a NaN", not_finite(separator.state().values()), 0)
    later = unequal((wanted[0][calm:], wanted[1][:, calm:]), (heard[0][calm:], heard[1][:, calm:]))
    yield Figure("samples that remember a NaN", later, 0)


def finite_sequence(sequences: Sequences) -> Iterator[Figure]:
    """Law 7, of one graph."""
    numbers = 0
    for sound in strange_sounds(sequences.front_end, 0.5).values():
        spectra = hops_of(sequences.front_end, np.clip(sound, -LOUDEST, LOUDEST)).spectra
        result, state = sequences.graph.run(spectra, sequences.graph.start())
        numbers += not_finite((result, *state.values()))
    yield Figure("numbers not finite", numbers, 0)


def steady(subject: Subject) -> Iterator[Figure]:
    """Law 8."""
    hop = subject.front_end.hop
    engine, sound, out = make_engine(subject), example_sound(subject.front_end, 2), np.zeros(hop, np.float32)
    at = 0

    def process() -> None:
        nonlocal at
        at = (at + hop) % (len(sound) - hop)
        engine.process(sound[at : at + hop], out=out)

    memory = memory_of(process, STEADY_HOPS)
    yield Figure("traced bytes in a hop", memory.peak, HOP_BYTES)
    yield Figure(f"traced bytes gained in {STEADY_HOPS:,} hops", memory.kept, KEPT_BYTES)
    yield Figure("bytes gained by the process", memory.grown, GROWN_BYTES)


def ceiling_holds(subject: Subject) -> Iterator[Figure]:
    """Law 10, with every gain as high as it goes."""
    peaks = [
        np.abs(hear(make_engine(subject, step_db=0.0, first_db=24.0), sound)[0]).max()
        for sound in strange_sounds(subject.front_end, 0.5).values()
    ]
    yield Figure("loudest sample", float(np.max(peaks)), 10 ** (EngineOptions().ceiling_db / 20))  # NaN if one is


LAWS: dict[str, tuple[str, Callable[[Subject], Iterable[Figure]]]] = {
    "1 same in pieces": ("blocks of any size give the same samples, to the bit", same_in_pieces),
    "2 one arithmetic": ("hop by hop and many frames at once give the same", one_arithmetic),
    "3 causal": ("what comes later than the look-ahead does not change the past", causal),
    "4 delay": ("the output is as late as the ledger says, to the sample", delay_is_the_ledgers),
    "5 reset and state": ("reset means new; state out, state in resumes to the bit", reset_is_new),
    "6 sources add up": ("the sources add up to the delayed mixture, and masks are in [0, 1]", sources_add_up),
    "7 finite": ("silence gives silence, finite gives finite, NaN is replaced and forgotten", silence_and_noise),
    "8 steady": ("a hop takes next to no memory and keeps none", steady),
    "10 ceiling": ("no sample is above the ceiling", ceiling_holds),
}
SEQUENCE_LAWS: dict[str, Callable[[Sequences], Iterable[Figure]]] = {
    "2 one arithmetic": one_by_one,
    "3 causal": causal_sequence,
    "5 reset and state": resumed_sequence,
    "7 finite": finite_sequence,
}


def judge(name: str, measure: Callable[[], Iterable[Figure]]) -> Verdict:
    """The verdict on one of LAWS, after measuring. When anything is raised, the law is broken."""
    try:
        figures = list(measure())
    except Exception as error:  # whatever a stranger's model does
        first = (str(error).splitlines() or [""])[0]
        return Verdict(name, LAWS[name][0], False, f"{type(error).__name__}: {first[:300]}")
    detail = "; ".join(map(str, figures)) or "nothing to compare"
    return Verdict(name, LAWS[name][0], bool(figures) and all(figure.kept for figure in figures), detail)


def measures_of(subject: Subject | Sequences) -> dict[str, Callable[[], Iterable[Figure]]]:
    """By name: every law that concerns this subject, to be measured. Law 2 needs a graph to compare with."""
    if isinstance(subject, Subject):
        laws = {
            name: measure for name, (_, measure) in LAWS.items() if subject.graphs or measure is not one_arithmetic
        }
        return {name: partial(measure, subject) for name, measure in laws.items()}
    return {name: partial(measure, subject) for name, measure in SEQUENCE_LAWS.items()}


def judge_all(subject: Subject | Sequences) -> list[Verdict]:
    """Every law that concerns this subject."""
    return [judge(name, measure) for name, measure in measures_of(subject).items()]


def subject_of(path: Path) -> Subject | Sequences:
    """The model in a file: a look-back graph alone; or a step graph, with the look-back graph beside it that is named
    the same but for -look-back instead of -step, if there is one. Raises ModelError for a file that is wrong."""
    batch = Batch(path)
    front_end, exact = batch.manifest.front_end, batch.manifest.precision == "fp32"
    if batch.manifest.graph == "look-back":
        return Sequences(batch, front_end, exact)
    beside = look_back_beside(path)
    look_back = Batch(beside) if beside != path and beside.is_file() else None
    return Subject(lambda: open_model(path)[1], front_end, batch, look_back, exact)


def check_laws(path: Path) -> list[Verdict]:
    """Hold the model in a file to the laws; see `subject_of`. Raises ModelError when it is no model."""
    return judge_all(subject_of(path))
