"""Memory of tensors that come and go with every training step."""

import ctypes
import sys

MMAP_MAX, TOP_PAD, TRIM_THRESHOLD = -4, -2, -1  # of glibc's mallopt
GROWTH = 1 << 28  # bytes; the heap grows by so many at a time


def keep_memory() -> None:
    """Have this process keep the memory it frees, for its next tensors.

    glibc gives large pieces back to the system at once, and the system clears the pages of each new one: on a
    virtual machine a quarter of a training step goes there. Does nothing where the C library is another.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for what, value in ((MMAP_MAX, 0), (TRIM_THRESHOLD, 2**31 - 1), (TOP_PAD, GROWTH)):
            mallopt(what, value)
