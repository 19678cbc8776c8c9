"""The time of a hop: whole, by its stages, in the deadline case; and the memory it takes."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from streamsep.arrays import Array, Block, Samples, Spectrum
from streamsep.audio.live import collector_frozen
from streamsep.bench.timing import Nanoseconds, time_calls
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import Engine
from streamsep.realtime.stft import Analysis, FrontEnd


class Shim:
    """Writes down when the `process` of some part of an engine is entered and left, call by call, from outside.

    Its own time, some 0.3 us a call, is in what it measures."""

    def __init__(self, part: Any, calls: int) -> None:
        self.entered = np.zeros(calls, np.int64)
        self.left = np.zeros(calls, np.int64)
        self._process = part.process
        self._call = 0
        self._part = part
        part.process = self

    def __call__(self, *arguments: Array) -> Any:
        """What the part would have returned."""
        call = self._call
        self._call = call + 1
        self.entered[call] = time.perf_counter_ns()
        result = self._process(*arguments)
        self.left[call] = time.perf_counter_ns()
        return result

    @property
    def took(self) -> Nanoseconds:
        """(calls,)"""
        return self.left - self.entered

    def remove(self) -> None:
        """The part is as before."""
        del self._part.process


def time_stages(engine: Engine, blocks: Block, warm_up: int) -> dict[str, Nanoseconds]:
    """By stage, (hops,); blocks: one hop each, at the rate of the models.

    graph: the separator, with its spectrum put where the model reads it · masks: from the separator's answer to the
    synthesis: gains, the total mask, the checks, and the product with the spectrum · rest: gathering and handing out
    samples, and whatever else lies between the others.
    """
    active = engine._renderings[engine.domains.index(engine.domain)]
    parts: dict[str, Any] = {
        "analysis": engine._analysis,
        "graph": active.separator,
        "synthesis": engine._path.synthesis,
        "limiter": engine._limiter,
    }
    shims = {name: Shim(part, len(blocks)) for name, part in parts.items()}
    whole = time_calls(engine.process, blocks, warm_up)
    for shim in shims.values():
        shim.remove()
    took = {name: shim.took[warm_up:] for name, shim in shims.items()}
    took["masks"] = (shims["synthesis"].entered - shims["graph"].left)[warm_up:]
    took["rest"] = whole - np.sum(list(took.values()), axis=0)
    return {name: took[name] for name in ("analysis", "graph", "masks", "synthesis", "limiter", "rest")}


def time_deadline_case(engine: Engine, blocks: Block, warm_up: int) -> Nanoseconds | None:
    """(hops,) in each of which two separators run: one hand-over after the other, listening along and fading.

    None when the engine has one domain only."""
    first = engine.domain
    second = next((domain for domain in engine.domains if domain != first), None)
    if second is None:
        return None
    clock = time.perf_counter_ns
    took = np.zeros(len(blocks) - warm_up, np.int64)
    for block in blocks[:warm_up]:
        engine.process(block)
    wanted = first
    with collector_frozen():
        for index, block in enumerate(blocks[warm_up:]):
            if engine.domain == wanted:
                wanted = second if wanted == first else first
                engine.select(wanted)
            began = clock()
            engine.process(block)
            took[index] = clock() - began
    return took


def spectra(front_end: FrontEnd, blocks: Block) -> Spectrum:
    """(hops, 1, bins): what the separators of an engine see of these hops, (hops, hop)."""
    analysis = Analysis(1, front_end.window, front_end.synthesis_window, front_end.hop)
    return np.stack([analysis.process(block[None].astype(np.float64)).copy() for block in blocks])


def time_separator(separator: Separator, frames: Spectrum, hop: int, warm_up: int) -> Nanoseconds:
    """(hops,): the separator by itself, caches warm: what the model of a bank costs, not what a hop with it costs."""
    samples: Samples = np.zeros((1, hop))  # such a model looks at the spectrum alone
    separator.reset()
    took = time_calls(lambda spectrum: separator.process(spectrum, samples), frames, warm_up)
    separator.reset()
    return took


def traced_peak(call: Callable[[Block], object], blocks: Block, warm_up: int) -> int:
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
