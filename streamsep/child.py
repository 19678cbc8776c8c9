"""A process of our own that helps the one with the sound: an interpreter of its own, never a fork.

It is told what to do through a pipe, its *lifeline*: when nobody holds the other end any more, whoever started it is
gone or wants it to end. It does not run the user's script a second time, as `multiprocessing` would.
"""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, TypeVar

from streamsep.errors import ConfigError

Plan = TypeVar("Plan")
Work = Callable[[Plan, int], object]  # what to do, with the lifeline's number among the open files

LENGTH_BYTES = 8
# The first steps: an interpreter that finds what this one finds, and the rest by name.
BEGIN = f"""
import os, pickle, sys
lifeline = int(sys.argv[1])
def read(size):
    parts = b""
    while len(parts) < size:
        parts += os.read(lifeline, size - len(parts)) or sys.exit()
    return parts
sys.path[:], task = pickle.loads(read(int.from_bytes(read({LENGTH_BYTES}), "big")))
work, plan = pickle.loads(task)
work(plan, lifeline)
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def message(work: Work[Plan], plan: Plan) -> bytes:
    """What a child is told: work(plan, lifeline). Raises ConfigError when it cannot be pickled."""
    try:
        told = pickle.dumps((sys.path, pickle.dumps((work, plan))))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(f"expected something that can be pickled: {error}") from None
    return len(told).to_bytes(LENGTH_BYTES, "big") + told


class Child:
    """A running process. Raises OSError when none can be started."""

    def __init__(self, told: bytes, files: Sequence[int], complaints: IO[bytes], at_terminal: bool = False) -> None:
        """told: see `message`. files: that it may have open. complaints: where it writes errors. at_terminal: it may
        read and draw there; otherwise it is away from it, and Ctrl-C is not for it."""
        end, self._lifeline = os.pipe()
        terminal = None if at_terminal else subprocess.DEVNULL
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", BEGIN, str(end)],
                stdin=terminal,
                stdout=terminal,
                stderr=complaints,
                env=os.environ | ONE_THREAD,
                pass_fds=[*files, end],
                process_group=None if at_terminal else 0,
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(end)
        self.pid = self._process.pid
        self._open = True
        self.tell(told)

    def tell(self, what: bytes) -> None:
        """More, down the lifeline; waits when the child does not listen. A dead one hears nothing."""
        left = memoryview(what)
        with suppress(OSError):
            while left:
                left = left[os.write(self._lifeline, left) :]

    def exit_code(self) -> int | None:
        """None while it runs; minus the number of the signal that killed it."""
        return self._process.poll()

    def kill(self) -> None:
        """At once; it is dead when `exit_code` says so."""
        self._process.kill()

    def release(self) -> None:
        """Let go of the lifeline: it may end."""
        if self._open:
            self._open = False
            os.close(self._lifeline)

    def end(self, limit_s: float) -> int:
        """Ask it to end, wait for that, and kill it if it takes too long; its exit code."""
        self.release()
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def deaf_to_signals() -> None:
    """In a child: signals may be sent to everybody, but who started it decides when it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def end_with(lifeline: int) -> None:
    """In a child, in a thread of its own: end here and now when the lifeline does, whatever else is under way."""
    while os.read(lifeline, 1):
        pass
    os._exit(0)
