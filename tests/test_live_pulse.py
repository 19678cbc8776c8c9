"""Live sound where ALSA leads to PulseAudio: there PortAudio calls nobody for two seconds after the start and after
every gap, and the device is no less alive for that."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from jack_server import jack_server
from pulse_server import pulse_server
from small_bank import make_bank
from test_live_faults import live

LIMIT_S = 120
SECONDS = 9.0
PAUSES_S = 5.0  # that PortAudio may make of them


def test_it_goes_on_playing_through_pauses_of_two_seconds(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    command = [sys.executable, "-m", "streamsep", "live", "--json", "--seconds", str(SECONDS), "--block", "1024"]
    command += ["--api", "ALSA", "--input", "pulse", "--output", "pulse", "--domain", "noise"]
    command += ["--set", f"models.bank={bank}", "--set", "models.precision=fp32"]
    with pulse_server(tmp_path) as environment:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["reconnections"], summary["faults"]) == (0, 0), done.stderr
    assert summary["seconds"] > SECONDS - PAUSES_S


def test_two_devices_of_two_servers_play_together_and_come_back_when_one_was_gone(tmp_path: Path) -> None:
    """Two clocks: JACK hears, PulseAudio plays, with its pauses."""
    bank = make_bank(tmp_path / "bank")
    mine = ["--output", "pulse", "--rate", "48000", "--block", "1024", "--domain", "noise"]
    mine += ["--set", f"models.bank={bank}", "--set", "models.precision=fp32"]
    microphone = jack_server(period=256)
    with ExitStack() as ending:
        name = microphone.__enter__()["JACK_DEFAULT_SERVER"]
        environment = ending.enter_context(pulse_server(tmp_path)) | {"JACK_DEFAULT_SERVER": name}
        try:
            running = ending.enter_context(live(environment, tmp_path, *mine))
            time.sleep(0.5)
        finally:
            microphone.__exit__(None, None, None)
        running.said("it is tried again in")
        ending.enter_context(jack_server(period=256, name=name))
        running.said("system → pulse: the sound is back")
        time.sleep(1.0)
        summary = running.stop()
    terms = summary["latency"]["terms"]
    assert terms["input ring"] > 0
    assert summary["latency"]["samples"] == round(sum(terms.values()))
    assert (summary["reconnections"] > 0, summary["faults"]) == (True, 0)
    assert summary["callbacks"] > 0
