"""Everything there is to measure, on one core, into one report."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from streamsep.arrays import Block
from streamsep.bench import machine
from streamsep.bench.banks import bank_of, first_of, front_ends, main_first
from streamsep.bench.catch_up import Restless, time_catch_up
from streamsep.bench.hop import FADING, WARM_UP, Case, Fading, spectra, time_cases, time_separator, traced_peak
from streamsep.bench.report import FORMAT
from streamsep.bench.start import first_sound
from streamsep.bench.stimulus import as_blocks, lively_noise
from streamsep.bench.timing import SHARES, distribution, figures_of, one_core
from streamsep.bench.watched import Look, measure_monitor, time_looks
from streamsep.config import Settings
from streamsep.errors import StreamsepError
from streamsep.models.bank import Bank
from streamsep.models.loader import Batch
from streamsep.realtime.engine import AUTO, Engine
from streamsep.realtime.hand_over import Monitor

TRACED_HOPS = 400
FILE_RUNS = 3
BATCH_FRAMES, BATCH_RUNS = 250, 20
LOOKS_S = 8.0  # of sound, for each size of a bank
STEADY_HOPS = 1000
RATES = (44_100, 48_000)
CHANNELS = (1, 2, 4)
SIZES = (1, 2, 4, 8)
PLAIN, FADE = "plain", "fade"
NOTES = (
    "Everything but hops with and without the monitor ran on one core, where the system can bind to one "
    "(machine.measured_on_core), without garbage collection; the first 100 hops of every turn are not counted, and "
    "what is compared took turns.",
    "Every time is one that occurred: p99.9 is the time that one hop in a thousand took or exceeded. late: hops that "
    "took longer than their deadline, which is the hop's own length; load: share of the deadline.",
    "stages are a pass of their own and include what it costs to read the clock around each of them, 0.3 us; no time "
    "is in two of them. analysis: with that of a shorter synthesis window; masks: gains, the total mask, the checks, "
    "the product with the spectrum, the way on; crossfade: remembering what a hand-over needs, and during a fade the "
    "blending of two masks; without a window, filter design and filtering instead of synthesis; rest: gathering "
    "samples and handing them out.",
    "At other hops than the models' own the same graph runs on frames of as many bins: the time is right, the sound "
    "would not be, for the model was not trained for them. The synthesis window is two hops long there.",
    "fade: every hop runs two models and blends their masks; catch_up: hops that run one of the two twice, as in the "
    "first hops of a warm hand-over.",
    "graph: a model alone in a loop, its weights and code in the caches; in a hop it takes longer (stages.graph).",
    "memory: the most that one hop allocates for a while, sources included, of one channel or two; and what a new "
    "process holds after `import streamsep` and after its first hop.",
    "file: streamsep.separate() from samples to samples, all sources, opening the models included; auto: with the "
    f"monitor's choice. batch: the graph alone, {BATCH_FRAMES} frames in one run.",
    "start: a new process up to its first hop. banks: of so many models, the same ones again under made-up names "
    "where there are fewer.",
    "monitor: hops in real time, without it and with it in turns, the same model heard in both; look: of all models "
    "at what is new; whole_look_back: at two seconds, none of them heard before.",
)

Tell = Callable[[str], object]


class Maker(Protocol):
    """Makes what is measured, of the models and settings that were asked for; somebody knows how."""

    @property
    def settings(self) -> Settings:
        """All of them."""
        ...

    def bank(self, precision: str) -> Bank:
        """As new."""
        ...

    def engine(
        self, bank: Bank, rate: int, channels: int = 1, monitor: Monitor | None = None, **settings: Any
    ) -> Engine:
        """As new, of this bank's separators; settings: that differ; the domain is the bank's first one unless it is
        among them."""
        ...

    def inline(self, bank: Bank) -> tuple[Engine, Look]:
        """An engine, and what makes its monitor look at what the engine has heard. Raises StreamsepError for a bank
        that cannot have one."""
        ...

    def watched(self) -> tuple[Engine, Callable[[], int | None]]:
        """An engine with a monitor in a process, and the process's number. Raises as `inline`."""
        ...

    def separate(self, samples: Block, rate: int, domain: str) -> object:
        """A file."""
        ...


