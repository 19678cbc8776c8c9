"""Processes of our own: told what to do, and never left behind."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched import is_gone, wait

from streamsep.child import Child, cause, deaf_to_signals, end_with, message
from streamsep.errors import ConfigError


def copy_lines(plan: tuple[str, int], lifeline: int) -> None:
    """Everything that comes down the lifeline goes into a file, then this number of seconds passes."""
    path, left_s = plan
    deaf_to_signals()
    with Path(path).open("wb") as file:
        file.write(f"{os.getpid()}\n".encode())
        file.flush()
        while told := os.read(lifeline, 4096):
            file.write(told)
            file.flush()
    time.sleep(left_s)


def sleep_until_told(plan: None, lifeline: int) -> None:
    end_with(lifeline)


@pytest.fixture
def complaints() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        assert file.read() == b""


def test_a_child_hears_everything_that_is_said_before_it_is_let_go(tmp_path: Path, complaints: IO[bytes]) -> None:
    child = Child(message(copy_lines, (str(tmp_path / "heard"), 0)), complaints)
    said = b"".join(b"%d\n" % number for number in range(50_000))  # more than a pipe holds
    child.tell(said)
    assert child.exit_code() is None
    assert child.end(limit_s=60) == 0
    first, _, rest = (tmp_path / "heard").read_bytes().partition(b"\n")
    assert first == b"%d" % child.pid
    assert rest == said


def test_a_child_that_does_not_end_is_killed(tmp_path: Path, complaints: IO[bytes]) -> None:
    child = Child(message(copy_lines, (str(tmp_path / "heard"), 1000)), complaints)
    wait((tmp_path / "heard").exists)
    assert child.end(limit_s=0.2) < 0
    assert is_gone(child.pid)
    child.tell(b"anybody there?")  # a dead one hears nothing, and that is no error


def test_a_child_ends_with_its_lifeline(complaints: IO[bytes]) -> None:
    child = Child(message(sleep_until_told, None), complaints)
    child.release()
    wait(lambda: child.exit_code() is not None)
    assert child.exit_code() == 0


def test_what_cannot_be_pickled_is_refused() -> None:
    with pytest.raises(ConfigError, match="can be pickled"):
        message(lambda plan, lifeline: None, None)


@given(code=st.integers(-64, 255), said=st.binary(max_size=50))
def test_whatever_a_child_ends_with_there_is_a_word_for_it(code: int, said: bytes) -> None:
    with tempfile.TemporaryFile() as complaints:
        complaints.write(said)
        assert cause(code, complaints)


def test_a_signal_without_a_name_goes_by_its_number() -> None:
    with tempfile.TemporaryFile() as complaints:
        assert [cause(code, complaints) for code in (-9, -40)] == ["signal SIGKILL", "signal 40"]
