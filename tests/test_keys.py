"""What the keys do."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsep.live.keys import ARROWS, HELP, LOWEST_DB, Desk, Keyboard, split

HIGHEST_DB = 12.0
DOMAINS = ("music", "noise", "speech")
SOURCES = {"music": ("vocals", "accompaniment"), "noise": ("speech", "noise"), "speech": ("talker-1", "talker-2")}
GAINS = {"noise": -18.0, "talker": -6.0, "talker-2": -40.0}
KEYS = [*"123456789albmqx?", *ARROWS.values()]


def desk() -> Desk:
    return Desk(DOMAINS, SOURCES, GAINS, HIGHEST_DB)


def press(at: Desk, *keys: str, domain: str = "noise", bypassed: bool = False, locked: str | None = None) -> list:
    return [at.press(key, domain, bypassed, locked) for key in keys]


def test_it_begins_with_the_gains_that_are_set_by_name_or_by_role() -> None:
    assert desk().gains_db == {
        "vocals": 0, "accompaniment": 0, "speech": 0, "noise": -18, "talker-1": -6, "talker-2": -40,
    }  # fmt: skip


def test_a_number_selects_its_domain_and_a_number_too_many_nothing() -> None:
    assert press(desk(), "1", "2", "3", "4") == [{"select": "music"}, {"select": "noise"}, {"select": "speech"}, None]


def test_locking_holds_what_is_heard_and_unlocking_gives_it_back() -> None:
    assert press(desk(), "l", domain="music") == [{"select": "music"}]
    assert press(desk(), "l", domain="music", locked="music") == [{"select": "auto"}]
    assert press(desk(), "a") == [{"select": "auto"}]


@pytest.mark.parametrize("bypassed", [False, True])
def test_bypass_goes_on_and_off(bypassed: bool) -> None:
    assert press(desk(), "b", bypassed=bypassed) == [{"bypass": not bypassed}]


def test_the_arrows_choose_a_source_and_change_its_gain_by_a_decibel() -> None:
    at = desk()
    assert press(at, "up", "right", "down", "down") == [
        {"gain": ["speech", 1.0]}, None, {"gain": ["noise", -19.0]}, {"gain": ["noise", -20.0]},
    ]  # fmt: skip
    assert at.source("noise") == "noise"
    assert at.source("music") == "accompaniment"  # of another domain: the one at the same place


def test_muting_twice_is_as_before_and_a_muted_source_comes_back_with_an_arrow() -> None:
    at = desk()
    assert press(at, "right", "m", "m") == [None, {"gain": ["noise", LOWEST_DB]}, {"gain": ["noise", -18.0]}]
    assert press(at, "m", "up") == [{"gain": ["noise", LOWEST_DB]}, {"gain": ["noise", -60.0]}]


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(DOMAINS)), max_size=80))
def test_whatever_is_pressed_asks_for_something_that_the_engine_can_do(pressed: list[tuple[str, str]]) -> None:
    at = desk()
    for key, domain in pressed:
        for request in press(at, key, domain=domain):
            if request is None:
                continue
            ((what, value),) = request.items()
            assert what in ("select", "gain", "bypass")
            if what == "gain":
                name, gain_db = value
                assert name in SOURCES[domain]
                assert LOWEST_DB <= gain_db <= HIGHEST_DB
                assert at.gains_db[name] == gain_db
            if what == "select":
                assert value in (*DOMAINS, "auto")


@given(st.lists(st.sampled_from([*"abc123", *ARROWS]), max_size=20))
def test_what_is_typed_comes_apart_into_keys(typed: list[str]) -> None:
    assert list(split("".join(typed))) == [ARROWS.get(key, key) for key in typed]


PARTS = st.sampled_from(["", "1", "1;5", "15", "3", "200", "?25"])
FINALS = st.sampled_from("ABCDFHPQRSZ~u")
SEQUENCES = st.one_of(
    st.builds("\x1b[{}{}".format, PARTS, FINALS),  # Delete, Home, F5, Ctrl-Up
    st.builds("\x1bO{}{}".format, st.sampled_from(["", "5"]), st.sampled_from("ABCDFHPQRSM")),
    st.builds("\x1b[[{}".format, st.sampled_from("ABCDE")),  # F1 to F5 of the Linux console
    st.builds("\x1b{}".format, st.sampled_from("qalbm123456789")),  # Alt
    st.builds("\x1b\x1b[{}".format, st.sampled_from("ABCD")),  # Alt with an arrow
).filter(lambda typed: typed not in ARROWS)


@given(st.lists(st.one_of(SEQUENCES, st.sampled_from(KEYS), st.sampled_from(list(ARROWS)))))
def test_a_sequence_that_is_no_key_of_ours_is_none_at_all(typed: list[str]) -> None:
    wanted = [ARROWS.get(key, key) for key in typed if not key.startswith("\x1b") or key in ARROWS]
    characters = {name: code for code, name in ARROWS.items()}
    assert list(split("".join(characters.get(key, key) for key in typed))) == wanted


@given(SEQUENCES, st.data())
def test_half_a_sequence_is_no_key_either(sequence: str, data: st.DataObject) -> None:
    assert list(split(sequence[: data.draw(st.integers(1, len(sequence)))])) == []


def test_a_sequence_that_comes_in_two_pieces_is_one() -> None:
    reading, writing = os.pipe()
    try:
        keys = Keyboard(reading)
        pieces = (b"\x1b", b"[A", ["up"]), (b"1\x1b[3", b"~2", ["1", "2"]), (b"\x1bO", b"B", ["down"])
        for first, rest, pressed in pieces:
            os.write(writing, first)
            later = threading.Timer(0.002, os.write, (writing, rest))
            later.start()
            assert keys.pressed() == pressed
            later.join()
        os.write(writing, b"\x1b")
        assert keys.pressed() == []  # Escape, and nothing after it
        os.write(writing, b"q")
        assert keys.pressed() == ["q"]
    finally:
        os.close(reading)
        os.close(writing)


def test_the_line_of_help_names_every_key_that_does_something() -> None:
    for key in ("1-9", "a ", "l ", "b ", "←→", "↑↓", "m ", "q "):
        assert key in HELP


TERMINAL = """
import sys, termios, time
from streamsep.live.keys import keyboard
before = termios.tcgetattr(sys.stdin)
with keyboard() as keys:
    print("ready", flush=True)
    pressed = []
    while "q" not in pressed:
        pressed += keys.pressed()
        time.sleep(0.01)
print(pressed, "as before:", termios.tcgetattr(sys.stdin) == before, flush=True)
"""
IN_A_TERMINAL = "import pty, sys; pty.spawn([sys.executable, '-c', sys.argv[1]])"


def test_keys_come_from_a_terminal_one_by_one_and_it_is_left_as_it_was() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", IN_A_TERMINAL, TERMINAL]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        while b"ready" not in (line := program.stdout.readline()):
            assert line, "it never began"
        program.stdin.write(b"2\x1b[Aq")
        program.stdin.flush()
        assert b"['2', 'up', 'q'] as before: True" in program.stdout.read()


def test_without_a_terminal_there_are_no_keys() -> None:
    command = [sys.executable, "-c", "from streamsep.live.keys import *\nwith keyboard() as keys: print(keys)"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"
