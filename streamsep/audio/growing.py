"""A float WAV that grows while others may already read it: what a recording of unknown length is written to."""

import os
import struct
from pathlib import Path

import numpy as np

from streamsep.arrays import Block

FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT
LARGEST = 2**32 - 1  # what the 32 bits of a WAV can count
SIZE = 4 + 4 + 4 + (8 + 28) + (8 + 18) + (8 + 4) + 8  # bytes of a header


def header(rate: int, channels: int, frames: int) -> bytes:
    """Of a WAV of 32-bit floats; above 4 GB, of an RF64, which has its 64-bit lengths where there was room before:
    EBU Tech 3306. Always of the same length. A frame is a sample of every channel."""
    frame = 4 * channels
    data = frame * frames
    whole = SIZE - 8 + data
    large = whole > LARGEST
    sizes = struct.pack("<QQQI", whole, data, frames, 0) if large else bytes(28)
    return b"".join(
        (
            struct.pack("<4sI4s", b"RF64" if large else b"RIFF", LARGEST if large else whole, b"WAVE"),
            struct.pack("<4sI", b"ds64" if large else b"JUNK", 28) + sizes,
            struct.pack("<4sIHHIIHHH", b"fmt ", 18, FLOAT, channels, rate, frame * rate, frame, 32, 0),
            struct.pack("<4sII", b"fact", 4, LARGEST if large else frames),
            struct.pack("<4sI", b"data", LARGEST if large else data),
        )
    )


class GrowingWav:
    """A new file. `frames` is what its header says: whatever becomes of us, so many can be read.

    Every method may raise OSError: no room, no such folder. What had been written stays, and `close` still makes the
    header right."""

    def __init__(self, path: Path, rate: int, channels: int) -> None:
        """Raises FileExistsError when there is one of that name."""
        self._rate, self._channels = rate, channels
        self._size = 0  # bytes of sound
        self.frames = 0
        self._file = path.open("xb", buffering=0)
        self.flush()

    def write(self, samples: Block) -> None:
        """Append (samples, channels), float32; what has no room any more is left out."""
        left = memoryview(np.asarray(samples, "<f4").tobytes())
        while left:
            count = self._file.write(left)
            self._size += count
            left = left[count:]

    def flush(self) -> None:
        """Say in the header how much there is."""
        self.frames = self._size // (4 * self._channels)
        self._file.seek(0)
        self._file.write(header(self._rate, self._channels, self.frames))
        self._file.seek(SIZE + self._size)

    def close(self) -> None:
        """Leave a whole file behind."""
        with self._file:
            self.flush()
            os.ftruncate(self._file.fileno(), SIZE + 4 * self._channels * self.frames)
