"""The tape: everything that came in and went out, written by the audio side, taken away by another process.

The hand-over for *every sample*, between processes: in order, each once, and nobody waits. When the reader is too
slow there is no room; what comes then is lost, but not where it was: the reader learns at which sample a gap begins
and how long it is, so that what it keeps stays in time. Both sides are given the same memory.

How nothing is read torn: samples are stored before the count that covers them, and the reader only believes the count
that it saw a look before. So even where the stores of one processor reach another in a different order (ARM), they
had as long as there is between two looks. What is relied upon: an aligned number of eight bytes is stored and loaded
in one piece, as NumPy does on every 64-bit machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array, Block
from streamsep.realtime.contract import audio_thread

MARKS = 8  # gaps that the reader may not know of yet
HEADER = 16 + 2 * MARKS  # words; those of writer and reader on cache lines of their own
WRITTEN, LOST, GAPS = 0, 1, 2  # the writer's words: samples on the tape and lost so far, gaps closed
READ, MARKS_READ, FAULT = 8, 9, 10  # the reader's: samples taken away, gaps, and the error that made it give up

Words = NDArray[np.int64]
Sound = NDArray[np.float32]


def tape_size(channels: int, samples: int) -> int:
    """Bytes of memory for a tape with room for so many samples."""
    return 8 * HEADER + 2 * 4 * channels * samples


def _parts(memory: Array, channels: int, samples: int) -> tuple[Words, Words, Sound, Sound]:
    """Bytes -> words of both sides, marks (MARKS, 2), and what came in and went out, (samples, channels) each."""
    words: Words = memory[: 8 * HEADER].view(np.int64)
    sound = memory[8 * HEADER : tape_size(channels, samples)].view(np.float32).reshape(2, samples, channels)
    return words[:16], words[16:].reshape(MARKS, 2), sound[0], sound[1]


class Tape:
    """The writer's side. Audio side: `write`. Any thread: everything else."""

    def __init__(self, memory: Array, channels: int, samples: int) -> None:
        """memory: `tape_size(channels, samples)` bytes, written over; nobody may be reading yet."""
        self._words, self._marks, self._input, self._output = _parts(memory, channels, samples)
        for part in (self._words, self._marks, self._input, self._output):
            part.fill(0)  # and so every page is there before the sound is
        self._room = samples
        self._written = 0
        self._gap = 0  # samples lost since the last one that was stored

    @audio_thread
    def write(self, block: Block, out: Block) -> None:
        """Append what came in and what went out, (samples, channels) each; where there is no room, count it as lost.

        After a loss nothing is stored before half of the tape is free, and a mark: so gaps are few and far apart."""
        count, waiting = len(block), self._written - int(self._words[READ])
        if waiting + count > self._room or (self._gap and not self._mark(waiting)):
            self._gap += count
            self._words[LOST] += count
            return
        at = self._written % self._room
        first = min(count, self._room - at)
        self._input[at : at + first] = block[:first]
        self._output[at : at + first] = out[:first]
        if first < count:
            self._input[: count - first] = block[first:]
            self._output[: count - first] = out[first:]
        self._written += count
        self._words[WRITTEN] = self._written

    @audio_thread
    def _mark(self, waiting: int) -> bool:
        """The gap ends here: say so to the reader, if it is time to go on."""
        gaps = int(self._words[GAPS])
        if 2 * waiting > self._room or gaps - int(self._words[MARKS_READ]) == MARKS:
            return False
        mark = self._marks[gaps % MARKS]
        mark[0], mark[1] = self._written, self._gap
        self._words[GAPS] = gaps + 1
        self._gap = 0
        return True

    @property
    def lost(self) -> int:
        """Samples that found no room."""
        return int(self._words[LOST])

    @property
    def kept(self) -> int:
        """Samples that the reader has taken away."""
        return int(self._words[READ])

    @property
    def waiting(self) -> int:
        """Samples that it has not."""
        return int(self._words[WRITTEN]) - self.kept

    @property
    def fault(self) -> int:
        """The number of the error that made the reader give up; 0: none."""
        return int(self._words[FAULT])


@dataclass(frozen=True)
class Stretch:
    """Some of a tape: sound, or a gap."""

    lost: int  # samples of the gap; 0: it is sound
    input: Sound  # (samples, channels), on the tape itself
    output: Sound  # the same


class TapeReader:
    """The reader's side, in any process."""

    def __init__(self, memory: Array, channels: int, samples: int) -> None:
        """The arguments that the writer was given."""
        self._words, self._marks, self._input, self._output = _parts(memory, channels, samples)
        self._room = samples
        self._read = self._gaps = 0  # samples and gaps that were read
        self._seen = 0, 0  # the writer's counts of them, a look before
        self.lost = 0  # samples of those gaps

    def stretches(self) -> Iterator[Stretch]:
        """All that was there a look before, in order; what is handed out is taken away when the next is asked for.
        To have everything after the last sample, look twice."""
        (until, gaps), self._seen = self._seen, (int(self._words[WRITTEN]), int(self._words[GAPS]))
        return self._stretches(until, gaps)

    def _stretches(self, until: int, gaps: int) -> Iterator[Stretch]:
        nothing = self._input[:0]
        while self._read < until:
            gap_at, lost = self._marks[self._gaps % MARKS].tolist() if self._gaps < gaps else (until, 0)
            if lost and gap_at == self._read:
                self._gaps += 1
                self.lost += lost
                yield Stretch(lost, nothing, nothing)
                self._words[MARKS_READ] = self._gaps
                continue
            at = self._read % self._room
            count = min(until, gap_at, self._read + self._room - at) - self._read
            yield Stretch(0, self._input[at : at + count], self._output[at : at + count])
            self._read += count
            self._words[READ] = self._read

    @property
    def lost_since(self) -> int:
        """Samples lost after the last one that was read; to ask when the writer has ended."""
        return int(self._words[LOST]) - self.lost

    def give_up(self, error: int) -> None:
        """Tell the writer's side why nothing more will be taken away: the number of an error of the system."""
        self._words[FAULT] = error
