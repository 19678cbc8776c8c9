"""Live sound for a long time on a JACK server of its own: python tests/soak.py --minutes 60.

A program that only passes the sound through, then a live session with its monitor and a switch every few seconds, in
several turns of both if asked, so that what the machine does to anybody is told from what we do. It prints what it
saw as JSON, and ends with an error when something drifts, grows or is left behind.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from jack_server import NO_START_SERVER, SERVER_NAME, jack_server  # noqa: E402

SWITCH_S = 3.0
WARM_UP_S = 15.0  # memory is compared with what it was after so long
GROWTH = 0.01
PASS_THROUGH = """
import sys, time
import sounddevice as sd
def through(block, out, frames, when, status):
    out[:] = block
with sd.Stream(samplerate=48000, blocksize=0, device=("system", "system"), channels=2, dtype="float32",
               latency="low", callback=through):
    print("ready", flush=True)
    sys.stdin.read()
"""
PASSING_S = 600.0  # of passing through in all, at most: enough to know the machine by
XRUN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class Xruns:
    """A client of the server that counts its xruns, whoever caused them."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self._jack = ctypes.CDLL("libjack.so.0")
        self._jack.jack_client_open.restype = ctypes.c_void_p
        for function in (self._jack.jack_activate, self._jack.jack_client_close):
            function.argtypes = [ctypes.c_void_p]
        self._jack.jack_set_xrun_callback.argtypes = [ctypes.c_void_p, XRUN, ctypes.c_void_p]
        status = ctypes.c_int()
        options = NO_START_SERVER | SERVER_NAME
        self._client = self._jack.jack_client_open(b"xruns", options, ctypes.byref(status), name.encode())
        self._callback = XRUN(self._hear)
        self._jack.jack_set_xrun_callback(self._client, self._callback, None)
        self._jack.jack_activate(self._client)

    def _hear(self, _: Any) -> int:
        self.count += 1
        return 0

    def close(self) -> None:
        self._jack.jack_client_close(self._client)


@contextmanager
def passed_through(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-c", PASS_THROUGH]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.stdin.close()
        process.wait()


@contextmanager
def stressed(processors: int) -> Iterator[None]:
    """So many programs of others that never rest."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processors)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def family(process: int) -> list[int]:
    """A process and everything it has started."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        own = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except FileNotFoundError:
        return []
    return [process, *(one for child in own for one in family(child))]


def resident_kb(processes: list[int]) -> int:
    """What they hold in memory together, what they share counted once a process."""
    total = 0
    for process in processes:
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
        except FileNotFoundError:
            continue
    return total


def threads(processes: list[int]) -> int:
    return sum(len(list(Path(f"/proc/{process}/task").iterdir())) for process in processes)


def open_files(processes: list[int]) -> int:
    return sum(len(list(Path(f"/proc/{process}/fd").iterdir())) for process in processes)


def shared() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir() if "jack" not in path.name}


