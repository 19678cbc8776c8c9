"""What goes wrong while there is sound, provoked on a real JACK server: it is said, counted, and mended."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calibrated import make_calibrated_bank, promising
from jack_server import jack_server, set_period
from small_bank import make_bank

LIMIT_S = 120  # for anything, on a machine that has other things to do


class Live:
    """A running `streamsep live`."""

    def __init__(self, process: subprocess.Popen[str], remarks: Path) -> None:
        self.process, self._remarks = process, remarks

    @property
    def remarks(self) -> str:
        return " ".join(self._remarks.read_text().split())

    def wait(self, happened: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not happened():
            assert self.process.poll() is None, self.remarks
            assert time.monotonic() < deadline, self.remarks
            time.sleep(0.05)

    def said(self, what: str, times: int = 1) -> None:
        self.wait(lambda: len(re.findall(what, self.remarks)) >= times)

    def sound(self) -> int:
        """The number of the process with the sound."""
        found: list[int] = []

        def find() -> bool:
            found[:] = children(self.process.pid)
            return bool(found)

        self.wait(find)
        return found[0]

    def stop(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode == 0, self.remarks
        assert "Traceback" not in self.remarks
        summary: dict[str, Any] = json.loads(out.splitlines()[-1])
        return summary


def children(process: int) -> list[int]:
    try:
        files = [task / "children" for task in Path(f"/proc/{process}/task").iterdir()]
        return [int(one) for file in files for one in file.read_text().split()]
    except FileNotFoundError:
        return []


@contextmanager
def live(environment: dict[str, str], folder: Path, *arguments: str) -> Iterator[Live]:
    remarks = folder / "remarks"
    command = [
        sys.executable, "-m", "streamsep", "live", "--json", "--input", "system", "--output", "system", *arguments
    ]  # fmt: skip
    with remarks.open("w") as stderr:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        running = Live(process, remarks)
        running.said("Ctrl-C ends")
        yield running
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = make_bank(tmp_path_factory.mktemp("faults") / "bank")
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--set", "domain=noise"]


def latency_in_hops(summary: dict[str, Any]) -> float:
    """Of the engine, whatever the rate."""
    terms = summary["latency"]["terms"]
    return round(1000 * (terms["gathering a hop"] + terms["window"]) / summary["rate"], 2)


@pytest.mark.parametrize("rate_afterwards", [48_000, 44_100])
def test_a_server_that_dies_and_comes_back_brings_the_sound_back(
    bank: list[str], tmp_path: Path, rate_afterwards: int
) -> None:
    with jack_server(period=256) as environment:
        name = environment["JACK_DEFAULT_SERVER"]
        with live(environment, tmp_path, *bank) as running:
            before = running.stop()
    with live_through_a_death(bank, tmp_path, name, rate_afterwards) as running:
        after = running.stop()
    assert after["reconnections"] == 1
    assert after["rate"] == rate_afterwards
    assert latency_in_hops(after) == pytest.approx(latency_in_hops(before), abs=0.03)
    if rate_afterwards == 48_000:
        assert after["latency"] == before["latency"]
    assert after["faults"] == 0


@contextmanager
def live_through_a_death(bank: list[str], folder: Path, name: str, rate: int) -> Iterator[Live]:
    """Live sound whose server was killed, and is there again, at this rate."""
    first = jack_server(period=256, name=name)
    with live(first.__enter__(), folder, *bank) as running:
        time.sleep(0.5)
        first.__exit__(None, None, None)
        running.said("the device went away or its sound server stopped; it is tried again in 0.5 s")
        running.said("it is tried again in 1 s")
        with jack_server(rate=rate, period=256, name=name):
            running.said("the sound is back")
            time.sleep(0.5)
            yield running


def test_the_process_with_the_sound_may_be_killed(bank: list[str], tmp_path: Path) -> None:
    with jack_server() as environment, live(environment, tmp_path, *bank) as running:
        first = running.sound()
        os.kill(first, signal.SIGKILL)
        running.said("the process with the sound ended")
        running.said("the sound is back")
        assert running.sound() != first
        time.sleep(0.3)
        summary = running.stop()
    assert summary["reconnections"] == 1
    assert summary["callbacks"] > 0


def test_a_callback_that_is_held_up_is_counted_and_the_latency_stays(bank: list[str], tmp_path: Path) -> None:
    with jack_server(period=256) as environment, live(environment, tmp_path, *bank) as running:
        sound = running.sound()
        time.sleep(0.5)
        os.kill(sound, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(sound, signal.SIGCONT)
        time.sleep(0.5)
        summary = running.stop()
    assert summary["reconnections"] == 0
    assert sum(summary["underruns"].values()) > 0
    assert summary["latency"]["samples"] == 192 + 192 + 80 + 256 + 2 * 256  # the engine's, and JACK's periods
    assert summary["faults"] == 0


@pytest.mark.parametrize("period", [64, 1024])
def test_the_server_may_change_the_block_size(bank: list[str], tmp_path: Path, period: int) -> None:
    with jack_server(period=256) as environment, live(environment, tmp_path, *bank) as running:
        time.sleep(0.3)
        set_period(environment["JACK_DEFAULT_SERVER"], period)
        time.sleep(1.0)
        summary = running.stop()
    assert summary["faults"] == 0
    assert summary["callbacks"] > 0


def test_a_monitor_that_is_killed_is_started_again_and_the_sound_never_notices(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(1.0)}
    folder = make_calibrated_bank(tmp_path_factory.mktemp("watched"), **promises)
    mine = ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--domain", "auto"]
    with jack_server() as environment, live(environment, tmp_path, *mine) as running:
        running.said("the monitor is running")
        (monitor,) = children(running.sound())
        os.kill(monitor, signal.SIGKILL)
        running.said("the monitor died: signal SIGKILL; it is started again in 0.5 s")
        running.said("the monitor is running", times=2)
        summary = running.stop()
    assert (summary["reconnections"], summary["faults"]) == (0, 0)
    assert (summary["monitor"]["starts"], summary["monitor"]["deaths"]) == (2, 1)


def test_nothing_is_left_when_the_session_is_killed(bank: list[str], tmp_path: Path) -> None:
    with jack_server() as environment, live(environment, tmp_path, *bank) as running:
        sound = running.sound()
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + LIMIT_S
        while Path(f"/proc/{sound}").exists() and "Z" not in Path(f"/proc/{sound}/stat").read_text().split()[2]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
