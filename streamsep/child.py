"""A process of our own that helps another: an interpreter of its own, never a fork.

It is told what to do through its standard input, its *lifeline*: when nobody holds the other end any more, whoever
started it is gone or wants it to end. It may answer through its standard output. It does not run the user's script a
second time, as `multiprocessing` would.
"""

import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any, TypeVar

from streamsep.errors import ConfigError

Plan = TypeVar("Plan")
Work = Callable[[Plan, int], object]  # what to do, with the lifeline's number among the open files

LENGTH_BYTES = 8
# The first steps: an interpreter that finds what this one finds, and the rest by name.
BEGIN = f"""
import os, pickle, sys
def read(size):
    parts = b""
    while len(parts) < size:
        parts += os.read(0, size - len(parts)) or sys.exit()
    return parts
sys.path[:], task = pickle.loads(read(int.from_bytes(read({LENGTH_BYTES}), "big")))
work, plan = pickle.loads(task)
work(plan, 0)
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Ctrl-C is for who started it.
APART: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {"creationflags": 0x00000200}


def message(work: Work[Plan], plan: Plan) -> bytes:
    """What a child is told: work(plan, lifeline). Raises ConfigError when it cannot be pickled."""
    try:
        told = pickle.dumps((sys.path, pickle.dumps((work, plan))))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"expected something that can be pickled: {error}") from None
    return len(told).to_bytes(LENGTH_BYTES, "big") + told


class Child:
    """A running process. Raises OSError when none can be started. `answers`: what it writes to standard output."""

    def __init__(
        self, told: bytes, complaints: IO[bytes], files: Sequence[int] = (), answering: bool = False
    ) -> None:
        """told: see `message`. complaints: where it writes errors. files: that it may have open. answering: it has
        something to say: `answers` must be read, and closed at its end."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", BEGIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if answering else subprocess.DEVNULL,
            stderr=complaints,
            env=os.environ | ONE_THREAD,
            pass_fds=files,
            **APART,
        )
        self.pid = self._process.pid
        self.answers: IO[bytes] | None = self._process.stdout
        assert self._process.stdin is not None
        self._lifeline: IO[bytes] = self._process.stdin
        self.tell(told)

    def tell(self, what: bytes) -> None:
        """More, down the lifeline; waits when the child does not listen. A dead one hears nothing."""
        with suppress(OSError, ValueError):  # it has ended, or was let go
            self._lifeline.write(what)
            self._lifeline.flush()

    def listens(self) -> bool:
        """Whether a line of up to `select.PIPE_BUF` bytes can be told at once, without waiting."""
        return not self._lifeline.closed and bool(select.select([], [self._lifeline], [], 0)[1])

    def exit_code(self) -> int | None:
        """None while it runs; minus the number of the signal that killed it."""
        return self._process.poll()

    def kill(self) -> None:
        """At once; it is dead when `exit_code` says so."""
        self._process.kill()

    def release(self) -> None:
        """Let go of the lifeline: it may end."""
        with suppress(OSError):
            self._lifeline.close()

    def end(self, limit_s: float) -> int:
        """Ask it to end, wait for that, and kill it if it takes too long; its exit code."""
        self.release()
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def cause(code: int, complaints: IO[bytes]) -> str:
    """What a child died of, by its exit code: a signal, or the last thing it said."""
    if code < 0:
        names = {known.value: known.name for known in signal.Signals}  # not of all that there are
        return f"signal {names.get(-code, -code)}"
    complaints.seek(0)
    said = complaints.read().decode(errors="replace").strip()
    return said.splitlines()[-1][:300] if said else f"exit code {code}"


def deaf_to_signals() -> None:
    """In a child: signals may be sent to everybody, but who started it decides when it ends."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def end_with(lifeline: int) -> None:
    """In a child, in a thread of its own: end here and now when the lifeline does, whatever else is under way."""
    while os.read(lifeline, 1):
        pass
    os._exit(0)
