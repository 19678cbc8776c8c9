"""Who comes first where several want a processor: the sound. None of it needs a privilege."""

import ctypes
import os
import platform
import struct
import sys

TURN_NS = 100_000  # the shortest that Linux knows
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}  # the system call's number, by machine
ATTRIBUTES = struct.Struct("=IIQiIQQQII")  # size, policy, flags, nice, priority, runtime, deadline, period, clamps


def come_first() -> bool:
    """Ask for short turns on the processor, for the calling thread and for all that it starts from now on.

    Who asks for short ones may interrupt those who have long ones, and need not wait for the 3 ms that a turn lasts
    otherwise: more than the whole time that a callback has. It costs nobody any share of the processor. Real-time
    priority, where JACK is given it, does more; this is for everybody else. Whether the system took it: Linux does,
    and heeds it from 6.12 on; elsewhere the sound's own threads come first anyhow."""
    number = SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    asked = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, niceness, 0, TURN_NS, 0, 0, 0, 0)
    failed: int = ctypes.CDLL(None).syscall(number, 0, asked, 0)
    return not failed
