"""Live sound: what the callback does to every block, and the whole command on a real JACK server."""

import contextlib
import gc
import json
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from calibrated import make_calibrated_bank, promising
from hypothesis import given
from hypothesis import strategies as st
from jack_server import jack_server, sound_environment
from small_bank import make_bank

from streamsep.audio.live import START_FADE_S, STOP_FADE_S, Callback, collector_frozen

RATE = 1000
RISE, FALL = round(START_FADE_S * RATE), round(STOP_FADE_S * RATE)
LIMIT_S = 120  # of a subprocess, on a machine that has other things to do


class Through:
    """An engine that changes nothing, and fails when told to."""

    rate = RATE
    channels = 2

    def __init__(self):
        self.fails = False

    def process(self, block, out):
        if self.fails:
            raise ArithmeticError("a number went missing")
        out[:] = block
        return out


class Flags:
    """What PortAudio says; nothing, unless named."""

    def __init__(self, *named):
        for name in ("input_underflow", "input_overflow", "output_underflow", "output_overflow"):
            setattr(self, name, name in named)
        self.named = named

    def __bool__(self):
        return bool(self.named)


QUIET = Flags()


def heard(callback, frames, flags=QUIET, value=1.0):
    """What one callback makes of a constant."""
    out = np.full((frames, 2), np.nan, np.float32)
    callback(np.full((frames, 2), value, np.float32), out, frames, None, flags)
    return out


# ---------------------------------------------------------------------------------------------------- the callback


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_the_sound_rises_from_nothing_to_itself_however_the_blocks_are_cut(blocks):
    callback = Callback(Through())
    out = np.concatenate([heard(callback, frames) for frames in blocks])
    assert out[0, 0] == 0
    assert np.all(np.diff(out[:, 0]) >= 0)
    assert np.all(out[RISE:] == 1)
    assert np.array_equal(out, heard(Callback(Through()), len(out)))


@given(before=st.integers(1, 1200), blocks=st.lists(st.integers(1, 150), min_size=1, max_size=8))
def test_a_stop_fades_from_wherever_the_sound_was_to_silence_that_lasts(before, blocks):
    callback = Callback(Through())
    loud = heard(callback, before)[-1, 0]
    assert not callback.silent
    callback.stop()
    out = np.concatenate([heard(callback, frames) for frames in blocks])
    assert np.all(out[:1, 0] >= 0.99 * loud)
    assert np.all(out[FALL:] == 0)
    assert callback.silent == (len(out) >= FALL)


@given(st.integers(1, 400))
def test_an_engine_that_fails_is_heard_as_silence_and_comes_back_faded_in(frames):
    engine = Through()
    callback = Callback(engine)
    heard(callback, 2 * RISE)
    engine.fails = True
    assert np.all(heard(callback, frames) == 0)
    assert np.all(heard(callback, frames) == 0)
    engine.fails = False
    assert np.array_equal(heard(callback, frames), heard(Callback(Through()), frames))
    assert callback.report()["faults"] == 2
    assert isinstance(callback.first_fault, ArithmeticError)


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from(["input_underflow", "output_underflow", "input_overflow", "output_overflow"]),
        ),
        max_size=20,
    )
)
def test_every_gap_is_counted_once_under_its_cause(gaps):
    callback = Callback(Through())
    for late, flag in gaps:
        callback._last_s, callback._last_period_s = (2.0, 1.0) if late else (1.0, 2.0)
        heard(callback, 4, Flags(flag))
    report = callback.report()
    for kind in ("underrun", "overrun"):
        counted = [late for late, flag in gaps if flag.endswith(kind.replace("run", "flow"))]
        assert report[f"{kind}s"] == {"deadline": counted.count(True), "device": counted.count(False)}


def test_the_report_orders_its_times_and_knows_the_period():
    callback = Callback(Through())
    assert callback.report()["callback"]["p50_ms"] is None
    for _ in range(50):
        heard(callback, 8)
    times = callback.report()["callback"]
    assert times["period_ms"] == 8.0
    assert 0 < times["p50_ms"] <= times["p99_ms"] <= times["p999_ms"] <= times["max_ms"]
    json.dumps(callback.report(), allow_nan=False)


def test_the_callback_keeps_nothing_and_makes_no_arrays():
    callback = Callback(Through())
    block, out = np.ones((4, 2), np.float32), np.ones((4, 2), np.float32)

    def many(count):
        for _ in range(count):
            callback(block, out, 4, None, QUIET)

    many(300)
    tracemalloc.start()
    many(10)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    many(1000)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1024
    assert peak - before < 4096


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_held_still_and_then_as_it_was(enabled):
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with contextlib.suppress(ValueError), collector_frozen():
            assert not gc.isenabled()
            assert gc.get_freeze_count() > 0
            raise ValueError
        assert gc.isenabled() == enabled
        assert gc.get_freeze_count() == 0
    finally:
        (gc.enable if was else gc.disable)()


# ------------------------------------------------------------------------------------- the command, on a JACK server


@pytest.fixture(scope="module")
def jack():
    with jack_server(rate=48_000, period=1024) as environment:
        yield environment


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    folder = make_bank(tmp_path_factory.mktemp("live") / "bank")
    return ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--set", "domain=noise"]


JACK = ["--input", "system", "--output", "system"]  # by name: a laptop has devices of its own


def streamsep(environment, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "streamsep", *arguments],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


