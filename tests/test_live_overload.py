"""A machine that cannot keep up, on a real JACK server: work is given up step by step, never the latency."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from jack_server import jack_server
from small_bank import make_bank
from test_live_faults import PERIOD, live, loud, metronome

from streamsep.realtime.overload import HIGHEST
from streamsep.record.folder import lines_of, read
from streamsep.replay import replay

ENGINE = 192 + 192 + 80  # samples of latency: a hop, the window, the resampler; the ticks are heard at once


def tired_bank(folder: Path, toil: int) -> list[str]:
    """Options for a bank whose models do much work for nothing, see `make_model`."""
    made = make_bank(folder, toil=toil)
    return ["--set", f"models.bank={made}", "--set", "models.precision=fp32", "--domain", "noise"]


def levels(take: Path) -> list[int]:
    """Of what was given up, as far as it is recorded."""
    return [event["level"] for event in lines_of(take / "events.jsonl") if event["event"] == "relief"]


@pytest.mark.parametrize("period", [64, 128])
def test_a_model_that_is_far_too_slow_is_given_up_at_short_periods_too_and_the_latency_stays(
    tmp_path: Path, period: int
) -> None:
    take, mine = tmp_path / "take", tired_bank(tmp_path / "tired", 80)  # some 10 ms a hop
    with (
        jack_server(period=period) as environment,
        live(environment, tmp_path, "--record", str(take), *mine) as running,
    ):
        running.said("the models are off, the dry sound is heard, with the same latency")
        with metronome(environment, "metro"):
            subprocess.run(["jack_connect", "metro:300_bpm", "PortAudio:in_0"], env=environment, check=True)
            running.wait(lambda: loud(take) > 5000)
            summary = running.stop()
    assert levels(take)[:HIGHEST] == [1, 2, 3]
    assert summary["overload"] == HIGHEST
    assert summary["underruns"]["deadline"] > 0
    assert (summary["reconnections"], summary["faults"], summary["fault"]) == (0, 0, None)
    assert summary["latency"]["samples"] == ENGINE + 2 * period
    assert lag(take) == ENGINE


def lag(take: Path) -> int:
    """Samples by which what was heard is later than what came in."""
    recording = read(take)
    came, heard = recording.input[:, 0], recording.output[:, 0]
    return int(np.argmax([np.dot(came[: len(came) - by], heard[by:]) for by in range(2048)]))


@contextmanager
def starved(process: int) -> Iterator[None]:
    """Other programs want all processors; that on which this process has to stay it shares with many of them."""
    core, *others = sorted(os.sched_getaffinity(0))
    threads = [int(thread.name) for thread in Path(f"/proc/{process}/task").iterdir()]
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(16)]
    try:
        os.sched_setaffinity(busy[0].pid, others or {core})
        for task in [*(loop.pid for loop in busy[1:]), *threads]:
            os.sched_setaffinity(task, {core})
        yield
    finally:
        for loop in busy:
            loop.kill()
        for loop in busy:
            loop.wait()
        for thread in threads:
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, {core, *others})


def test_when_others_take_the_processors_work_is_given_up_and_taken_back_and_the_latency_stays(
    tmp_path: Path,
) -> None:
    take, mine = tmp_path / "take", tired_bank(tmp_path / "tired", 8)  # it has something to do, but can keep up
    with (
        jack_server(period=PERIOD) as environment,
        live(environment, tmp_path, "--record", str(take), *mine) as running,
        metronome(environment, "metro"),
    ):
        subprocess.run(["jack_connect", "metro:300_bpm", "PortAudio:in_0"], env=environment, check=True)
        with starved(running.sound()):
            running.wait(lambda: bool(levels(take)))
        running.wait(lambda: levels(take)[-1] < max(levels(take)))
        summary = running.stop()
    assert (summary["reconnections"], summary["faults"], summary["fault"]) == (0, 0, None)
    assert summary["overload"] == max(levels(take))
    assert summary["latency"]["samples"] == ENGINE + 2 * PERIOD
    assert replay(take).differs_at is None  # whatever was given up: as late as ever, to the sample
