"""Two sound cards that run one callback: who needs them, and that sound goes through, on a real JACK server."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jack_server import jack_server

from streamsep.audio import two_devices
from streamsep.audio.devices import Device
from streamsep.audio.two_devices import one_clock

LIMIT_S = 120
CARD = Device(0, "card", "ALSA", 2, 2, 48_000, True, True)


@pytest.mark.parametrize(
    ("source", "sink", "one"),
    [
        (CARD, CARD, True),
        (CARD, replace(CARD, index=1, name="headphones"), False),
        (CARD, replace(CARD, index=1), False),
        (replace(CARD, api=API), replace(CARD, api=API, index=1), True),
        (replace(CARD, api=API), replace(CARD, index=1), False),
    ],
)
def test_one_device_and_any_two_of_jack_have_one_clock(source: Device, sink: Device, one: bool) -> None:
    assert one_clock(source, sink) is one


@pytest.mark.parametrize("one", [True, False])
def test_there_are_as_many_streams_as_clocks(monkeypatch: pytest.MonkeyPatch, one: bool) -> None:
    monkeypatch.setattr(two_devices, "Stream", lambda *given: ("one", *given))
    monkeypatch.setattr(two_devices, "TwoDevices", lambda *given: ("two", *given))
    sink = CARD if one else replace(CARD, index=1)
    opened: Any = two_devices.open_stream(None, CARD, sink, 48_000, 2, 128)  # type: ignore[arg-type]
    assert opened == ("one" if one else "two", None, CARD, sink, 48_000, 2, 128)


def played(environment: dict[str, str], seconds: float, block: int) -> dict[str, Any]:
    program = Path(__file__).parent / "two_streams.py"
    done = subprocess.run(
        [sys.executable, str(program), str(seconds), str(block)],
        env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("block", [0, 256])
def test_sound_goes_through_two_streams_and_they_stop_cleanly(block: int) -> None:
    with jack_server(rate=48_000, period=1024) as environment:
        done = played(environment, 3.0, block)
    assert done["callbacks"] > 20
    assert done["level"] == pytest.approx(0.5, abs=0.1)
    assert done["rest"] < 0.1  # more only where JACK itself had to leave out sound
    assert done["faults"] == 0
    assert (done["alive"], done["closed"], done["silent"]) == (True, True, True)
    (latency,) = done["terms"].values()
    assert latency >= block + 16 + 144  # a block of the output, the filter, the margin


def test_a_rate_that_a_device_does_not_have_is_one_clear_line() -> None:
    with jack_server(rate=44_100, period=1024) as environment:
        program = Path(__file__).parent / "two_streams.py"
        done = subprocess.run(
            [sys.executable, str(program), "1", "0"],
            env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "DeviceError" in done.stderr
    assert "two devices have to run at one rate, now 48000 Hz" in done.stderr
