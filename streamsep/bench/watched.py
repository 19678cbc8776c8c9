"""What the monitor costs: a look by itself, and the sound with and without it, in turns."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from streamsep.arrays import Array
from streamsep.audio.live import collector_frozen
from streamsep.bench.machine import memory_mb
from streamsep.bench.stimulus import as_blocks, lively_noise
from streamsep.bench.timing import Nanoseconds, distribution, figures_of
from streamsep.realtime.engine import Engine

WARM_UP_S = 0.4  # of every turn, which is not counted
TURN_S = 2.0  # of sound, with the monitor and without by turns: what else the machine does falls on both alike
LOOKS_S = 20.0  # of sound
FULL_S = 4.0  # of sound, after which the longest look back is full
START_LIMIT_S = 60.0
WHOLE_S = 2.0  # a look back of the usual length, none of it heard before

Look = Callable[[], object]


def measure_monitor(
    make_inline: Callable[[], tuple[Engine, Look]],
    plain: Engine,
    watched: tuple[Engine, Callable[[], int | None]],
    every_s: float,
    seconds: float,
) -> dict[str, Any]:
    """The part "monitor" of the report.

    make_inline: an engine, and what makes its monitor look; plain: an engine without a monitor; watched: one with it
    in a process, and the process's number once it looks. every_s: between two looks. seconds: of sound, with the
    monitor and without each; it is played in real time. The engines are closed afterwards."""
    with plain, watched[0]:
        report: dict[str, Any] = {"every_s": every_s, **in_turns(plain, *watched, seconds)}
    for name, new_s in (("look", every_s), ("whole_look_back", WHOLE_S)):
        report[name] = figures_of(time_looks(*make_inline(), new_s, LOOKS_S))
    return report


def time_looks(engine: Engine, look: Look, new_s: float, seconds: float) -> Nanoseconds:
    """(looks,), each after so many seconds of new sound: all domains' graphs on it, clusters, measures, decision.

    seconds: of sound, above 4: from there on the longest look back is full. The engine is closed afterwards."""
    samples = lively_noise(seconds, engine.rate, 1)[:, 0]
    took = []
    with engine:
        for block in np.split(samples, range(0, len(samples), round(new_s * engine.rate)))[1:]:
            engine.process(block)
            began = time.perf_counter_ns()
            look()
            took.append(time.perf_counter_ns() - began)
    return np.array(took[min(round(FULL_S / new_s), len(took) - 1) :])


def in_turns(plain: Engine, watched: Engine, process: Callable[[], int | None], seconds: float) -> dict[str, Any]:
    """Hops in real time, the share of a core that the monitor's process takes, and the memory it holds; None where
    nobody tells."""
    hop = plain.front_end.hop * plain.rate // plain.front_end.sample_rate
    hop_ms = 1000 * plain.front_end.hop / plain.front_end.sample_rate
    blocks = as_blocks(lively_noise(WARM_UP_S + TURN_S, plain.rate, 1), hop)
    warm_up = round(WARM_UP_S * plain.rate / hop)
    until_s = time.monotonic() + START_LIMIT_S
    while process() is None and time.monotonic() < until_s:  # the models have to be opened first
        in_real_time(watched, blocks[: len(blocks) // 4], hop)
    watched.select(plain.domain)  # the monitor goes on looking, but both play the same model
    while (watched.dry or watched.domain != plain.domain) and time.monotonic() < until_s:
        in_real_time(watched, blocks[: len(blocks) // 4], hop)
    took: dict[str, list[Nanoseconds]] = {"hop_without": [], "hop_with": []}
    used_s = lasted_s = 0.0
    with collector_frozen():
        for _ in range(max(1, round(seconds / TURN_S))):
            took["hop_without"].append(in_real_time(plain, blocks, hop)[warm_up:])
            before_s, began_s = cpu_s(process()), time.monotonic()
            took["hop_with"].append(in_real_time(watched, blocks, hop)[warm_up:])
            after_s = cpu_s(process())
            if before_s is not None and after_s is not None:
                used_s, lasted_s = used_s + after_s - before_s, lasted_s + time.monotonic() - began_s
    report: dict[str, Any] = {name: distribution(np.concatenate(parts), hop_ms) for name, parts in took.items()}
    report["share_of_a_core"] = round(used_s / lasted_s, 4) if lasted_s else None
    report["rss_mb"] = memory_mb(process())
    return report


def in_real_time(engine: Engine, blocks: Array, hop: int) -> Nanoseconds:
    """(hops,): what each took, a hop's time apart."""
    took = np.zeros(len(blocks), np.int64)
    due_s = time.perf_counter()
    for index, block in enumerate(blocks):
        time.sleep(max(0.0, due_s - time.perf_counter()))
        due_s += hop / engine.rate
        began = time.perf_counter_ns()
        engine.process(block)
        took[index] = time.perf_counter_ns() - began
    return took


def cpu_s(process: int | None) -> float | None:
    """Processor time that a process has used; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
