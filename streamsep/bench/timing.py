"""Clock readings to figures, and a place quiet enough to take them."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array
from streamsep.audio.live import collector_frozen

Nanoseconds = NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """What a listener may meet: the usual time of a call and the rare ones, in ms. Each is a time that occurred.

    A mean is not among them: it says nothing of deadlines."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def figures(took: Nanoseconds) -> Figures:
    """(calls,), at least one.

    >>> figures(np.arange(1, 1001) * 1_000_000)
    Figures(p50_ms=501.0, p99_ms=991.0, p999_ms=1000.0, max_ms=1000.0)
    """
    values = np.percentile(took, [50, 99, 99.9, 100], method="higher")
    return Figures(*(round(float(value) / 1e6, 4) for value in values))


@contextmanager
def one_core() -> Iterator[int | None]:
    """Keep this thread, and the processes it starts, on one core; yields its number, None where the system cannot."""
    if sys.platform != "linux":
        yield None
        return
    allowed = os.sched_getaffinity(0)
    core = max(allowed)  # the first ones are where a system likes to handle its interrupts
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, allowed)


def time_calls(call: Callable[[Array], object], blocks: Array, warm_up: int) -> Nanoseconds:
    """What each call(block) took, after the first `warm_up` blocks, which are not counted.

    blocks: (calls, ...). The clock's own time, some 0.1 us, is in every figure."""
    clock = time.perf_counter_ns
    took = np.zeros(len(blocks) - warm_up, np.int64)
    for block in blocks[:warm_up]:
        call(block)
    with collector_frozen():  # as in live sound
        for index, block in enumerate(blocks[warm_up:]):
            began = clock()
            call(block)
            took[index] = clock() - began
    return took
