"""Arrays that lie in a file instead of in memory, which holds few hours of sound."""

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import StreamsepError

PIECE = bytes(1 << 20)


def zeros(shape: Sequence[int], folder: str | Path | None) -> NDArray[np.float32]:
    """Zeros of this shape: in memory, or in a nameless file in `folder`, which is gone with the array, however the
    process ends.

    Raises StreamsepError, which names the folder, when there is no room for it, or no such folder."""
    if folder is None:
        return np.zeros(shape, np.float32)
    size = 4 * math.prod(shape)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            # All of it at once: where a disk is full only when the array is written to, the process is killed.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                for at in range(0, size, len(PIECE)):
                    file.write(PIECE[: size - at])
                file.flush()
            return np.asarray(np.memmap(file, np.float32, "r+", shape=tuple(shape)))
    except OSError as error:
        raise StreamsepError(
            f"{folder}: cannot hold {size / 1e6:.1f} MB while separating: {error.strerror or error}"
        ) from None
