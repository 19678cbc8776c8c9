"""The time of a hop: of engines in turns, whole and by its stages, of a graph alone; and the memory it takes."""

import tracemalloc
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from streamsep.arrays import Block, Samples, Spectrum
from streamsep.audio.live import collector_frozen
from streamsep.bench.stages import time_stages
from streamsep.bench.stimulus import lively_noise
from streamsep.bench.timing import Nanoseconds, Nothing, distribution, figures_of, time_calls
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import Engine
from streamsep.realtime.resample import HopSchedule
from streamsep.realtime.stft import Analysis, FrontEnd

TURNS = 4
WARM_UP = 100  # hops at the beginning of every turn, which are not counted

Key = TypeVar("Key", bound=Hashable)


class Case:
    """An engine, and the hops it is given, in a few turns; between two hops `before` is called."""

    def __init__(self, engine: Engine, hops: int, before: Nothing = lambda: None) -> None:
        """hops: that are counted, rounded up to whole turns."""
        self.engine, self.before = engine, before
        front = engine.front_end
        self.hop_ms = 1000 * front.hop / front.sample_rate
        count = WARM_UP + -(-hops // TURNS)
        schedule = HopSchedule(engine.rate, front.sample_rate, front.hop)  # a hop may be no whole number of samples
        ends = np.cumsum([schedule.length(index) for index in range(TURNS * count)])
        samples = lively_noise(ends[-1] / engine.rate, engine.rate, engine.channels)
        blocks = np.split(samples[:, 0] if engine.channels == 1 else samples, ends[:-1])
        self.turns = [blocks[turn * count :][:count] for turn in range(TURNS)]

    @property
    def blocks(self) -> list[Block]:
        """Those of all turns."""
        return [block for turn in self.turns for block in turn]


class Fading:
    """To be called between two hops: from now on the engine always fades from one of two domains to the other.

    The engine must have been made to fade at once, see FADING."""

    def __init__(self, engine: Engine, other: str) -> None:
        self._engine = engine
        self._wanted, self._next = engine.domain, other

    def __call__(self) -> None:
        """As soon as a fade has ended the next one begins."""
        if self._engine.domain == self._wanted:
            self._wanted, self._next = self._next, self._wanted
            self._engine.select(self._wanted)


FADING: dict[str, Any] = {"fade_ms": 1000.0, "warm_up_ms": 0.0}  # settings of such an engine


def time_cases(cases: Mapping[Key, Case], staged: bool = False) -> dict[Key, dict[str, Any]]:
    """What the report says of every case: see `timing.distribution`; staged: also by stages (see `stages`), each with
    its figures and its share of the time of all hops.

    The cases take turns, so that whatever else the machine does falls on all alike."""
    whole: dict[Key, list[Nanoseconds]] = {key: [] for key in cases}
    stages: dict[Key, list[dict[str, Nanoseconds]]] = {key: [] for key in cases}
    with collector_frozen():  # as in live sound
        for turn in range(TURNS):
            for key, case in cases.items():
                what = case.engine, case.turns[turn], WARM_UP, case.before
                whole[key].append(time_calls(case.engine.process, *what[1:]))
                if staged:
                    stages[key].append(time_stages(*what))
    told = {key: distribution(np.concatenate(whole[key]), case.hop_ms) for key, case in cases.items()}
    if staged:
        for key, parts in stages.items():
            together = sum(int(took.sum()) for part in parts for took in part.values())
            told[key]["stages"] = {}
            for name in parts[0]:
                took = np.concatenate([part[name] for part in parts])
                told[key]["stages"][name] = {**figures_of(took), "share": round(float(took.sum() / together), 4)}
    return told


def spectra(front_end: FrontEnd, blocks: Block) -> Spectrum:
    """(hops, 1, bins): what the separators of an engine see of these hops, (hops, hop)."""
    analysis = Analysis(1, front_end.window, front_end.synthesis_window, front_end.hop)
    return np.stack([analysis.process(block[None].astype(np.float64)).copy() for block in blocks])


def time_separator(separator: Separator, frames: Spectrum, hop: int) -> Nanoseconds:
    """(hops,): the separator by itself, caches warm: what the model of a bank costs, not what a hop with it costs."""
    samples: Samples = np.zeros((1, hop))  # such a model looks at the spectrum alone
    separator.reset()
    with collector_frozen():
        took = time_calls(lambda spectrum: separator.process(spectrum, samples), frames, WARM_UP)
    separator.reset()
    return took


def traced_peak(call: Callable[[Block], object], blocks: Sequence[Block], warm_up: int) -> int:
    """The most bytes that Python and NumPy had allocated on top within any one call(block)."""
    tracemalloc.start()
    try:
        for block in blocks[:warm_up]:
            call(block)
        peak = 0
        for block in blocks[warm_up:]:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            call(block)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
        return peak
    finally:
        tracemalloc.stop()