def measure(make: Maker, domain: str, precisions: tuple[str, ...], seconds: float, tell: Tell) -> dict[str, Any]:
    """The report of `streamsep bench --json`, all but the version of streamsep.

    domain: of the model that is heard. precisions: that there are, first the one for all but the comparison. seconds:
    of sound for each figure. tell: called with what comes next. Raises what opening the models does."""
    report: dict[str, Any] = {"format": FORMAT, "machine": machine.machine(), "versions": machine.versions()}
    with one_core() as core:
        report["machine"]["measured_on_core"] = core
        run = Run(make, domain, precisions, seconds)
        before_ms = run.usual_ms()
        report |= run.what()
        for words, part in (
            ("every model by itself", run.graphs),
            ("hops: their lengths, int8 and fp32, with and without a fade", run.hops),
            ("hops: channels, rates, the catch-up of a hand-over", run.engines),
            ("memory", run.memory),
            ("a file", run.files),
            ("starting, and banks of 1 to 8 models", run.banks),
        ):
            tell(words)
            report |= part()
    report["memory"]["rss_mb"] = report["start"]["rss_mb"]
    tell("the monitor, in real time")
    report["monitor"] = run.monitor()
    with one_core():
        report["machine"]["drift"] = round(run.usual_ms() / before_ms, 3)
    report["notes"] = [*NOTES, *run.notes]
    return report


