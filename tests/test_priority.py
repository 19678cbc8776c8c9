"""The sound comes first, as far as one may ask for that without a privilege."""

import ctypes
import os
import platform
import re
import subprocess
import sys

import pytest

from streamsep.priority import ATTRIBUTES, SCHED_SETATTR, TURN_NS, come_first

HEEDED = (6, 12)  # Linux from here on
ASKED = """
import os, threading
from streamsep.priority import come_first
from test_priority import asked_for
os.nice(3)
alone = asked_for()
taken = come_first()
after = []
thread = threading.Thread(target=lambda: after.append(asked_for()))
thread.start()
thread.join()
print(alone, taken, asked_for(), *after, sep="|")
"""


def asked_for() -> tuple[int, int, int]:
    """Policy, niceness and length of a turn in ns of the calling thread, as the system has them."""
    said = ctypes.create_string_buffer(ATTRIBUTES.size)
    number = SCHED_SETATTR[platform.machine()] + 1  # the next call is the one that tells
    assert ctypes.CDLL(None).syscall(number, 0, said, ATTRIBUTES.size, 0) == 0
    _, policy, _, nice, _, turn_ns, *_ = ATTRIBUTES.unpack(said.raw)
    return policy, nice, turn_ns


def test_the_thread_and_those_it_starts_ask_for_short_turns_and_stay_as_nice_as_they_were() -> None:
    if sys.platform != "linux":
        assert not come_first()
        return
    path = os.pathsep.join(sys.path)
    told = subprocess.run(
        [sys.executable, "-c", ASKED],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    alone, taken, itself, thread = told.split("|")
    release = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    assert taken == "True"
    assert itself == thread == str((os.SCHED_OTHER, 3, TURN_NS if release >= HEEDED else 0))
    assert alone.startswith(f"({os.SCHED_OTHER}, 3, ")


def test_a_machine_whose_system_call_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "of a kind nobody knows")
    assert not come_first()
