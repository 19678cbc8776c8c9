"""The control thread of live sound: what it says, and what a recording keeps of it."""

import queue
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fakes import Shares, make_engine
from hypothesis import given
from hypothesis import strategies as st

from streamsep.audio.callback import Callback
from streamsep.errors import DeviceGoneError
from streamsep.live import sound
from streamsep.live.sound import Player
from streamsep.realtime.overload import HIGHEST


class Played:
    """A player of made-up devices, and all that it said and kept."""

    def __init__(self, **guard: Any) -> None:
        self.engine = make_engine(Shares(), channels=2)
        self.callback = Callback(self.engine)
        self.guard = SimpleNamespace(**{"howls": 0, "tone_hz": 0.0, **guard})
        self.said: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.changes: list[dict[str, Any] | None] = []  # of the wires, by the round
        self.kept: list[tuple[str, dict[str, Any]]] = []
        self.stream = SimpleNamespace(check=lambda: None)
        recorder = SimpleNamespace(
            note=lambda event, **what: self.kept.append((event, what)), check=lambda: None, report=lambda: {}
        )
        parts: Any = (self.engine, self.callback, None, recorder, self.guard)
        self.player = Player(*parts, bypassed=False)

    def run(self, *asked: dict[str, Any]) -> str | None:
        requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        for request in asked:
            requests.put(request)
        speaker: Any = SimpleNamespace(say=lambda **what: self.said.append(what))
        stream: Any = self.stream
        wires: Any = SimpleNamespace(changed=lambda: self.changes.pop(0) if self.changes else None)
        return self.player.run(stream, speaker, self.told.append, requests, wires)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    made = Played()

    def sleep(seconds: float) -> None:
        """One round, and then the device is gone."""
        made.stream.check = gone

    def gone() -> None:
        raise DeviceGoneError("it is gone")

    monkeypatch.setattr(sound, "time", SimpleNamespace(sleep=sleep))
    return made


def test_until_it_is_asked_to_stop_or_the_device_is_gone(played: Played) -> None:
    assert played.run({"gain": ["noise", -3.0]}, {"stop": True}) is None
    assert played.run() == "it is gone"
    assert [next(iter(what)) for what in played.said] == ["now"]
    assert played.kept == [("asked", {"gain": ["noise", -3.0]})]


@pytest.mark.parametrize(("hz", "where"), [(0.0, ""), (1234.5, " at 1234 Hz")])
def test_a_howl_is_said_once_to_whoever_is_told(played: Played, hz: float, where: str) -> None:
    played.guard.howls, played.guard.tone_hz = 1, hz
    played.run()
    assert played.told == [f"it howls{where} and was turned down: use headphones, or lower a gain"]
    played.run()
    assert len(played.told) == 1
    played.guard.howls = 3
    played.stream.check = lambda: None
    played.run()
    assert len(played.told) == 2


def test_that_the_wires_have_changed_is_said_once(played: Played) -> None:
    played.changes += [None, {"block": 512}]
    for _ in range(3):
        played.stream.check = lambda: None
        played.run()
    assert [what for what in played.said if "now" not in what] == [{"changed": {"block": 512}}]


@given(st.lists(st.integers(-1, 1), max_size=60))
def test_it_is_said_once_that_the_models_are_off_and_once_that_everything_is_back(steps: list[int]) -> None:
    played, level, off = Played(), 0, False
    for step in steps:
        level = min(max(level + step, 0), HIGHEST)
        played.callback.overload.level = level
        before = len(played.told)
        played.player._tell_of_overload(played.told.append)
        wanted = ["the models are off"] if level == HIGHEST and not off else []
        wanted += ["the models are back"] if level == 0 and off else []
        assert len(played.told) - before == len(wanted)
        assert all(what in played.told[-1] for what in wanted)
        off = (off or level == HIGHEST) and level > 0


def test_what_cannot_be_done_is_said_and_the_sound_goes_on(played: Played) -> None:
    assert played.run({"select": "weather"}, {"gain": ["wind", 3.0]}) == "it is gone"
    assert "unknown domain 'weather'" in played.told[0]
    assert "no source is called 'wind'" in played.told[1]


def test_a_recording_knows_of_every_gap_and_the_meter_of_as_many(played: Played) -> None:
    silence = np.zeros((8, 2), np.float32)
    seconds = count()

    def hear(**flags: bool) -> None:
        names = ("input_underflow", "input_overflow", "output_underflow", "output_overflow")
        status: Any = SimpleNamespace(**{name: flags.get(name, False) for name in names})
        when: Any = SimpleNamespace(currentTime=next(seconds))
        played.callback(silence, silence.copy(), 8, when, status)
        played.stream.check = lambda: None
        played.run()

    hear()
    assert played.kept == []
    hear(input_overflow=True, output_underflow=True)  # as JACK says it
    hear(input_overflow=True)
    hear(output_underflow=True)
    counts = [(sum(what["underruns"].values()), sum(what["overruns"].values())) for _, what in played.kept]
    assert [event for event, _ in played.kept] == ["gaps"] * 3
    assert counts == [(1, 1), (1, 2), (2, 2)]
    assert [what["now"]["gaps"] for what in played.said if "now" in what] == [0, 1, 2, 2]
