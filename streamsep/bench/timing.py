"""Clock readings to figures, and a place quiet enough to take them."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array

# Shares of the calls, of which a report tells what time they exceeded: enough of them to draw the rare ones.
SHARES = (1.0, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 0.0)

Nanoseconds = NDArray[np.int64]
Nothing = Callable[[], object]


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
    return Figures(*in_ms(np.percentile(took, [50, 99, 99.9, 100], method="higher")))


def figures_of(took: Nanoseconds) -> dict[str, float]:
    """The same for the report."""
    return asdict(figures(took))


def distribution(took: Nanoseconds, deadline_ms: float) -> dict[str, Any]:
    """For the report: the figures of these hops (hops,), how many there were, how many took longer than the deadline
    (late), and for each of SHARES the time that this share of them took or exceeded (curve_ms)."""
    return {
        **figures_of(took),
        "hops": len(took),
        "deadline_ms": deadline_ms,
        "late": int(np.count_nonzero(took > 1e6 * deadline_ms)),
        "curve_ms": in_ms(np.percentile(took, [100 * (1 - share) for share in SHARES], method="higher")),
    }


def in_ms(nanoseconds: Array) -> list[float]:
    """To a tenth of a microsecond, which the clock can tell."""
    return [round(float(value) / 1e6, 4) for value in nanoseconds]


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


def time_calls(
    call: Callable[[Array], object], blocks: Sequence[Array] | Array, warm_up: int, before: Nothing = lambda: None
) -> Nanoseconds:
    """What each call(block) took, after the first `warm_up` blocks, which are not counted.

    before: called before every one, on nobody's time. The clock's own time, some 0.1 us, is in
    every figure."""
    clock = time.perf_counter_ns
    took = np.zeros(len(blocks), np.int64)
    for index, block in enumerate(blocks):
        before()
        began = clock()
        call(block)
        took[index] = clock() - began
    return took[warm_up:]
