"""Processes that share work end with whoever started them, and begin nothing after Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from streamsep.evaluation.scene_run import in_order
from streamsep.pool import pool_of

PROCESSES, ITEMS = 2, 200


def note(folder: Path, number: int) -> int:
    """Something that takes a while."""
    (folder / str(number)).write_text(str(os.getpid()))
    time.sleep(0.1)
    return number


def work(folder: Path) -> None:
    """All of it."""
    with pool_of(PROCESSES) as pool:
        list(pool.map(partial(note, folder), range(ITEMS)))


def begun(folder: Path) -> int:
    return len(list(folder.iterdir()))


def runs(number: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_when_one_is_killed_so_are_its_processes(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, __file__, str(tmp_path)]
    running = subprocess.Popen(command)
    deadline_s = time.monotonic() + 60
    while begun(tmp_path) < 2 * PROCESSES:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    running.send_signal(how)
    running.wait()
    numbers = {int(text) for path in tmp_path.iterdir() if (text := path.read_text())}
    assert len(numbers) == PROCESSES
    while any(map(runs, numbers)):  # not even asleep
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert begun(tmp_path) < ITEMS


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_when_it_is_stopped_nothing_more_is_begun(tmp_path: Path, stop: type[BaseException]) -> None:
    results = in_order(partial(note, tmp_path), range(ITEMS), PROCESSES)
    assert next(results) == 0
    with pytest.raises(stop):
        results.throw(stop())
    assert begun(tmp_path) <= 4 * PROCESSES


if __name__ == "__main__":
    work(Path(sys.argv[1]))
