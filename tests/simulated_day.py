"""A day of sound through the engine, faster than it lasts: python tests/simulated_day.py --hours 24.

The same 16 seconds come again and again, in blocks of ever other lengths, with a switch every four seconds. So every
round must sound like the second one, to the bit, and the engine's own clocks must say how much sound there was. It
prints what it saw as JSON, and ends with an error when a round sounds different, or a clock or the memory is wrong.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from small_bank import DOMAINS, engine_of, make_bank  # noqa: E402

ROUND_S, SWITCH_S = 16, 4  # at 44.1 kHz hops have 176 or 177 samples, in an order that comes again after 0.64 s
TOUR = (0, 1, 2, 1)  # of the domains in a round; it begins with the first
HOPS_S = 250
BLOCKS = (64, 441, 4096, 8192)  # samples, at most
GROWTH = 0.01  # of the memory, after the first minutes
TOLD_EVERY_S = 60


def sound_of(rate: int) -> np.ndarray:
    """(samples,): noise that comes and goes."""
    samples = np.arange(ROUND_S * rate)
    swell = 0.2 + np.sin(2 * np.pi * samples / rate / ROUND_S * 5) ** 2
    return (0.2 * swell * np.random.default_rng(1).standard_normal(len(samples))).astype(np.float32)


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def simulate(hours: float, rate: int, bank: Path) -> dict[str, Any]:
    """So many hours of rounds, at least three of these."""
    sound, random, domains = sound_of(rate), np.random.default_rng(2), list(DOMAINS)
    heard, wanted = np.zeros_like(sound), np.zeros_like(sound)
    rounds = max(3, round(hours * 3600 / ROUND_S))
    worst, settled_kb, began_s, told_s = 0.0, 0, time.monotonic(), 0.0
    with engine_of(bank, rate=rate) as engine:
        latency = engine.latency.samples
        for turn in range(rounds):
            at = 0
            for part, domain in enumerate(TOUR):
                engine.select(domains[domain])
                end = (part + 1) * SWITCH_S * rate
                while at < end:
                    until = min(end, at + int(random.integers(1, 1 + random.choice(BLOCKS))))
                    engine.process(sound[at:until], out=heard[at:until])
                    at = until
            if turn == 1:
                wanted[:] = heard
            elif turn > 1:
                worst = max(worst, float(np.abs(heard - wanted).max()))
            if turn == min(20, rounds - 2):
                settled_kb = resident_kb()
            if time.monotonic() - told_s > TOLD_EVERY_S:
                told_s = time.monotonic()
                print(f"{turn * ROUND_S / 3600:.2f} hours", file=sys.stderr)
        samples = rounds * len(sound)
        return {
            "hours": samples / rate / 3600,
            "times_real_time": samples / rate / (time.monotonic() - began_s),
            "largest_difference": worst,
            "loudest": float(np.abs(wanted).max()),
            "latency_samples": (latency, engine.latency.samples),
            "hops": (engine.counters.hops, rounds * ROUND_S * HOPS_S),
            "journal_samples": (engine.journal.sample, samples),
            "switches": (engine.counters.switches, rounds * len(TOUR) - 1),
            "resident_kb": (settled_kb, resident_kb()),
        }


def faults(seen: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    found = []
    if seen["largest_difference"] > 0 or seen["loudest"] < 0.1:
        found.append(f"a round differs from the second by {seen['largest_difference']}")
    for what in ("latency_samples", "hops", "journal_samples", "switches"):
        is_, should = seen[what]
        if is_ != should:
            found.append(f"{what}: {is_} in place of {should}")
    before, after = seen["resident_kb"]
    if after > before * (1 + GROWTH):
        found.append(f"memory grew from {before} to {after} kB")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=int, default=44_100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = simulate(options.hours, options.rate, make_bank(Path(folder) / "bank"))
    print(json.dumps(seen))
    sys.exit("\n".join(faults(seen)))


if __name__ == "__main__":
    main()
