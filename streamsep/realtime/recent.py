"""The recent window: the newest seconds of sound, written by the audio side, read by another process.

The hand-over for *a look back*: whoever is late loses the oldest hops and is told, and nobody ever waits. Both sides
are given the same memory; where it comes from is not known here (see `monitor.shared`).

How a hop is never read torn: it lies in a row of its own together with its number and a checksum of both, and a
reader verifies the copy that it made, never the memory it made it from. So nothing is asked of the order in which the
stores of one processor reach another, and Python could promise none: it has no fences. On x86 (stores arrive in
order) a row is complete whenever the counter says so; on ARM the counter may run ahead of its row for some
nanoseconds, and then the reader sees a checksum that does not fit and takes that hop the next time. What is relied
upon: an aligned number of eight bytes is stored and loaded in one piece, as NumPy does on every 64-bit machine; and
that a torn row fits its checksum by chance once in 2^64 times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array
from streamsep.realtime.contract import audio_thread

HEADER = 8  # words: hops written, the first that may be read; the rest keeps the rows off their cache line

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Snapshot:
    """Hops in a row, copied."""

    first: int  # the number of the first one; the one asked for, unless that is gone
    samples: NDArray[np.float32]  # (hops, hop)
    lost: int  # hops that were asked for and had been overwritten


def weights(words: int) -> Words:
    """(words,) for a checksum `words @ weights` modulo 2^64. Odd, so that no change of a single word goes unseen; the
    same in every process that runs the same NumPy."""
    return np.random.default_rng(words).integers(0, 2**64, words, np.uint64) | np.uint64(1)


def recent_size(hop: int, hops: int) -> int:
    """Bytes of memory for a window of this many hops."""
    return 8 * (HEADER + (hops + 1) * _row_words(hop))  # and one hop that is being overwritten


def _row_words(hop: int) -> int:
    """Checksum, number, and the samples of a hop."""
    return 2 + (hop + 1) // 2


def _parts(memory: Array, hop: int, hops: int) -> tuple[Words, Words]:
    """Bytes -> header (8,) and rows (slots, words) in it."""
    words: Words = memory[: recent_size(hop, hops)].view(np.uint64)
    return words[:HEADER], words[HEADER:].reshape(hops + 1, -1)


class Recent:
    """The writer's side. Audio side: `write` and `reset`. Whatever the reader does, and even if the memory's name is
    removed, they go on: the memory stays as long as somebody has it."""

    def __init__(self, memory: Array, hop: int, hops: int) -> None:
        """memory: `recent_size(hop, hops)` bytes, written over; nobody may be reading yet."""
        self.hops = 0  # written so far: the number of the next one
        self._header, self._rows = _parts(memory, hop, hops)
        self._header.fill(0)
        self._rows.fill(0)  # a number of 0 belongs to no hop; and every page is there before the sound is
        self._weights = weights(self._rows.shape[1] - 1)
        row = self._row = np.zeros(self._rows.shape[1], np.uint64)
        self._check, self._number, self._sealed = row[:1].reshape(()), row[1:2], row[1:]
        self._samples = row[2:].view(np.float32)[:hop]

    @audio_thread
    def write(self, samples: Array) -> None:
        """Append a hop, (hop,) of any float type."""
        at = self.hops % len(self._rows)
        self.hops += 1
        self._samples[:] = samples
        self._number[0] = self.hops
        np.matmul(self._sealed, self._weights, out=self._check)
        self._rows[at] = self._row
        self._header[0] = self.hops

    @audio_thread
    def reset(self) -> None:
        """No reader may look back beyond this moment. The hops are counted on, and one number is left out: so even a
        reader that had heard everything finds a gap. Before the first hop there is nothing to forget."""
        if self.hops > 0:
            self.hops += 1
            self._header[1] = self.hops
            self._header[0] = self.hops


class RecentReader:
    """A reader's side: one of any number, in any process. It writes nothing, so the memory may be read-only."""

    def __init__(self, memory: Array, hop: int, hops: int) -> None:
        """The arguments that the writer was given."""
        self._hop = hop
        self._header, self._rows = _parts(memory, hop, hops)
        self._weights = weights(self._rows.shape[1] - 1)

    @property
    def hops(self) -> int:
        """Hops written so far."""
        return int(self._header[0])

    def since(self, hop: int) -> Snapshot:
        """Every hop there is from this number on, without a gap."""
        slots = len(self._rows)
        count, start = self.hops, max(hop, int(self._header[1]))
        first = max(start, count - slots + 1)
        numbers = np.arange(first + 1, count + 1, dtype=np.uint64)
        rows = self._rows[np.arange(first, count) % slots]  # a copy, and only the copy is believed
        gone = min(max(0, self.hops - slots + 1 - first), len(rows))  # overwritten meanwhile, or being so
        rows, numbers, first = rows[gone:], numbers[gone:], first + gone
        whole = (rows[:, 1] == numbers) & (rows[:, 1:] @ self._weights == rows[:, 0])
        arrived = len(rows) if whole.all() else int(whole.argmin())
        samples = rows[:arrived, 2:].view(np.float32)[:, : self._hop]
        return Snapshot(first, samples, first - start)