class Run:
    """One benchmark; every method measures a part of the report."""

    def __init__(self, make: Maker, domain: str, precisions: tuple[str, ...], seconds: float) -> None:
        """As `measure`."""
        self._make, self._domain, self._seconds = make, domain, seconds
        self._precision = precisions[0]
        self._models = make.settings.models
        self._bank = make.bank(self._precision)
        self._front = self._bank.front_end
        self._rate, self._own_ms = self._front.sample_rate, 1000 * self._front.hop / self._front.sample_rate
        self._hops = max(1, round(1000 * seconds / self._own_ms))
        self._paths = main_first(self._bank, domain)
        self.notes: list[str] = []
        try:
            make.inline(self._bank)
            self._monitored = True
        except StreamsepError as error:  # a bank of one's own may have no monitor
            self._monitored = False
            self.notes.append(f"The monitor was left out: {error}")
        self._pairs = {precision: pair for precision in precisions if (pair := self._pair(precision))}

    def _pair(self, precision: str) -> Bank | None:
        """The model that is heard, and another one that comes in: itself where there is no other. None where the bank
        does not have it in this precision."""
        bank = self._bank if precision == self._precision else self._make.bank(precision)
        if self._domain not in bank.models:
            self.notes.append(f"There is no {self._domain!r} in {precision}.")
            return None
        return bank_of(main_first(bank, self._domain)[:2], 2, self._models.method, self._models.sources)

    def usual_ms(self) -> float:
        """The usual time of a hop, of a few: to see whether the machine is as fast at the end as in the beginning."""
        engine = self._make.engine(self._bank, self._rate, domain=self._domain)
        return float(time_cases({0: Case(engine, STEADY_HOPS)})[0]["p50_ms"])

    def what(self) -> dict[str, Any]:
        """What is measured, and with what."""
        manifest = self._bank.models[self._domain].manifest
        said = manifest.model_dump(include={"version", "precision", "parameters"})
        return {
            "settings": self._make.settings.model_dump(),
            "model": {"domain": self._domain, **said},
            "seconds": self._seconds,
            "shares": list(SHARES),
        }

    def graphs(self) -> dict[str, Any]:
        """Every model by itself, hop by hop and, the one that is heard, many hops at once."""
        front = self._front
        blocks = as_blocks(lively_noise((WARM_UP + self._hops) * front.hop / self._rate, self._rate, 1), front.hop)
        frames = spectra(front, blocks)
        took = {name: time_separator(model.separator, frames, front.hop) for name, model in self._bank.models.items()}
        batch = Batch(self._bank.models[self._domain].path)
        piece = np.resize(frames[:, 0], (BATCH_FRAMES, front.bins))
        state, took_s = batch.start(), []
        for _ in range(1 + BATCH_RUNS):
            began_s = time.perf_counter()
            _, state = batch.run(piece, state)
            took_s.append(time.perf_counter() - began_s)
        sound_s = BATCH_FRAMES * self._own_ms / 1000
        return {
            "graph": {name: figures_of(each) for name, each in took.items()},
            "batch": {
                "frames": BATCH_FRAMES, "times_real_time": rate_of(sound_s, statistics.median(took_s[1:])),
            },
        }  # fmt: skip

    def hops(self) -> dict[str, Any]:
        """Of every length and precision, with and without a fade, by stages."""
        cases, latency_ms = {}, {}  # they share the separators: what those remember does not change what they take
        for length_ms, front in front_ends(self._front).items():
            for precision, pair in self._pairs.items():
                bank = replace(pair, front_end=front)
                plain, fading = self._make.engine(bank, self._rate), self._make.engine(bank, self._rate, **FADING)
                cases[length_ms, precision, PLAIN] = Case(plain, self._hops)
                cases[length_ms, precision, FADE] = Case(fading, self._hops, Fading(fading, bank.domains[1]))
                latency_ms[length_ms] = round(plain.latency.ms, 3)
        found = time_cases(cases, staged=True)
        table: dict[str, Any] = {f"{ms:g}": {"latency_ms": late_ms} for ms, late_ms in latency_ms.items()}
        for (length_ms, precision, how), told in found.items():
            table[f"{length_ms:g}"].setdefault(precision, {})[how] = told
        usual = found[self._own_ms, self._precision, PLAIN]
        return {"hop": {"length_ms": self._own_ms, "latency_ms": latency_ms[self._own_ms], **usual}, "hops": table}

    def engines(self) -> dict[str, Any]:
        """Channels, rates, and the first hops of a warm hand-over."""
        make, pair = self._make.engine, self._pairs[self._precision]
        engines = {("channels", channels): make(pair, self._rate, channels) for channels in CHANNELS}
        engines |= {("rates", rate): make(pair, rate) for rate in (self._rate, *RATES)}
        found = time_cases({key: Case(engine, self._hops) for key, engine in engines.items()})
        report: dict[str, Any] = {"channels": {}, "rates": {}}
        for (what, number), told in found.items():
            report[what][str(number)] = told
            if what == "rates":
                told["latency_ms"] = round(engines[what, number].latency.ms, 3)
        restless = make(pair, self._rate, monitor=Restless(pair.separators(), self._front.hop), fade_ms=20.0)
        took = time_catch_up(restless, Case(restless, self._hops).blocks, WARM_UP)
        return report | {"catch_up": None if took is None else distribution(took, self._own_ms)}

    def memory(self) -> dict[str, Any]:
        """What a hop allocates for a while."""
        peaks = []
        for channels in CHANNELS[:2]:
            with self._make.engine(self._bank, self._rate, channels, domain=self._domain) as engine:
                separating = partial(engine.process, separate=True)
                peaks.append(traced_peak(separating, Case(engine, TRACED_HOPS).blocks, WARM_UP))
        return {"memory": {"traced_peak_bytes_per_hop": max(peaks)}}

    def files(self) -> dict[str, Any]:
        """Whole files, with this model and, where there is one, with the monitor's choice."""
        samples = lively_noise(self._seconds, self._rate, 1)[:, 0]

        def times_real_time(domain: str) -> float:
            took_s = []
            for _ in range(FILE_RUNS):
                began_s = time.perf_counter()
                self._make.separate(samples, self._rate, domain)
                took_s.append(time.perf_counter() - began_s)
            return rate_of(self._seconds, statistics.median(took_s))

        return {
            "file": {
                "seconds": self._seconds,
                "times_real_time": times_real_time(self._domain),
                "auto_times_real_time": times_real_time(AUTO) if self._monitored else None,
            }
        }

    def banks(self) -> dict[str, Any]:
        """Starting with this bank, and what grows with a bank: hops, looks of the monitor, start, memory."""
        how = self._models.method, self._models.sources
        first_sound(self._paths, 1, *how)  # the system still has to find the files
        starts = {size: first_sound(self._paths, size, *how) for size in sorted({*SIZES, len(self._paths)})}
        start = starts[len(self._paths)]
        report: dict[str, Any] = {"import_s": start["import_s"], "start": start, "banks": {}}
        largest = bank_of(self._paths, max(SIZES), *how)
        banks = {size: first_of(largest, size) for size in SIZES}
        took = time_cases(
            {size: Case(self._make.engine(bank, self._rate), self._hops) for size, bank in banks.items()}
        )
        for size, bank in banks.items():
            look = None
            if self._monitored:
                looking = time_looks(*self._make.inline(bank), self._make.settings.monitor.every_s, LOOKS_S)
                look = figures_of(looking)
            report["banks"][str(size)] = {"hop": took[size], "look": look, "start": starts[size]}
        return report

    def monitor(self) -> dict[str, Any] | None:
        """A look by itself, and the sound with and without it, in real time. None where there cannot be one."""
        if not self._monitored:
            return None
        try:
            watched = self._make.watched()
        except StreamsepError as error:  # not every system can have it in a process of its own
            self.notes.append(f"The monitor in its own process was left out: {error}")
            return None
        return measure_monitor(
            lambda: self._make.inline(self._bank),
            self._make.engine(self._bank, self._rate, domain=self._domain),
            watched,
            self._make.settings.monitor.every_s,
            self._seconds,
        )


def rate_of(sound_s: float, took_s: float) -> float:
    """How many times faster than real time."""
    return round(sound_s / took_s, 1)
