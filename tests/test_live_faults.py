"""What goes wrong while there is sound, provoked on a real JACK server: it is said, counted, and mended."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calibrated import make_calibrated_bank, promising
from jack_server import jack_server, set_period
from kin import children
from small_bank import make_bank
from test_priority import asked_for, heeded

from streamsep.errors import AudioError
from streamsep.priority import LONG_NS, SHORT_NS
from streamsep.record.folder import read
from streamsep.replay import replay

LIMIT_S = 120  # for anything, on a machine that has other things to do
PERIOD = 2048  # samples: so long that a busy machine is no fault of its own
ENGINE = 192 + 192 + 80  # samples of latency at 48 kHz, of the models here
TICKING = ENGINE + 2 * PERIOD  # latency with a metronome, which is heard at once, for input


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


def hold_up(process: int) -> None:
    """For 100 ms it does nothing."""
    os.kill(process, signal.SIGSTOP)
    time.sleep(0.1)
    os.kill(process, signal.SIGCONT)


@contextmanager
def live(environment: dict[str, str], folder: Path, *arguments: str) -> Iterator[Live]:
    remarks = folder / "remarks"
    command = [
        sys.executable, "-m", "streamsep", "live", "--json", "--input", "system", "--output", "system", *arguments
    ]  # fmt: skip  # the later of two options counts
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


def together(running: Live) -> list[int]:
    """The latency in samples, as the table says that is printed at the start."""
    return [int(samples) for samples in re.findall(r"together +│ +(\d+) ", running.remarks)]


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
    with jack_server(period=256) as environment, live(environment, tmp_path, *bank) as running:
        assert together(running) == [ENGINE + 3 * 256]
        first = running.sound()
        os.kill(first, signal.SIGKILL)
        running.said("the process with the sound ended")
        running.said("the sound is back")
        assert running.sound() != first
        time.sleep(0.3)
        summary = running.stop()
    assert summary["reconnections"] == 1
    assert summary["callbacks"] > 0
    assert summary["latency"]["samples"] == ENGINE + 3 * 256


def test_a_callback_that_is_held_up_is_counted_and_the_latency_stays(bank: list[str], tmp_path: Path) -> None:
    with jack_server(period=256) as environment, live(environment, tmp_path, *bank) as running:
        time.sleep(0.5)
        hold_up(running.sound())
        time.sleep(0.5)
        summary = running.stop()
    assert summary["reconnections"] == 0
    assert sum(summary["underruns"].values()) > 0
    assert summary["latency"]["samples"] == ENGINE + 256 + 2 * 256  # the engine's, and JACK's periods
    assert summary["faults"] == 0


def server_of(environment: dict[str, str]) -> int:
    """The number of the process of a JACK server."""
    name = environment["JACK_DEFAULT_SERVER"].encode()
    (found,) = (one for one in children(os.getpid()) if name in Path(f"/proc/{one}/cmdline").read_bytes())
    return found


@pytest.mark.parametrize("block", [0, 300])
def test_a_gap_is_blamed_on_whoever_was_held_up(bank: list[str], tmp_path: Path, block: int) -> None:
    """block: what PortAudio is to cut the periods into, if anything."""
    with (
        jack_server(period=PERIOD) as environment,
        live(environment, tmp_path, "--block", str(block), *bank) as running,
    ):
        for held in [running.sound()] * 4 + [server_of(environment)] * 10:
            time.sleep(0.3)
            hold_up(held)
        time.sleep(0.3)
        summary = running.stop()
    for gaps in (summary["underruns"], summary["overruns"]):
        assert gaps["interpreter"] >= 4
        assert gaps["device"] >= 1  # it may have asked for the next period already when we count: then it is not told


@pytest.mark.parametrize("period", [64, 1024])
def test_the_server_may_change_the_block_size(bank: list[str], tmp_path: Path, period: int) -> None:
    with jack_server(period=256) as environment, live(environment, tmp_path, *bank) as running:
        set_period(environment["JACK_DEFAULT_SERVER"], period)
        after_ms = 1000 * (192 + 192 + 80 + 3 * period) / 48_000
        running.said(f"blocks have {period} samples now; the latency is {after_ms:.1f} ms, it was 25.7")
        summary = running.stop()
    assert summary["faults"] == 0
    assert summary["callbacks"] > 0
    assert (summary["block"], summary["latency"]["samples"]) == (period, 192 + 192 + 80 + 3 * period)


def test_a_monitor_that_is_killed_is_started_again_and_the_sound_never_notices(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(1.0)}
    folder = make_calibrated_bank(tmp_path_factory.mktemp("watched"), **promises)
    mine = ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--domain", "auto"]
    with jack_server(period=256) as environment, live(environment, tmp_path, *mine) as running:
        assert together(running) == [ENGINE + 3 * 256]
        running.said("the monitor is running")
        (monitor,) = children(running.sound())
        os.kill(monitor, signal.SIGKILL)
        running.said("the monitor died: signal SIGKILL; it is started again in 0.5 s")
        running.said("the monitor is running", times=2)
        summary = running.stop()
    assert (summary["reconnections"], summary["faults"]) == (0, 0)
    assert (summary["monitor"]["starts"], summary["monitor"]["deaths"]) == (2, 1)
    assert summary["latency"]["samples"] == ENGINE + 3 * 256


@contextmanager
def metronome(environment: dict[str, str], name: str) -> Iterator[None]:
    """Something to listen to."""
    command = ["jack_metro", "-b", "300", "-f", "500", "-n", name]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ticking:
        try:
            deadline = time.monotonic() + LIMIT_S
            while (
                f"{name}:" not in subprocess.run(["jack_lsp"], env=environment, capture_output=True, text=True).stdout
            ):
                assert ticking.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            ticking.terminate()  # JACK waits for seconds for a client that was killed, when it ends


def loud(take: Path) -> int:
    """So many samples of what came in are, as far as they are recorded."""
    try:
        return int(np.count_nonzero(np.abs(read(take).input) > 0.05))
    except AudioError:  # nothing yet
        return 0


def devices(environment: dict[str, str]) -> dict[str, int]:
    """The number of every device, by name."""
    command = [sys.executable, "-m", "streamsep", "devices", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return {device["name"]: device["index"] for device in json.loads(done.stdout)}


def test_a_device_that_comes_back_under_another_number_is_the_one_that_is_heard(
    bank: list[str], tmp_path: Path
) -> None:
    take, first = tmp_path / "take", jack_server(period=256)
    with ExitStack() as ending:
        environment = first.__enter__()
        with metronome(environment, "metro"):
            before = devices(environment)
            mine = ["--input", "metro", "--record", str(take), *bank]
            running = ending.enter_context(live(environment, tmp_path, *mine))
            assert together(running) == [ENGINE + 2 * 256]  # who plays here is heard at once
            time.sleep(0.5)
        first.__exit__(None, None, None)
        running.said("it is tried again in 1 s")
        ending.enter_context(jack_server(period=256, name=environment["JACK_DEFAULT_SERVER"]))
        running.said("the input device 'metro' .* is away")
        ending.enter_context(metronome(environment, "another"))
        ending.enter_context(metronome(environment, "metro"))
        after = devices(environment)
        running.said("metro → system: the sound is back")
        time.sleep(1.0)
        summary = running.stop()
    assert after["metro"] != before["metro"]
    assert after["another"] == before["metro"]
    assert (summary["reconnections"], summary["faults"]) == (1, 0)
    assert summary["latency"]["samples"] == ENGINE + 2 * 256
    assert np.abs(read(take / "2").input).max() > 0.05  # it ticks


def test_a_model_that_raises_in_mid_stream_is_heard_as_the_dry_sound_and_counted(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    touchy = make_bank(tmp_path_factory.mktemp("touchy") / "bank", fails_above=1e-3)
    mine = ["--set", f"models.bank={touchy}", "--set", "models.precision=fp32", "--domain", "noise"]
    take = tmp_path / "take"
    with (
        jack_server(period=PERIOD) as environment,
        live(environment, tmp_path, "--record", str(take), *mine) as running,
        metronome(environment, "metro"),
    ):
        subprocess.run(["jack_connect", "metro:300_bpm", "PortAudio:in_0"], env=environment, check=True)
        running.wait(lambda: loud(take) > 5000)
        summary = running.stop()
    assert summary["counters"]["separator_faults"] > 0
    assert (summary["faults"], summary["fault"], summary["reconnections"]) == (0, None, 0)
    assert summary["latency"]["samples"] == TICKING
    assert replay(take).differs_at is None


def test_no_thread_of_the_process_with_the_sound_gives_way(bank: list[str], tmp_path: Path) -> None:
    with jack_server(period=PERIOD) as environment, live(environment, tmp_path, *bank) as running:
        process = running.sound()
        turns = {int(thread.name): asked_for(int(thread.name)) for thread in Path(f"/proc/{process}/task").iterdir()}
        session = asked_for(running.process.pid)
        running.stop()
    short, long = ((os.SCHED_OTHER, 0, heeded(turn_ns)) for turn_ns in (SHORT_NS, LONG_NS))
    others = [each for each in turns.values() if each != short]
    assert (turns[process], session) == (short, long)
    assert len(turns) - len(others) >= 3
    assert len(others) <= (short != long)  # ONNX Runtime's own begins when it is imported, and sleeps for ever


def test_nothing_is_left_when_the_session_is_killed(bank: list[str], tmp_path: Path) -> None:
    with jack_server() as environment, live(environment, tmp_path, *bank) as running:
        sound = running.sound()
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + LIMIT_S
        while Path(f"/proc/{sound}").exists() and "Z" not in Path(f"/proc/{sound}/stat").read_text().split()[2]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
