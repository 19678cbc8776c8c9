"""Live sound for a long time on a JACK server of its own: python tests/soak.py --minutes 60.

A program that only passes the sound through, then a live session with its monitor and a switch every few seconds, in
several turns of both if asked, so that what the machine does to anybody is told from what we do. Both hear the demo's
scene, played again and again by another client, so that the monitor has something to judge. It prints what it saw as
JSON, and ends with an error when something drifts, grows or is left behind, or when the sound has more gaps than the
other program's.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import soundfile as sf
from scipy.signal import resample_poly

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from jack_server import NO_START_SERVER, SERVER_NAME, jack_server  # noqa: E402

SWITCH_S = 3.0
WARM_UP_S = 15.0  # memory is compared with what it was after so long
GROWTH = 0.01
SOME = 5  # readings
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
RATE = 48_000
PLAYER, INPUT = "jackplay", "PortAudio:in_0"  # what the player calls itself; where a stream hears the first channel
# More gaps than the other program has are bearable this often:
BEARABLE_S, BEARABLE_STRESSED_S = 600.0, 60.0
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
def played(environment: dict[str, str]) -> Iterator[Callable[[], bool]]:
    """The demo's scene, again and again. It gives a function that leads it to whoever listens, and says whether
    somebody does."""
    import streamsep.demo

    with tempfile.TemporaryDirectory() as folder:
        scene, rate = sf.read(Path(streamsep.demo.__file__).with_name("scene.flac"), dtype="float32", always_2d=True)
        sf.write(f"{folder}/scene.wav", resample_poly(scene.mean(axis=1), RATE, rate), RATE)
        with subprocess.Popen(
            ["sndfile-jackplay", "--loop=0", f"{folder}/scene.wav"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as player:  # fmt: skip

            def lead() -> bool:
                connected = subprocess.run(["jack_lsp", "-c", INPUT], env=environment, capture_output=True, text=True)
                if PLAYER in connected.stdout:
                    return True
                ports = subprocess.run(["jack_lsp", PLAYER], env=environment, capture_output=True, text=True)
                for port in ports.stdout.split()[:1]:
                    subprocess.run(["jack_connect", port, INPUT], env=environment, capture_output=True)
                return False

            yield lead
            player.kill()


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


def grown(readings: list[int]) -> tuple[int, int]:
    """What they were at the beginning and at the end: medians of some, for single ones catch what comes and goes."""
    return int(median(readings[:SOME])), int(median(readings[-SOME:]))


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


def separated(seconds: float, settings: dict[str, Any], xruns: Xruns, lead: Callable[[], bool]) -> dict[str, Any]:
    """A session with a switch every few seconds, and what became of it."""
    from streamsep.config import load_settings
    from streamsep.live.session import Session
    from streamsep.live.sound import SoundPlan

    left_before, threads_before, others = shared(), threading.active_count(), set(family(os.getpid()))
    told: list[str] = []
    looks: list[bool] = []  # whether there was something to judge
    session = Session(
        SoundPlan(load_settings(overrides=settings), source="system", sink="system"),
        told.append,
        lambda seen: looks.append(any(raw is not None for raw in seen["raw"].values())),
    )
    states: list[tuple[float, int, int, int]] = []

    def until(end_s: float, done: Callable[[], bool] = lambda: False) -> None:
        while time.monotonic() < end_s and not done():
            session.step(time.monotonic())
            time.sleep(0.02)

    try:
        until(time.monotonic() + 60, lambda: session.now is not None)
        assert session.opened is not None, told
        until(time.monotonic() + 30, lead)
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
        "seconds": seconds,
        "xruns": xruns_ours,
        "told": told,
        "looks": (sum(looks), len(looks)),
        "latency_samples": (ledger_before.samples, ledger_after.samples),
        "resident_kb": (*grown([state[1] for state in warm]), max(state[1] for state in warm)),
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
    first, last, most = seen["resident_kb"]
    if last > first * (1 + GROWTH):
        found.append(f"memory grew from {first} to {last} kB, {most} at most")
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
    judged, looks = seen["looks"]
    if judged < 0.5 * looks or not judged:
        found.append(f"of {looks} looks of the monitor {judged} had something to judge")
    hops, due = seen["hops"]
    if abs(hops - due) > 2:
        found.append(f"{hops} hops of sound that has {due}")
    return found


def too_many(ours: int, seconds: float, theirs: int, through_s: float, bearable_s: float) -> list[str]:
    """What is wrong with so many gaps in so many seconds, where the program that passes through had `theirs`."""
    allowed = theirs / through_s * seconds + seconds / bearable_s
    if ours <= allowed:
        return []
    return [
        f"{ours} xruns in {seconds:.0f} s, where {theirs} in {through_s:.0f} s of passing through allow {allowed:.1f}"
    ]


def soak(seconds: float, through_s: float, period: int, settings: dict[str, Any], turns: int) -> dict[str, Any]:
    """So many turns of passing through and separating, each of so many seconds."""
    result: dict[str, Any] = {"pass_through_xruns": [], "separating": []}
    with jack_server(RATE, period) as environment:
        os.environ.update(environment)
        xruns = Xruns(environment["JACK_DEFAULT_SERVER"])
        with played(environment) as lead:
            for _ in range(turns):
                with passed_through(environment):
                    while not lead():
                        time.sleep(0.05)
                    before = xruns.count
                    time.sleep(through_s)
                    result["pass_through_xruns"].append(xruns.count - before)
                result["separating"].append(separated(seconds, settings, xruns, lead))
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
    bearable_s = BEARABLE_STRESSED_S if options.stress else BEARABLE_S
    for theirs, turn in zip(seen["pass_through_xruns"], seen["separating"], strict=True):
        found += too_many(turn["xruns"], turn["seconds"], theirs, through_s, bearable_s)
        times = turn["summary"]["callback"]
        if times["p999_ms"] > times["period_ms"] / 2:
            found.append(f"99.9 % of the callbacks took up to {times['p999_ms']} of {times['period_ms']} ms")
    sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
