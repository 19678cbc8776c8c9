"""Who comes first where several want a processor: the sound; and who comes last: what helps it. None of it needs a
privilege.

Nice values say how much of a processor somebody gets, not when; that is what the length of a turn says. Who wakes up
interrupts whoever had asked for longer turns than his own, and otherwise waits until the other's turn is over, which
is noticed at the next tick of the system's clock: up to 4 ms later, more than the whole time that a callback has."""

import ctypes
import os
import platform
import struct
import sys

SHORT_NS, LONG_NS = 100_000, 100_000_000  # the shortest and the longest turn that Linux knows
NICENESS = 10  # of who comes last
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # the system call's number, by machine
ATTRIBUTES = struct.Struct("=IIQiIQQQII")  # size, policy, flags, nice, priority, runtime, deadline, period, clamps


def come_first() -> bool:
    """For the calling thread and for all that it starts from now on: it interrupts whoever else is at work. It costs
    nobody any share of the processor. Real-time priority, where JACK is given it, does more; this is for everybody
    else. Whether the system took it: Linux does, and heeds it from 6.12 on; elsewhere the sound's own threads come
    first anyhow. Who was given real-time priority keeps it."""
    return not _has_priority() and _take_turns(SHORT_NS)


def give_way() -> bool:
    """For the same: everybody who wakes up interrupts it, a sound server among them, which knows nothing of turns.
    Whether the system took it, as above."""
    return not _has_priority() and _take_turns(LONG_NS)


def come_last() -> bool:
    """Give way, whatever priority was inherited, and be nice too, which cannot be taken back."""
    if hasattr(os, "nice"):  # Windows has none
        os.nice(NICENESS)
    return _take_turns(LONG_NS)


def _has_priority() -> bool:
    """Whether somebody gave the calling thread real-time priority, as `chrt` does."""
    return sys.platform == "linux" and os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK in (
        os.SCHED_FIFO,
        os.SCHED_RR,
    )


def _take_turns(turn_ns: int) -> bool:
    number = SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    asked = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, turn_ns, 0, 0, 0, 0)
    failed: int = ctypes.CDLL(None).syscall(number, 0, asked, 0)
    return not failed
