"""`streamsep live --record` on a real JACK server: what was heard is kept, and heard again, whatever goes wrong."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from calibrated import make_calibrated_bank, promising
from jack_server import jack_server
from kin import children
from test_live_faults import ENGINE, LIMIT_S, live

from streamsep.record.folder import lines_of, read
from streamsep.replay import replay

HEARD = "PortAudio:in_0"


@contextmanager
def clicks(environment: dict[str, str]) -> Iterator[None]:
    """A metronome in what live sound hears."""
    metronome = subprocess.Popen(["jack_metro", "-b", "300", "-f", "500", "-n", "metro"], env=environment)
    try:
        connect = ["jack_connect", "metro:300_bpm", HEARD]
        deadline = time.monotonic() + LIMIT_S
        while subprocess.run(connect, env=environment, check=False, capture_output=True).returncode:
            assert metronome.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        metronome.terminate()  # JACK waits for seconds for a client that was killed, when it ends
        metronome.wait()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(1.0)}
    folder = make_calibrated_bank(tmp_path_factory.mktemp("watched"), **promises)
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--set", "monitor.look_back_s=1"]


def test_what_is_recorded_live_is_heard_again_to_the_bit(bank: list[str], tmp_path: Path) -> None:
    take = tmp_path / "take"
    with jack_server(period=256) as environment:
        with live(environment, tmp_path, "--record", str(take), *bank) as running, clicks(environment):
            running.wait(lambda: len(lines_of(take / "decisions.jsonl")) > 2)
            summary = running.stop()
        with (
            pytest.raises(AssertionError, match="there is a recording"),
            live(environment, tmp_path, "--record", str(take), *bank),
        ):
            pass
    (recording,) = summary["recordings"]
    assert (recording["folder"], recording["dropped_s"], recording["status"]) == (str(take), 0, "recorded")
    assert recording["seconds"] == pytest.approx(summary["seconds"], abs=1e-3)
    again = replay(take)
    assert (again.differs_at, again.recorded.facts["ended"]) == (None, "ended")
    assert np.abs(again.recorded.input[:, 0]).max() > 0.05
    assert np.abs(again.recorded.output[:, 0]).max() > 0.005  # it begins 30 dB down
    assert again.recorded.facts["devices"]["input"] == "system"
    assert len(again.separation.decisions) > 2
    happened = [event["event"] for event in lines_of(take / "events.jsonl")]
    assert {"fade-in", "fade-out"} <= set(happened)


def test_a_full_disk_and_a_sound_that_is_killed_leave_what_was_recorded_and_the_sound_goes_on(
    bank: list[str], tmp_path: Path
) -> None:
    take, mine = tmp_path / "take", [*bank, "--domain", "noise"]
    with (
        jack_server(period=256) as environment,
        live(environment, tmp_path, "--record", str(take), *mine) as running,
        clicks(environment),
    ):
        running.wait(lambda: (take / "input.wav").exists())
        (scribe,) = children(running.sound())
        time.sleep(1.5)
        os.kill(running.sound(), signal.SIGKILL)
        running.said("the sound is back")
        running.wait(lambda: (take / "2" / "input.wav").exists())
        (second,) = children(running.sound())
        assert second != scribe
        limit = 300_000
        resource.prlimit(second, resource.RLIMIT_FSIZE, (limit, limit))
        running.said(f"{take}/2: File too large: nothing is recorded after")
        time.sleep(0.5)
        summary = running.stop()
    assert (summary["reconnections"], summary["faults"]) == (1, 0)
    assert summary["latency"]["samples"] == ENGINE + 3 * 256  # the metronome is with the process that was killed
    (recording,) = summary["recordings"]  # the process that was killed could not tell of its own
    assert "File too large" in recording["status"]
    assert recording["dropped_s"] > 0.3
    assert json.loads((take / "session.json").read_text())["ended"] == "ended"
    for folder, least in ((take, 1.0), (take / "2", 0.5)):
        assert len(read(folder).input) > least * 48_000
        assert replay(folder).differs_at is None
    assert np.abs(read(take).output).max() > 0.05
