"""What the time of a hop is spent on: the parts of an engine, timed from outside."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from streamsep.arrays import Array, Block
from streamsep.bench.timing import Nanoseconds, Nothing
from streamsep.realtime.engine import Engine

STAGES = ("analysis", "graph", "masks", "crossfade", "synthesis", "limiter", "rest")


class Shim:
    """Adds up how long the `process` of some part of an engine takes, from outside, until it is read.

    Its own time, some 0.3 us a call, is in what it measures."""

    def __init__(self, part: Any) -> None:
        self._spent = 0
        self._process = part.process
        self._part = part
        part.process = self

    def __call__(self, *arguments: Array) -> Any:
        """What the part would have returned."""
        began = time.perf_counter_ns()
        result = self._process(*arguments)
        self._spent += time.perf_counter_ns() - began
        return result

    def read(self) -> int:
        """Nanoseconds of all calls since it was read last."""
        spent, self._spent = self._spent, 0
        return spent

    def remove(self) -> None:
        """The part is as before."""
        del self._part.process


def time_stages(
    engine: Engine, blocks: Sequence[Block], warm_up: int, before: Nothing = lambda: None
) -> dict[str, Nanoseconds]:
    """By stage, (hops,); blocks: one hop each; before: as in `timing.time_calls`.

    graph: the separators that run, with the spectrum put where they read it · masks: from their answers to the total
    mask, with gains and checks, its product with the spectrum, and the way on · crossfade: who is heard and who comes
    in: what both need is remembered, and during a fade two masks become one · rest: gathering and handing out
    samples, and whatever else lies between the others. In every hop they add up to the whole.
    """
    clock = time.perf_counter_ns
    took = np.zeros((len(blocks), len(STAGES)), np.int64)
    with ExitStack() as shims:

        def shim(part: Any) -> Shim:
            made = Shim(part)
            shims.callback(made.remove)
            return made

        analysis, hand_over, path = shim(engine._analysis), shim(engine._hand_over), shim(engine._path)
        synthesis, limiter = shim(engine._path.synthesis), shim(engine._limiter)
        graphs = [shim(rendering.separator) for rendering in engine._renderings]
        renderings = [shim(rendering) for rendering in engine._renderings]
        for index, block in enumerate(blocks):
            before()
            began = clock()
            engine.process(block)
            whole = clock() - began
            graph, synthesised, limited = sum(each.read() for each in graphs), synthesis.read(), limiter.read()
            rendered = sum(each.read() for each in renderings)
            masks = rendered - graph + path.read() - synthesised - limited
            parts = analysis.read(), graph, masks, hand_over.read() - rendered, synthesised, limited
            took[index] = [*parts, whole - sum(parts)]
    return dict(zip(STAGES, took[warm_up:].T, strict=True))
