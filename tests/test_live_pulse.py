"""Live sound where ALSA leads to PulseAudio: there PortAudio calls nobody for two seconds after the start and after
every gap, and the device is no less alive for that."""

import json
import subprocess
import sys
from pathlib import Path

from pulse_server import pulse_server
from small_bank import make_bank

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
