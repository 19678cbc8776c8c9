"""Two sound cards that run one callback: who needs them, and that sound goes through, on a real JACK server."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from jack_server import jack_server

from streamsep.arrays import Block
from streamsep.audio import live, two_devices
from streamsep.audio.callback import Callback
from streamsep.audio.devices import Device
from streamsep.audio.jack import API
from streamsep.audio.two_devices import Both as Status
from streamsep.audio.two_devices import TwoDevices, one_clock
from streamsep.errors import DeviceError, DeviceGoneError
from streamsep.realtime.journal import Journal

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


class PortAudio:
    """Made up: what is opened, of devices that take no blocks shorter than some number, 0 aside."""

    class PortAudioError(Exception):
        pass

    def __init__(self, shortest: dict[int, int]) -> None:
        """By index of the device."""
        self.shortest = shortest
        self.open: list[int] = []
        self.Stream = self.InputStream = self.OutputStream = self._opened

    def _opened(self, device: int | tuple[int, int], blocksize: int, **_: Any) -> SimpleNamespace:
        indices = (device,) if isinstance(device, int) else device
        if any(0 < blocksize < self.shortest[index] for index in indices):
            raise self.PortAudioError("Invalid buffer size")
        self.open += indices
        return SimpleNamespace(
            latency=0.01 if isinstance(device, int) else (0.01, 0.01),
            time=0.0,
            start=lambda: None,
            close=lambda: [self.open.remove(index) for index in indices],
        )


HEADPHONES = replace(CARD, index=1, name="headphones")
SERVER = replace(CARD, index=2, name="system", api=API)


@pytest.mark.parametrize(
    ("source", "sink", "shortest", "block"),
    [
        (CARD, CARD, {0: 1}, 32),
        (CARD, CARD, {0: 100}, 128),
        (CARD, CARD, {0: 5000}, 0),
        (CARD, HEADPHONES, {0: 50, 1: 200}, 256),
        (CARD, HEADPHONES, {0: 200, 1: 50}, 256),
        (SERVER, SERVER, {2: 1}, 0),
        (CARD, SERVER, {0: 1, 2: 1}, 0),
    ],
)
def test_the_shortest_blocks_are_those_with_which_the_devices_open_and_jacks_are_its_own(
    monkeypatch: pytest.MonkeyPatch, source: Device, sink: Device, shortest: dict[int, int], block: int
) -> None:
    made_up = PortAudio(shortest)
    monkeypatch.setattr(live, "portaudio", lambda: made_up)
    monkeypatch.setattr(TwoDevices, "_survey", lambda self, rate: (64.0, 64.0, 64.0))
    callback: Any = SimpleNamespace()
    stream = two_devices.open_stream(callback, source, sink, 48_000, 2, None)
    assert stream.block == block
    assert sorted(made_up.open) == [source.index, sink.index]  # once: what was refused is not left open


def test_a_device_that_refuses_everything_is_refused_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing(PortAudio):
        def _opened(self, device: int | tuple[int, int], blocksize: int, **_: Any) -> SimpleNamespace:
            raise self.PortAudioError("Invalid sample rate")

    monkeypatch.setattr(live, "portaudio", lambda: Nothing({}))
    callback: Any = SimpleNamespace()
    with pytest.raises(DeviceError, match=r"'card' to 'card' .* block 0: refused: Invalid sample rate$"):
        two_devices.open_stream(callback, CARD, CARD, 48_000, 2, None)


@pytest.mark.parametrize("dead", ["input", "output", "both"])
def test_either_device_that_calls_no_more_is_missed(monkeypatch: pytest.MonkeyPatch, dead: str) -> None:
    at = SimpleNamespace(now=100.0)
    clock = SimpleNamespace(monotonic=lambda: at.now, perf_counter=lambda: at.now, sleep=time.sleep)
    monkeypatch.setattr(TwoDevices, "_survey", lambda *_: (64.0, 64.0, 64.0))
    monkeypatch.setattr(live, "portaudio", lambda: PortAudio({0: 1, 1: 1}))
    monkeypatch.setattr(live, "time", clock)
    monkeypatch.setattr(two_devices, "time", clock)
    callback: Any = SimpleNamespace(calls=0)
    stream = TwoDevices(callback, CARD, HEADPHONES, 48_000, 2, 64)
    for device in (stream._input, stream._stream):
        device.active = True
    quiet = np.zeros((64, 2), np.float32)

    def live_on(seconds: float, *sides: str) -> None:
        until = at.now + seconds
        while at.now < until:
            at.now += 0.02
            if "input" in sides:
                stream._listen(quiet, 64, SimpleNamespace(currentTime=0.0), Status())
            if "output" in sides:
                callback.calls += 1
            stream.check()

    live_on(10.0, "input", "output")
    alive = {"input": ["output"], "output": ["input"], "both": []}[dead]
    with pytest.raises(DeviceGoneError, match="went away"):
        live_on(live.GONE_S + 1, *alive)


@pytest.mark.parametrize(("channels", "outputs", "played"), [(1, 2, 2), (1, 6, 2), (1, 1, 1), (2, 2, 2), (2, 8, 2)])
def test_one_channel_is_heard_on_both_sides(
    monkeypatch: pytest.MonkeyPatch, channels: int, outputs: int, played: int
) -> None:
    opened: dict[str, Any] = {}
    audio = PortAudio({0: 1})
    audio.Stream = lambda **given: opened.update(given) or audio._opened(given["device"], given["blocksize"])
    monkeypatch.setattr(live, "portaudio", lambda: audio)
    engine: Any = PassThroughBlocks(channels)
    callback = Callback(engine)
    callback._edges._risen = 10**9
    live.Stream(callback, CARD, replace(CARD, outputs=outputs), 48_000, channels, 64)
    assert opened["channels"] == (channels, played)
    block = np.random.default_rng(0).normal(0, 0.1, (64, channels)).astype(np.float32)
    out = np.full((64, played), np.nan, np.float32)
    opened["callback"](block, out, 64, SimpleNamespace(currentTime=0.0), Status())
    np.testing.assert_array_equal(out, np.repeat(block, played // channels, axis=1))


class PassThroughBlocks:
    """An engine that changes nothing."""

    rate, steps = 48_000, 0

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.journal = Journal()

    def process(self, block: Block, out: Block) -> Block:
        out[:] = block
        return out


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
    rest, level = min(
        zip(done["rests"], done["levels"], strict=True), key=lambda piece: abs(piece[1] - 0.5) + piece[0]
    )
    assert level == pytest.approx(0.5, abs=0.01)  # between the gaps that a busy JACK makes
    assert rest < 0.005
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