def separated(seconds: float, settings: dict[str, Any], xruns: Xruns) -> dict[str, Any]:
    """A session with a switch every few seconds, and what became of it."""
    from streamsep.config import load_settings
    from streamsep.live.session import Session
    from streamsep.live.sound import SoundPlan

    left_before, threads_before, others = shared(), threading.active_count(), set(family(os.getpid()))
    told: list[str] = []
    session = Session(SoundPlan(load_settings(overrides=settings), source="system", sink="system"), told.append)
    states: list[tuple[float, int, int, int]] = []

    def until(end_s: float, done: Callable[[], bool] = lambda: False) -> None:
        while time.monotonic() < end_s and not done():
            session.step(time.monotonic())
            time.sleep(0.02)

    try:
        until(time.monotonic() + 60, lambda: session.now is not None)
        assert session.opened is not None, told
        until(time.monotonic() + 5)  # the monitor starts
        ledger_before, xruns_before = session.ledger, xruns.count
        domains, began_s, turn = session.opened["domains"], time.monotonic(), 0
        while (now_s := time.monotonic()) < began_s + seconds:
            wanted = [*domains, "auto"][turn % (len(domains) + 1)]
            turn += 1
            session.ask(select=wanted)
            until(min(now_s + SWITCH_S, began_s + seconds))
            ours = [process for process in family(os.getpid()) if process not in others]
            states.append((time.monotonic() - began_s, resident_kb(ours), threads(ours), open_files(ours)))
        xruns_ours = xruns.count - xruns_before
        ledger_after = session.ledger
        session.stop()
        until(time.monotonic() + 30, lambda: session.finished)
        summary = session.summary()
    finally:
        session.close()
    warm = [state for state in states if state[0] >= min(WARM_UP_S, seconds / 3)]
    return {
        "summary": summary,
        "xruns": xruns_ours,
        "told": told,
        "latency_samples": (ledger_before.samples, ledger_after.samples),
        "resident_kb": (warm[0][1], warm[-1][1], max(state[1] for state in warm)),
        "threads": (warm[0][2], warm[-1][2]),
        "open_files": (warm[0][3], warm[-1][3]),
        "left": {
            "shared": sorted(shared() - left_before),
            "processes": len(set(family(os.getpid())) - others),
            "threads": threading.active_count() - threads_before,
        },
        "hops": (summary["counters"]["hops"], summary["seconds"] * summary["rate"] / 192),
    }


def faults(seen: dict[str, Any]) -> list[str]:
    """What drifted, grew or was left behind."""
    found = []
    summary = seen["summary"]
    first, last, _ = seen["resident_kb"]
    if last > first * (1 + GROWTH):
        found.append(f"memory grew from {first} to {last} kB")
    for what in ("latency_samples", "threads", "open_files"):
        before, after = seen[what]
        if before != after:
            found.append(f"{what}: {before} before, {after} after")
    if any(seen["left"].values()):
        found.append(f"left behind: {seen['left']}")
    if summary["faults"] or summary["reconnections"] or summary["switches"] == 0:
        found.append(
            f"faults, reconnections, switches: {[summary[k] for k in ('faults', 'reconnections', 'switches')]}"
        )
    hops, due = seen["hops"]
    if abs(hops - due) > 2:
        found.append(f"{hops} hops of sound that has {due}")
    return found


def soak(seconds: float, through_s: float, period: int, settings: dict[str, Any], turns: int) -> dict[str, Any]:
    """So many turns of passing through and separating, each of so many seconds."""
    result: dict[str, Any] = {"pass_through_xruns": [], "separating": []}
    with jack_server(period=period) as environment:
        os.environ.update(environment)
        xruns = Xruns(environment["JACK_DEFAULT_SERVER"])
        for _ in range(turns):
            with passed_through(environment):
                before = xruns.count
                time.sleep(through_s)
                result["pass_through_xruns"].append(xruns.count - before)
            result["separating"].append(separated(seconds, settings, xruns))
        xruns.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of separating; passing through takes ten at most")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--period", type=int, default=128)
    parser.add_argument("--stress", action="store_true", help="while other programs keep all processors busy")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="as for the streamsep command"
    )
    options = parser.parse_args()
    from streamsep.config import parse_overrides

    settings = {"domain": "auto"} | parse_overrides(options.set)
    each_s = 60 * options.minutes / options.turns
    through_s = min(each_s, PASSING_S / options.turns)
    with stressed((os.cpu_count() or 1) if options.stress else 0):
        seen = soak(each_s, through_s, options.period, settings, options.turns)
    print(json.dumps(seen))
    found = [fault for turn in seen["separating"] for fault in faults(turn)]
    for turn in seen["separating"]:
        times = turn["summary"]["callback"]
        if times["p999_ms"] > times["period_ms"] / 2:
            found.append(f"99.9 % of the callbacks took up to {times['p999_ms']} of {times['period_ms']} ms")
    sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
