"""The sound comes first and what helps it last, as far as one may ask for that without a privilege."""

import ctypes
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from streamsep.priority import ATTRIBUTES, LONG_NS, NICENESS, SCHED_SETATTR, SHORT_NS, come_first, give_way

HEEDED = (6, 12)  # Linux from here on
ASKED = """
import os, sys, threading
from streamsep import priority
from test_priority import asked_for
os.nice(3)
alone = asked_for()
taken = getattr(priority, sys.argv[1])()
after = []
thread = threading.Thread(target=lambda: after.append(asked_for()))
thread.start()
thread.join()
print(alone, taken, asked_for(), *after, sep="|")
"""


def asked_for(thread: int = 0) -> tuple[int, int, int]:
    """Policy, niceness and length of a turn in ns of a thread, or of the calling one, as the system has them."""
    said = ctypes.create_string_buffer(ATTRIBUTES.size)
    number = SCHED_SETATTR[platform.machine()] + 1  # the next call is the one that tells
    assert ctypes.CDLL(None).syscall(number, thread, said, ATTRIBUTES.size, 0) == 0
    _, policy, _, nice, _, turn_ns, *_ = ATTRIBUTES.unpack(said.raw)
    return policy, nice, turn_ns


def heeded(turn_ns: int) -> int:
    """The length of a turn that this system has for who asked for so long a one."""
    release = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    return turn_ns if release >= HEEDED else 0


@pytest.mark.parametrize(
    ("how", "turn_ns", "nicer"),
    [("come_first", SHORT_NS, 0), ("give_way", LONG_NS, 0), ("come_last", LONG_NS, NICENESS)],
)
def test_a_thread_and_those_it_starts_take_turns_of_the_length_asked_for(how: str, turn_ns: int, nicer: int) -> None:
    if sys.platform != "linux":
        assert not come_first()
        return
    path = os.pathsep.join(sys.path)
    told = subprocess.run(
        [sys.executable, "-c", ASKED, how],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    alone, taken, itself, thread = told.split("|")
    assert taken == "True"
    assert itself == thread == str((os.SCHED_OTHER, 3 + nicer, heeded(turn_ns)))
    assert alone.startswith(f"({os.SCHED_OTHER}, 3, ")


@pytest.mark.parametrize("ask", [come_first, give_way])
def test_a_machine_whose_system_call_is_not_known_is_left_alone(
    ask: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "of a kind nobody knows")
    assert not ask()


@pytest.mark.parametrize("ask", [come_first, give_way])
def test_who_was_given_real_time_priority_keeps_it(ask: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    before = asked_for()
    for policy in (os.SCHED_FIFO, os.SCHED_RR, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK):
        monkeypatch.setattr(os, "sched_getscheduler", lambda _, policy=policy: policy)
        assert not ask()
        assert asked_for() == before
