"""What the time of a hop is spent on: the parts of an engine, timed from outside."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from streamsep.arrays import Array, Block
from streamsep.bench.timing import Nanoseconds, Nothing
from streamsep.realtime.engine import Engine
from streamsep.realtime.window_path import WindowPath

REST = "rest"
METHODS = {"high band": ("process", "add_heard")}  # of a part, where it has more than one that takes time


class Shim:
    """Adds up how long a method of some part of an engine takes, from outside, until it is read.

    What other shims measure meanwhile is theirs: no time is counted twice. Its own time, some 0.3 us a call, is in
    what it measures, or in what the one around it does."""

    def __init__(self, part: Any, name: str = "process", running: list[int] | None = None) -> None:
        """name: of the method. running: the same list for all shims of an engine, [0]; what was measured inside the
        innermost call that runs is its last number."""
        self._spent = 0
        self._process = getattr(part, name)
        self._part, self._name = part, name
        self._running = [0] if running is None else running
        setattr(part, name, self)

    def __call__(self, *arguments: Array) -> Any:
        """What the part would have returned."""
        running = self._running
        running.append(0)
        began = time.perf_counter_ns()
        result = self._process(*arguments)
        took = time.perf_counter_ns() - began
        self._spent += took - running.pop()
        running[-1] += took
        return result

    def read(self) -> int:
        """Nanoseconds of all calls since it was read last."""
        spent, self._spent = self._spent, 0
        return spent

    def remove(self) -> None:
        """The part is as before."""
        delattr(self._part, self._name)


def parts_of(engine: Engine) -> dict[str, list[Any]]:
    """By stage, in the order of the sound: the parts of an engine that it consists of.

    resampling: down to the models' rate and up again · analysis: the models', and the listener's where the synthesis
    window is a shorter one · graph: the separators that run, with the spectrum put where they read it · masks: from
    their answers to the total mask, with gains and checks, its product with the spectrum, and the way on · crossfade:
    who is heard and who comes in: what both need is remembered, and during a fade two masks become one · filter
    design, filtering: of the minimum-phase path, in place of the synthesis · high band: all of it."""
    path, renderings = engine._path, engine._renderings
    named: list[tuple[str, Any]] = [
        ("resampling", engine._down),
        ("analysis", engine._analysis),
        *(("graph", rendering.separator) for rendering in renderings),
        *(("masks", rendering) for rendering in renderings),
        ("masks", path),
        ("crossfade", engine._hand_over),
    ]
    if isinstance(path, WindowPath):
        named += [("analysis", path._analysis), ("synthesis", path.synthesis)]
        named += [("resampling", path._up), ("high band", path._high)]
    else:
        named += [("filter design", path.synthesis), ("filtering", path.filter)]
    named.append(("limiter", engine._limiter))
    found: dict[str, list[Any]] = {}
    for stage, part in named:
        if part is not None:
            found.setdefault(stage, []).append(part)
    return found


def time_stages(
    engine: Engine, blocks: Sequence[Block], warm_up: int, before: Nothing = lambda: None
) -> dict[str, Nanoseconds]:
    """By stage, see `parts_of`, (hops,); blocks: one hop each; before: as in `timing.time_calls`. rest: gathering and
    handing out samples, and whatever else lies between the others. In every hop they add up to the whole."""
    clock = time.perf_counter_ns
    running = [0]
    stages: dict[str, list[Shim]] = {}
    with ExitStack() as removing:
        for stage, parts in parts_of(engine).items():
            methods = METHODS.get(stage, ("process",))
            stages[stage] = [Shim(part, method, running) for part in parts for method in methods]
            for shim in stages[stage]:
                removing.callback(shim.remove)
        took = np.zeros((len(blocks), len(stages) + 1), np.int64)
        for index, block in enumerate(blocks):
            before()
            began = clock()
            engine.process(block)
            whole = clock() - began
            spent = [sum(shim.read() for shim in shims) for shims in stages.values()]
            took[index] = [*spent, whole - sum(spent)]
    return dict(zip((*stages, REST), took[warm_up:].T, strict=True))
