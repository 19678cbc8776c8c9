"""Live sound: the whole command on a real JACK server."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from calibrated import make_calibrated_bank, promising
from jack_server import jack_server, sound_environment
from readme import check
from small_bank import make_bank
from test_live_faults import live

LIMIT_S = 120  # of a subprocess, on a machine that has other things to do


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
        assert set(summary[kind]) == {"deadline", "interpreter", "device"}
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


def test_live_watched_has_one_monitor_and_leaves_none_and_says_what_the_readme_says(jack, tmp_path_factory):
    promises = {"music": promising(0.0, balance=1.0), "noise": promising(1.0)}
    folder = make_calibrated_bank(tmp_path_factory.mktemp("watched"), **promises)
    mine = ["--set", f"models.bank={folder}", "--set", "models.precision=fp32", "--domain", "auto"]
    mine += ["--record", str(folder / "take")]
    done = streamsep(jack, "live", "--seconds", "4", "--json", *JACK, *mine)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    monitor = summary["monitor"]
    assert (monitor["starts"], monitor["deaths"], monitor["hangs"]) == (1, 0, 0)
    assert (summary["domain"], summary["heard"], summary["faults"]) == ("auto", None, 0)  # there is only silence
    assert "the monitor is running" in done.stderr
    check(summary, "live", absent={"latency.filter_ms"})
    assert summary["decisions"] > 0


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


def test_one_channel_is_played_on_both_sides(jack, bank, tmp_path):
    with live(jack, tmp_path, "--channels", "1", *bank) as running:
        listed = subprocess.run(["jack_lsp", "-c"], env=jack, capture_output=True, text=True, check=True).stdout
        running.stop()
    wires = dict(re.findall(r"^(PortAudio:\S+)\n +(\S+)$", listed, re.MULTILINE))
    assert wires == {
        "PortAudio:in_0": "system:capture_1",
        "PortAudio:out_0": "system:playback_1",
        "PortAudio:out_1": "system:playback_2",
    }


def test_live_separates_with_the_shipped_models(jack):
    done = streamsep(jack, "live", "--seconds", "1", "--json", *JACK)
    assert done.returncode == 0, done.stderr
    check_summary(done.stdout, watched=True)


def test_a_hearing_aid_gets_the_periods_of_jack_unless_other_blocks_are_asked_for(bank):
    mine = ["--seconds", "0.5", "--json", "--config", "hearing-aid", *JACK, *bank]
    with jack_server(rate=48_000, period=64) as environment:
        done, longer = (streamsep(environment, "live", *mine, *block) for block in ([], ["--block", "256"]))
    for run, block in ((done, 64), (longer, 256)):
        assert run.returncode == 0, run.stderr
        assert f"blocks of {block} samples" in " ".join(run.stderr.split())
        summary = check_summary(run.stdout)
        assert summary["block"] == block
        check(summary, "live")
        assert summary["callback"]["period_ms"] == pytest.approx(1000 * block / 48_000, abs=1e-3)
        added = {} if block == 64 else {"PortAudio's blocks": 256}
        terms = {term: samples for term, samples in summary["latency"]["terms"].items() if samples}
        assert terms == {"input device": 64, "output device": 128, **added}


def test_live_without_json_ends_with_a_summary_for_people(jack, bank):
    done = streamsep(jack, "live", "--seconds", "0.5", *JACK, *bank)
    assert done.returncode == 0, done.stderr
    assert "callbacks" in done.stdout
    assert "underruns: " in done.stdout


@pytest.mark.parametrize("ends", [[signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGHUP]])
def test_ctrl_c_ends_live_cleanly_with_its_summary(jack, bank, tmp_path, ends):
    """Also where it comes twice at once, as from a program that passes it on; and when the terminal is closed."""
    remarks = tmp_path / "remarks"
    command = [sys.executable, "-m", "streamsep", "live", "--json", *JACK, *bank]
    with remarks.open("w") as stderr:
        running = subprocess.Popen(command, env=jack, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        wait_for(lambda: "Ctrl-C ends" in remarks.read_text() or running.poll() is not None)
        time.sleep(1.0)  # into the sound
        for number in ends:
            running.send_signal(number)
            time.sleep(0.05)
        out, _ = running.communicate(timeout=LIMIT_S)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 0, remarks.read_text()
    check_summary(out.splitlines()[-1])
    assert "Traceback" not in remarks.read_text()


def wait_for(happened):
    deadline = time.monotonic() + LIMIT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


IN_A_TERMINAL = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-m', 'streamsep', *sys.argv[1:]]) >> 8)"


def test_in_a_terminal_there_is_a_meter_and_the_keys_do_what_it_says(jack, bank):
    command = [sys.executable, "-c", IN_A_TERMINAL, "live", "--json", *JACK, *bank]
    wide = jack | {"COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
    shown = b""
    with subprocess.Popen(command, env=wide, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:

        def until(what):
            nonlocal shown
            while what not in shown:
                read = os.read(running.stdout.fileno(), 65536)
                assert read, shown.decode()
                shown += read

        def press(key):
            running.stdin.write(key)
            running.stdin.flush()

        try:
            until(b"q quit")
            press(b"b")
            until(b"BYPASS")
            press(b"m")
            until(b"muted")
            press(b"1")
            until(b"vocals")
            press(b"q")
            while read := os.read(running.stdout.fileno(), 65536):
                shown += read
            assert running.wait(timeout=LIMIT_S) == 0
        finally:
            running.kill()
    summary = json.loads(re.search(r"\{.*\}", shown.decode())[0])
    assert (summary["domain"], summary["faults"]) == ("music", 0)
    assert b"Traceback" not in shown


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


def test_without_a_server_or_a_device_the_error_is_one_clear_line(bank):
    check_refused(streamsep(sound_environment("no-such-server"), "live", *JACK, *bank), "no input device")


def check_refused(done, said):
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("streamsep: ")
    assert re.search(said, line)
