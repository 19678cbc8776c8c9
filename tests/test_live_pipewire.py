"""Live sound on PipeWire, as a client of its JACK."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pipewire_server import PERIOD, pipewire_server
from small_bank import make_bank
from test_live_faults import ENGINE, LIMIT_S, live


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    bank = make_bank(tmp_path_factory.mktemp("pipewire") / "bank")
    models = ["--set", f"models.bank={bank}", "--set", "models.precision=fp32", "--set", "domain=noise"]
    return ["--api", "JACK", "--input", "ears", "--output", "ears", *models]


def done(folder: Path, command: str, *options: str) -> dict[str, Any]:
    """What a command says in JSON at its end."""
    with pipewire_server(folder) as environment:
        run = subprocess.run(
            [sys.executable, "-m", "streamsep", command, "--json", *options],
            env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "did not end" not in run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_it_plays_and_ends_when_it_should_and_keeps_what_it_counted(tmp_path: Path, options: list[str]) -> None:
    summary = done(tmp_path, "live", "--seconds", "2", *options)
    assert summary["callbacks"] > 100
    assert summary["callback"]["period_ms"] == pytest.approx(1000 * PERIOD / 48_000, abs=1e-3)
    assert (summary["reconnections"], summary["faults"], summary["rate"]) == (0, 0, 48_000)
    assert summary["latency"]["samples"] == ENGINE  # a device that is none is not late


def test_the_round_trip_through_a_sink_that_can_be_heard_is_the_ledgers_to_within_a_block(
    tmp_path: Path, options: list[str]
) -> None:
    measured = done(tmp_path, "latency", *options)
    assert measured["agrees"]
    assert measured["ledger_samples"] == ENGINE
    assert measured["spread_samples"] == 0
    assert measured["measured_samples"] - ENGINE in (0, PERIOD)  # it is heard in the same round, or in the next


def test_a_server_that_dies_and_comes_back_brings_the_sound_back(tmp_path: Path, options: list[str]) -> None:
    with ExitStack() as ending:
        with pipewire_server(tmp_path) as environment:
            running = ending.enter_context(live(environment, tmp_path, *options))
            time.sleep(0.5)
        running.said("it is tried again in 0.5 s")
        ending.enter_context(pipewire_server(tmp_path))
        running.said("ears → ears: the sound is back")
        time.sleep(0.5)
        summary = running.stop()
    assert (summary["reconnections"], summary["faults"]) == (1, 0)
    assert summary["latency"]["samples"] == ENGINE
