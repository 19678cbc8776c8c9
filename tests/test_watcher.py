"""The watcher's process and its guardian: warm states, and nothing is left of it, whoever is killed."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from calibrated import make_calibrated_bank, promising
from judges import Ill, count
from kin import children
from test_priority import asked_for, heeded
from watched import (
    Sound,
    guard,
    is_gone,
    look_back_graphs,
    make_watched_bank,
    manifests,
    nothing_left,
    shared_by,
    shared_by_others,
    state_after,
    wait,
)

import streamsep
from streamsep import child, sharing
from streamsep.errors import ConfigError
from streamsep.monitor.guardian import Guardian
from streamsep.monitor.look_back import Judgement
from streamsep.priority import LONG_NS, NICENESS

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_watched_bank(tmp_path_factory.mktemp("bank"))


# ----------------------------------------------------------------------------------------------------- the processes


@pytest.fixture
def order(tmp_path: Path) -> Path:
    """Where an ill judge finds what to do."""
    return tmp_path / "order"


def test_it_hears_judges_and_hands_over_a_warm_state_and_ends_with_its_guardian(folder: Path) -> None:
    said: list[str] = []
    with nothing_left(), guard(folder, count, tell=said.append) as guardian:
        board = guardian.board
        wait(lambda: board.beats > 0)
        board.tell(active=0)
        sound = Sound(guardian)
        sound.until(board.poll)
        assert (board.decision, board.warm) == (0, -1)
        assert (board.scores > 0).all()
        board.tell(active=0, locked=1)
        sound.until(lambda: board.poll() and board.warm == 1)
        assert board.hop <= board.warm_hop <= len(sound.hops)
        expected = state_after(folder, "noise", np.array(sound.hops[: board.warm_hop]))["mean"]
        np.testing.assert_allclose(board.state()["mean"], expected, rtol=1e-4)
        process = guardian.pid
        assert process is not None
        assert asked_for(process) == (os.SCHED_OTHER, NICENESS, heeded(LONG_NS))
        assert len(shared_by(process) & shared_by(os.getpid())) == 2
    assert guardian.pid is None
    assert is_gone(process)
    assert said == ["the monitor is running"] == [guardian.health.status]
    guardian.recent.write(sound.hops[0])  # the engine may not know yet
    guardian.close()


@pytest.mark.parametrize("end", ["killed", "fails", "hangs", "stopped"])
def test_whatever_becomes_of_it_there_is_another_and_the_user_knows(folder: Path, order: Path, end: str) -> None:
    said: list[str] = []
    hung = end in ("hangs", "stopped")
    hang_s = 2.0 if hung else 600.0
    with nothing_left(), guard(folder, Ill(order), hang_s=hang_s, tell=said.append) as guardian:
        board, sound = guardian.board, Sound(guardian)
        sound.until(board.poll)
        sound.until(lambda: said == ["the monitor is running"])
        first, ticks = guardian.pid, board.tick
        assert first is not None
        if end in ("killed", "stopped"):
            os.kill(first, signal.SIGKILL if end == "killed" else signal.SIGSTOP)
        else:
            order.write_text(end)
        sound.until(lambda: guardian.health.hangs + guardian.health.deaths > 0)
        order.unlink(missing_ok=True)
        sound.until(lambda: guardian.health.starts > 1 and board.poll() and board.hop > len(sound.hops) - 50)
        sound.until(lambda: said[-1] == "the monitor is running")
        assert board.tick > ticks
        assert guardian.pid not in (None, first)
        assert is_gone(first)
        assert (guardian.health.hangs >= 1) == hung
    causes = {"killed": "died: signal SIGKILL", "fails": "died: ValueError: nothing is right"}
    assert causes.get(end, "gave no sign of life") in said[1]
    assert said[1].endswith("it is started again in 0.5 s")
    assert said[-1] == "the monitor is running"


def test_it_is_started_later_and_later_but_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    guardian = guard(folder, count, tell=said.append)
    now_s, begun = 0.0, []
    for failures in range(1, 10):
        executable = "/bin/false" if failures % 2 else "/nowhere/python"
        monkeypatch.setattr(child.sys, "executable", executable)
        while guardian.health.starts < failures:
            now_s += 0.25
            guardian.check(now_s)
        begun.append(now_s)
        while guardian.health.deaths < failures:
            time.sleep(0.01)
            guardian.check(now_s)
    assert list(np.diff(begun)) == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert "died: exit code 1" in said[0]
    assert "could not be started: No such file" in said[1]
    assert said[-1].endswith("9 times in a row; it is tried again every 30 s, the domain stays")
    assert guardian.health.status == said[-1]
    guardian.close()


def test_a_watcher_that_is_too_slow_is_counted(folder: Path) -> None:
    said: list[str] = []
    slow = {"every_s": 0.5, "look_back_s": 0.05, "window_s": 0.1}
    with nothing_left(), guard(folder, count, tell=said.append, **slow) as guardian:
        wait(lambda: guardian.board.beats > 0)
        Sound(guardian).until(lambda: guardian.health.lags > 1)
    assert "too slow and missed" in said[-1]
    assert guardian.health.status == "the monitor is running"


def test_an_engine_that_nobody_closes_takes_its_monitor_with_it(tmp_path: Path) -> None:
    bank = make_calibrated_bank(tmp_path / "bank", music=promising(0.0), noise=promising(1.0))
    before = children(os.getpid())
    with nothing_left():
        engine = streamsep.load(domain="auto", models={"bank": str(bank), "precision": "fp32"})
        wait(lambda: children(os.getpid()) != before)
        del engine
        gc.collect()
        wait(lambda: children(os.getpid()) == before, seconds=20)


# ---------------------------------------------------------------------------------------------------- and if we die


@contextmanager
def owner(folder: Path, order: Path, *how: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process with a watcher, and the watcher's number."""
    command = [sys.executable, str(TESTS / "watched.py"), str(folder), str(order), *how]
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent)}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("end", ["killed", "killed while it hangs", "both killed", "all told to end", "an error"])
def test_when_its_owner_ends_so_does_it_and_nothing_is_left(folder: Path, order: Path, end: str) -> None:
    how = ["hang"] if end == "killed while it hangs" else []
    with owner(folder, order, *how) as (process, watcher):
        memory = shared_by(watcher)
        assert len(memory) == 2
        if end == "all told to end":
            for number in (watcher, process.pid):
                os.kill(number, signal.SIGTERM)
        elif end == "both killed":
            os.kill(watcher, signal.SIGSTOP)  # so that it cannot end by itself
            process.kill()
            os.kill(watcher, signal.SIGKILL)
        elif end == "an error":
            assert process.stdin is not None
            process.stdin.close()
        else:
            process.kill()
        process.wait()
        wait(lambda: is_gone(watcher))
        assert not memory & shared_by_others()
        assert not list(sharing.FOLDER.glob("streamsep*"))


# ------------------------------------------------------------------------------------------------------- bad settings


def test_settings_that_cannot_be_are_refused_and_leave_nothing(folder: Path) -> None:
    known, paths = manifests(folder), look_back_graphs(folder)
    with nothing_left():
        with pytest.raises(ConfigError, match=r"expected those of \['music', 'noise'\], got \['noise'\]"):
            Guardian(known, {"noise": paths["noise"]}, count)
        with pytest.raises(ConfigError, match=r"every_s.*got 0"):
            Guardian(known, paths, count, every_s=0)
        with pytest.raises(ConfigError, match=r"look_back_s=7.*window_s=6"):
            Guardian(known, paths, count, look_back_s=7)
        with pytest.raises(ConfigError, match="judge: expected something that can be pickled"):
            Guardian(known, paths, lambda look_backs, moment: Judgement())