def check_summary(line, rate=48_000, watched=False):
    summary = json.loads(line)
    for kind in ("underruns", "overruns"):
        assert set(summary[kind]) == {"deadline", "device"}
        assert all(count >= 0 for count in summary[kind].values())
    latency = summary["latency"]
    assert latency["samples"] == round(sum(latency["terms"].values())) > 0
    assert latency["ms"] == pytest.approx(1000 * latency["samples"] / rate, abs=1e-3)
    times = summary["callback"]
    assert 0 < times["p50_ms"] <= times["p99_ms"] <= times["p999_ms"] <= times["max_ms"]
    assert (summary["switches"], summary["monitor"] is not None, summary["faults"]) == (0, watched, 0)
    assert summary["callbacks"] > 0
    return summary


def test_the_devices_of_a_jack_server_are_listed(jack):
    done = streamsep(jack, "devices", "--json")
    assert done.returncode == 0, done.stderr
    (system,) = [device for device in json.loads(done.stdout) if device["name"] == "system"]
    assert (system["inputs"], system["outputs"], system["rate"]) == (2, 2, 48_000)
    assert "system" in streamsep(jack, "devices").stdout


def test_live_watched_has_one_monitor_and_leaves_none(jack, tmp_path_factory):
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(1.0)}
    folder = make_calibrated_bank(tmp_path_factory.mktemp("watched"), **promises)
    mine = ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--domain", "auto"]
    done = streamsep(jack, "live", "--seconds", "4", "--json", *JACK, *mine)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    monitor = summary["monitor"]
    assert (monitor["starts"], monitor["deaths"], monitor["hangs"]) == (1, 0, 0)
    assert (summary["domain"], summary["heard"], summary["faults"]) == ("auto", None, 0)  # there is only silence
    assert "the monitor is running" in done.stderr


def test_live_bypassed_runs_its_seconds_and_ends_with_one_json_line(jack, bank):
    done = streamsep(jack, "live", "--seconds", "2", "--json", "--bypass", *JACK, *bank)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    summary = check_summary(line)
    assert summary["callback"]["period_ms"] == pytest.approx(1000 * 1024 / 48_000, abs=1e-3)
    assert "gathering a hop" in done.stderr


@pytest.mark.parametrize("domain", ["noise", "music"])
@pytest.mark.parametrize("shape", [["--channels", "1", "--block", "256"], ["--channels", "2"]])
def test_live_separates_with_any_domain_block_and_channel_count(jack, bank, domain, shape):
    done = streamsep(jack, "live", "--seconds", "0.5", "--json", "--domain", domain, *shape, *JACK, *bank)
    assert done.returncode == 0, done.stderr
    summary = check_summary(done.stdout)
    assert (summary["domain"], summary["channels"]) == (domain, int(shape[1]))


def test_live_separates_with_the_shipped_models(jack):
    done = streamsep(jack, "live", "--seconds", "1", "--json", *JACK)
    assert done.returncode == 0, done.stderr
    check_summary(done.stdout, watched=True)


def test_live_without_json_ends_with_a_summary_for_people(jack, bank):
    done = streamsep(jack, "live", "--seconds", "0.5", *JACK, *bank)
    assert done.returncode == 0, done.stderr
    assert "callbacks" in done.stdout
    assert "underruns: " in done.stdout


def test_ctrl_c_ends_live_cleanly_with_its_summary(jack, bank, tmp_path):
    remarks = tmp_path / "remarks"
    command = [sys.executable, "-m", "streamsep", "live", "--json", *JACK, *bank]
    with remarks.open("w") as stderr:
        live = subprocess.Popen(command, env=jack, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        wait_for(lambda: "Ctrl-C ends" in remarks.read_text() or live.poll() is not None)
        time.sleep(1.0)  # into the sound
        live.send_signal(signal.SIGINT)
        out, _ = live.communicate(timeout=LIMIT_S)
    finally:
        live.kill()
        live.communicate()
    assert live.returncode == 0, remarks.read_text()
    check_summary(out.splitlines()[-1])
    assert "Traceback" not in remarks.read_text()


def wait_for(happened):
    deadline = time.monotonic() + LIMIT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rate", "44100"], "44100 Hz with 2 channels, block 0: refused: .*sample rate"),
        (["--channels", "9"], "9 channels, block 0: refused: .*channels"),
        (["--domain", "weather"], "unknown domain 'weather'; this bank has .*music.*noise"),
        (["--set", "gains_db.noises=3"], "no source is called 'noises'"),
    ],
)
def test_what_the_device_or_the_bank_cannot_do_is_one_clear_line(jack, bank, arguments, said):
    check_refused(streamsep(jack, "live", "--seconds", "1", *JACK, *bank, *arguments), said)


def test_a_server_that_dies_ends_live_with_a_clear_line(bank, tmp_path):
    remarks = tmp_path / "remarks"
    command = [sys.executable, "-m", "streamsep", "live", *JACK, *bank]
    with jack_server() as environment, remarks.open("w") as stderr:
        live = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stderr, text=True)
        try:
            wait_for(lambda: "Ctrl-C ends" in remarks.read_text() or live.poll() is not None)
            time.sleep(1.0)
        except BaseException:
            live.kill()
            raise
    try:
        assert live.wait(timeout=LIMIT_S) == 1
    finally:
        live.kill()
        live.wait()
    assert "the device went away or its sound server stopped" in Path(remarks).read_text()


def test_without_a_server_or_a_device_the_error_is_one_clear_line(bank):
    check_refused(streamsep(sound_environment("no-such-server"), "live", *JACK, *bank), "no input device")


def check_refused(done, said):
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("streamsep: ")
    assert re.search(said, line)
