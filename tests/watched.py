"""A small bank with look-back graphs, a guardian for it, and what a test asks of processes."""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from graphs import make_graph
from judges import Ill

from streamsep.arrays import Array, State
from streamsep.models.loader import Batch
from streamsep.models.manifest import Manifest
from streamsep.monitor.guardian import Guardian
from streamsep.monitor.look_back import Judge
from streamsep.realtime.stft import Analysis
from streamsep.sharing import FOLDER

DOMAINS = "music", "noise"
HOP = 64


def make_watched_bank(folder: Path) -> Path:
    """Two domains, each with both graphs."""
    for domain in DOMAINS:
        for kind in ("step", "look-back"):
            make_graph(folder / f"{domain}-{kind}.onnx", kind, domain=domain)
    return folder


def look_back_graphs(folder: Path) -> dict[str, Path]:
    return {domain: folder / f"{domain}-look-back.onnx" for domain in DOMAINS}


def manifests(folder: Path) -> dict[str, Manifest]:
    return {domain: Batch(folder / f"{domain}-step.onnx").manifest for domain in DOMAINS}


def guard(folder: Path, judge: Judge, **settings: Any) -> Guardian:
    """A guardian that has not been started."""
    return Guardian(manifests(folder), look_back_graphs(folder), judge, **{"every_s": 0.05} | settings)


def frames_of(sound: Array) -> Array:
    """(hops, hop) -> (hops, bins): the engine's own front end."""
    analysis = Analysis(1, 512, 128, HOP)
    return np.array([analysis.process(samples[None])[0].copy() for samples in sound])


def state_after(folder: Path, domain: str, sound: Array) -> State:
    """Of the graph that the engine runs, after these hops."""
    graph = Batch(folder / f"{domain}-step.onnx")
    state = graph.start()
    for frame in frames_of(sound):
        _, state = graph.run(frame[None], state)
    return state


class Sound:
    """A noise that goes on, two milliseconds a hop, and is remembered."""

    def __init__(self, guardian: Guardian) -> None:
        self._recent, self._random = guardian.recent, np.random.default_rng(0)
        self.hops: list[Array] = []

    def until(self, happened: Callable[[], bool], seconds: float = 120.0) -> None:
        """Go on until something happens."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, "it did not happen"
            self.hops.append(self._random.normal(size=HOP).astype(np.float32))
            self._recent.write(self.hops[-1])
            time.sleep(0.002)


def wait(happened: Callable[[], bool], seconds: float = 120.0) -> None:
    """Until something happens, in silence."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_gone(process: int) -> bool:
    """Whether there is no such process any more, or only its name."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def shared_by(process: int) -> set[str]:
    """The shared memory that a process has mapped, as the system calls what has no name: the folder and a number."""
    try:
        maps = Path(f"/proc/{process}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return set()  # it has ended meanwhile
    return set(re.findall(rf"{FOLDER}/#\d+(?= \(deleted\))", maps))


def shared_by_others() -> set[str]:
    """The shared memory of every process but this one."""
    others = {int(path.name) for path in Path("/proc").glob("[0-9]*")} - {os.getpid()}
    return set().union(*map(shared_by, others))


@contextmanager
def nothing_left() -> Iterator[None]:
    """Around what must leave no memory of ours with anybody else, and not give it a name."""
    before = set(FOLDER.glob("streamsep*"))
    yield
    assert not shared_by(os.getpid()) & shared_by_others()
    assert set(FOLDER.glob("streamsep*")) == before


def own(bank: Path, order: Path, *how: str) -> None:
    """Own a watcher, say its number once there is a verdict (hang: once it hangs), and end with an error when the
    input does."""
    guardian = guard(bank, Ill(order))
    guardian.start()
    sound = Sound(guardian)
    sound.until(guardian.board.poll)
    if "hang" in how:
        order.write_text("hangs")
        beats = 0
        while beats != guardian.board.beats:
            beats, until_s = guardian.board.beats, time.monotonic() + 0.5
            sound.until(lambda end_s=until_s: time.monotonic() > end_s)
    print(guardian.pid, flush=True)
    sys.stdin.read()
    raise SystemExit("so it ends")


if __name__ == "__main__":
    own(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
