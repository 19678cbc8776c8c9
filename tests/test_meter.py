"""The meter: everything a person needs to know is in it, and nothing makes it fail."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from streamsep.live.keys import HELP, Desk
from streamsep.live.meter import FLOOR_DB, RELIEF, Meter
from streamsep.realtime.overload import HIGHEST

SOURCES = {"noise": ("speech", "noise"), "speech": ("talker-1", "talker-2")}
OPENED = {
    "input": "a microphone", "output": "headphones", "rate": 48_000, "channels": 2, "domains": list(SOURCES),
    "watched": True,
}  # fmt: skip
NOW: dict[str, Any] = {
    "seconds": 83.2, "levels_db": [-18.2, -2.0], "sources_db": {"speech": -20.1, "noise": None}, "domain": "noise",
    "dry": False, "bypassed": False, "locked": None, "load": 0.12, "worst_load": 0.41, "gaps": 0,
    "overload": 0, "switches": 3,
}  # fmt: skip


def meter() -> Meter:
    return Meter(Desk(list(SOURCES), SOURCES, {"noise": -18}, 12.0))


def drawn(at: Meter, now: dict[str, Any] | None, status: str = "", width: int = 100, **facts: Any) -> str:
    console = Console(width=width, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(at.draw(OPENED | facts, 12.34, now, status))
    return capture.get()


def test_everything_is_there() -> None:
    at = meter()
    at.estimates_db, at.confidences = {"noise": 5.12, "speech": None}, {"noise": 0.434, "speech": None}
    text = drawn(at, NOW, "the monitor is running")
    for what in (
        "a microphone → headphones", "48000 Hz · 2 ch", "latency 12.3 ms", "-18.2 dB", "-2.0 dB", "▸ +0 dB", "-18 dB",
        "silent", "1 noise", "2 speech", "+5.1 dB", "0.43", "auto", "load  12 % (worst 41 %)", "gaps 0", "switches 3",
        "1:23", "the monitor is running", "q quit",
    ):  # fmt: skip
        assert what in text, what


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bypassed": True}, "BYPASS"),
        ({"dry": True}, "dry: no model is confident"),
        ({"locked": "noise"}, "locked"),
        ({"gaps": 3}, "gaps 3"),
        *(({"overload": level}, RELIEF[level]) for level in range(1, HIGHEST + 1)),
    ],
)
def test_what_is_not_as_usual_is_said(changes: dict[str, Any], said: str) -> None:
    assert said not in drawn(meter(), NOW)
    assert said in drawn(meter(), NOW | changes)


def test_in_a_narrow_terminal_the_longest_names_hide_nothing_else() -> None:
    names = {"input": "HDA Intel PCH: ALC3246 Analog (hw:0,0)", "output": "USB Audio Device: Headset (hw:1,0)"}
    worst = NOW | {"load": 1.5, "worst_load": 2.5, "gaps": 123, "switches": 56, "seconds": 86_399, "overload": 2}
    at, domains = meter(), ["speech", "noise", "music", "environment"]
    at.estimates_db = at.confidences = dict.fromkeys(domains, -10.26)
    text = drawn(at, worst | {"dry": True}, "x" * 80, 80, domains=domains, **names)
    assert all(text.count(what) == 4 for what in ("-10.3 dB", "-10.26"))
    for what in (
        "48000 Hz · 2 ch · HDA Intel", "dry: no model is confident", "4 environment", "latency 12.3 ms", "gaps 123",
        "switches 56", "1439:59", RELIEF[2],
    ):  # fmt: skip
        assert what in text, what
    assert max(map(len, text.splitlines())) == 80


@given(width=st.integers(30, 120))
def test_in_a_terminal_of_any_width_every_key_is_there_and_the_one_that_ends_it_first(width: int) -> None:
    text = drawn(meter(), NOW, width=width)
    words = text.split()
    assert words[-len(HELP.split()) :] == HELP.split()
    assert any(line.startswith("q quit") for line in text.splitlines())


def test_the_facts_are_those_of_the_moment() -> None:
    at = meter()
    assert "48000 Hz · 2 ch · a microphone" in drawn(at, NOW)
    assert "44100 Hz · 1 ch · another" in drawn(at, NOW, rate=44_100, channels=1, input="another")


def test_where_nobody_looks_nothing_is_promised() -> None:
    assert "confidence" in drawn(meter(), NOW)
    assert "confidence" not in drawn(meter(), NOW, watched=False)


def test_without_sound_it_says_so() -> None:
    assert "waiting for the device" in drawn(meter(), None, "it is tried again in 2 s")


@settings(deadline=None)
@given(
    levels=st.lists(st.one_of(st.none(), st.floats(-300, 60)), min_size=4, max_size=4),
    load=st.floats(0, 1000),
    seconds=st.floats(0, 1e9),
    width=st.integers(20, 200),
    domain=st.sampled_from(list(SOURCES)),
)
def test_it_draws_whatever_the_figures_are_in_a_terminal_of_any_width(
    levels: list[float | None], load: float, seconds: float, width: int, domain: str
) -> None:
    now = NOW | {
        "levels_db": levels[:2], "sources_db": dict(zip(SOURCES[domain], levels[2:], strict=True)), "load": load,
        "seconds": seconds, "domain": domain,
    }  # fmt: skip
    assert drawn(meter(), now, width=width)


@settings(deadline=None)
@given(st.lists(st.floats(-80, 0), min_size=2, max_size=40))
def test_a_bar_rises_at_once_and_falls_slowly(levels: list[float]) -> None:
    at, before = meter(), FLOOR_DB
    for level in levels:
        drawn(at, NOW | {"levels_db": [level, None]})
        held = at._held["in"]
        assert held >= max(level, FLOOR_DB)
        assert held >= before - 2
        before = held
