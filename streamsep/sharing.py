"""Memory that processes share.

A block of memory has no name, so nobody can leave it behind: it is a file of the memory file system (elsewhere than
on Linux: of the temporary folder) that is in no folder, handed to another process as an open file when that one is
started, and gone with the last process that has it, however that one ended. `multiprocessing.shared_memory` has
names: they outlive a process that is killed, and before Python 3.13 another process keeps track of them and removes
what is still in use.
"""

import mmap
import os
import tempfile
import weakref
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import StreamsepError

MEMORY = Path("/dev/shm")
FOLDER = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())


class Block:
    """A new piece of memory, all zero, to share with processes that are started with `file` among their open files.

    The bytes stay as long as the array `memory`; `close` gives back the file, and nobody new can have them."""

    def __init__(self, size: int) -> None:
        """Raises StreamsepError when there is no room for it."""
        try:
            with tempfile.TemporaryFile(dir=FOLDER, buffering=0) as file:
                # written, not just made longer: where there is no room for it this says so, a store later would kill
                rest = memoryview(bytes(size))
                while rest:  # where room ends a write is cut short, and only the next one fails
                    rest = rest[file.write(rest) :]
                self.file = os.dup(file.fileno())
        except OSError as error:
            raise StreamsepError(f"{FOLDER}: {size} bytes of shared memory: {error.strerror}") from None
        self.close = weakref.finalize(self, os.close, self.file)
        self.memory = open_block(self.file)


def open_block(file: int) -> NDArray[np.uint8]:
    """The bytes of a block, by its number among the open files."""
    return np.frombuffer(mmap.mmap(file, 0), np.uint8)
