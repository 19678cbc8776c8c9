"""Everything there is to measure, on one core, into one report."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from streamsep.arrays import Block, Spectrum
from streamsep.bench import machine
from streamsep.bench.catch_up import MakeRestless, time_catch_up
from streamsep.bench.hop import spectra, time_deadline_case, time_separator, time_stages, traced_peak
from streamsep.bench.stimulus import as_blocks, lively_noise
from streamsep.bench.timing import Nanoseconds, figures, one_core, time_calls
from streamsep.models.bank import Bank, BankModel
from streamsep.models.loader import Batch
from streamsep.realtime.engine import Engine

WARM_UP_S = 1.0
TRACED_S = 2.0
FILE_RUNS = 3
BATCH_FRAMES = 250
RATES = (44_100, 48_000)
STEREO = 2
NOTES = (
    "Everything ran on one core, where the system can bind to one (machine.measured_on_core); hops without garbage "
    "collection, and the first second is not counted.",
    "stages are a pass of their own and include what it costs to read the clock around each of them, about 0.3 us.",
    "graph is a model alone in a loop, its weights and code in the caches; in a hop it takes longer (stages.graph).",
    "memory: the most that one hop allocates for a while, sources included, of one channel or two.",
    "deadline_case: every hop runs two models, the one that is heard and the one that is coming in; catch_up: it "
    "runs the latter twice, as in the first hops of a warm hand-over.",
    "file: streamsep.separate() from samples to samples, all sources, opening the models included.",
    f"batch: the graph alone, {BATCH_FRAMES} frames in one run.",
)

MakeEngine = Callable[[int, int], tuple[Engine, Bank]]  # rate in Hz, channels -> an engine as new, and its bank
SeparateFile = Callable[[Block, int], object]  # samples, rate in Hz


def measure(
    make: MakeEngine, make_restless: MakeRestless, separate: SeparateFile, rate: int, seconds: float
) -> dict[str, Any]:
    """The report of `streamsep bench --json`; rate: of the models, in Hz; seconds: of sound, for each figure."""
    report: dict[str, Any] = {"machine": machine.machine(), "versions": machine.versions()}
    with one_core() as core:
        report["machine"]["measured_on_core"] = core
        engine, bank = make(rate, 1)
        blocks, warm_up = sound(engine, seconds)
        frames = spectra(engine.front_end, blocks)
        model = bank.models[engine.domain]
        report["model"] = {
            "domain": engine.domain,
            **model.manifest.model_dump(include={"version", "precision", "parameters"}),
        }
        with engine:
            report["hop"] = {"length_ms": 1000 * engine.front_end.hop / rate}
            report["hop"] |= told(time_calls(engine.process, blocks, warm_up))
            resident_mb = machine.memory_mb()
            stages = time_stages(engine, blocks, warm_up)
            report["hop"]["stages"] = {name: told(took) for name, took in stages.items()}
            deadline = time_deadline_case(engine, blocks, warm_up)
            report["deadline_case"] = None if deadline is None else told(deadline)
            catch_up = time_catch_up(make_restless, blocks, warm_up)
            report["catch_up"] = None if catch_up is None else told(catch_up)
            report["graph"] = {
                domain: told(time_separator(each.separator, frames, engine.front_end.hop, warm_up))
                for domain, each in bank.models.items()
            }
        traced = traced_peak_of(make(rate, 1)[0]), traced_peak_of(make(rate, STEREO)[0])
        report["memory"] = {"traced_peak_bytes_per_hop": max(traced), "rss_mb": resident_mb}
        report["rates"] = {str(other): told(time_engine(make(other, 1)[0], seconds)) for other in RATES}
        report["channels"] = {str(STEREO): told(time_engine(make(rate, STEREO)[0], seconds))}
        report["file"] = {"seconds": seconds, "times_real_time": time_file(separate, rate, seconds)}
        report["batch"] = {"frames": BATCH_FRAMES, "times_real_time": time_batch(model, frames[:, 0])}
        report["import_s"] = machine.import_s()
    report["notes"] = list(NOTES)
    return report


def told(took: Nanoseconds) -> dict[str, float]:
    """Figures for the report."""
    return asdict(figures(took))


def sound(engine: Engine, seconds: float) -> tuple[Block, int]:
    """Blocks for an engine, each a hop long, and how many of them are for warming up.

    Where a hop is no whole number of samples the blocks are a little shorter, so that none completes two hops."""
    front = engine.front_end
    samples = lively_noise(WARM_UP_S + seconds, engine.rate, engine.channels)
    warm_up = round(WARM_UP_S * front.sample_rate / front.hop)
    return as_blocks(samples, front.hop * engine.rate // front.sample_rate), warm_up


def time_engine(engine: Engine, seconds: float) -> Nanoseconds:
    """(hops,); the engine is closed afterwards."""
    with engine:
        return time_calls(engine.process, *sound(engine, seconds))


def traced_peak_of(engine: Engine) -> int:
    """Bytes, with the sources asked for too; the engine is closed afterwards."""
    with engine:
        return traced_peak(lambda block: engine.process(block, separate=True), *sound(engine, TRACED_S))


def time_file(separate: SeparateFile, rate: int, seconds: float) -> float:
    """Seconds of sound separated in a second, median of a few."""
    samples = lively_noise(seconds, rate, 1)[:, 0]
    took_s = []
    for _ in range(FILE_RUNS):
        began_s = time.perf_counter()
        separate(samples, rate)
        took_s.append(time.perf_counter() - began_s)
    return round(seconds / statistics.median(took_s), 1)


def time_batch(model: BankModel, frames: Spectrum) -> float:
    """Seconds of sound that a model's graph works through in a second, many frames at once; frames: (hops, bins)."""
    batch = Batch(model.path)
    pieces = np.array_split(frames, max(2, len(frames) // BATCH_FRAMES))
    _, state = batch.run(pieces[0], batch.start())
    began_s = time.perf_counter()
    for piece in pieces[1:]:
        _, state = batch.run(piece, state)
    took_s = time.perf_counter() - began_s
    front = batch.manifest.front_end
    return round(sum(map(len, pieces[1:])) * front.hop / front.sample_rate / took_s, 1)
