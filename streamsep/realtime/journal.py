"""The journal: all that the sound does not tell, and at which sample it began to be heard.

Whoever has what came in and the journal can hear the same again, to the bit: what the listener turned and when, to
which domain the engine went over and in which state it came, where it started anew. Written by the audio side, read
by another process; nobody waits, and what has no room is counted. Both sides are given the same memory; nothing is
read torn, for the reasons that `realtime.tape` gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array, State
from streamsep.realtime.contract import audio_thread

GAIN, BYPASS, HAND_OVER, RELIEF, RESET, RISE, FALL, FAULT = range(8)  # what an entry is about
NO_STATE = -1  # in place of a state's size
ENTRIES, STATES = 1024, 8  # there is room for; a hand-over takes 100 ms at least, so the states last a second
HEADER, ENTRY = 16, 6  # words
WRITTEN, LOST, STORED = 0, 1, 2  # the writer's: entries written and lost, states stored
READ, TAKEN = 8, 9  # the reader's: entries read, states taken

Words = NDArray[np.int64]
State32 = NDArray[np.float32]


def journal_size(floats: int) -> int:
    """Bytes of memory for a journal; floats: of the largest state."""
    return 8 * (HEADER + ENTRIES * ENTRY) + 4 * STATES * floats


def _parts(memory: Array, floats: int) -> tuple[Words, Words, State32]:
    """Bytes -> words of both sides, entries (ENTRIES, ENTRY) and states (STATES, floats)."""
    words: Words = memory[: 8 * (HEADER + ENTRIES * ENTRY)].view(np.int64)
    states = memory[words.nbytes : journal_size(floats)].view(np.float32).reshape(STATES, floats)
    return words[:HEADER], words[HEADER:].reshape(ENTRIES, ENTRY), states


class Journal:
    """The writer's side. `sample`: how many samples the engine had taken in when the hop at hand began; counted on,
    whatever is reset."""

    def __init__(self) -> None:
        """Nothing is written before it is opened."""
        self.sample = 0
        self._open = False

    def open(self, memory: Array, floats: int) -> None:
        """Control side, before the first sample. memory: `journal_size(floats)` bytes, written over."""
        self._words, self._entries, self._states = _parts(memory, floats)
        for part in (self._words, self._entries, self._states):
            part.fill(0)
        self._values = self._entries.view(np.float64)
        self._open = True

    @audio_thread
    def note(self, kind: int, index: int = 0, slot: int = 0, value: float = 0.0, at: int = -1) -> None:
        """From sample `at` on, or from this hop on, this is so. GAIN: `value` dB for a slot of domain `index`.
        BYPASS: `index` is whether it is on. RELIEF: the level of it. RESET: the engine starts anew. RISE, FALL: the
        sound is faded in, or out. FAULT: the engine made nothing of the next `index` samples."""
        if self._open:
            self._write(at if at >= 0 else self.sample, kind, index, slot, NO_STATE, value)

    @audio_thread
    def hand_over(self, index: int, behind: int, state: State | None, names: Sequence[str]) -> None:
        """From this hop on the engine goes over to domain `index` (-1: to the dry sound), which comes with this state
        that is `behind` hops old, or listens along first. names: of the state's arrays, in the order to keep."""
        if not self._open:
            return
        size, stored = NO_STATE, int(self._words[STORED])
        if state is not None:
            if stored - int(self._words[TAKEN]) == STATES:
                self._words[LOST] += 1
                return
            size, place = 0, self._states[stored % STATES]
            for name in names:
                array = state[name]
                place[size : size + array.size] = array.reshape(-1)
                size += array.size
        if self._write(self.sample, HAND_OVER, index, behind, size, 0.0) and size != NO_STATE:
            self._words[STORED] = stored + 1

    @audio_thread
    def _write(self, sample: int, kind: int, index: int, slot: int, size: int, value: float) -> bool:
        written = int(self._words[WRITTEN])
        if written - int(self._words[READ]) == ENTRIES:
            self._words[LOST] += 1
            return False
        entry = self._entries[written % ENTRIES]
        entry[0], entry[1], entry[2], entry[3], entry[4] = sample, kind, index, slot, size
        self._values[written % ENTRIES, 5] = value
        self._words[WRITTEN] = written + 1
        return True


@dataclass(frozen=True)
class Entry:
    """See `Journal`, whose words these are; `slot` of a hand-over is by how many hops its state is behind."""

    sample: int
    kind: int
    index: int
    slot: int = 0
    value: float = 0.0
    state: State32 | None = None  # all arrays of it, one after the other


class JournalReader:
    """The reader's side, in any process."""

    def __init__(self, memory: Array, floats: int) -> None:
        """The arguments that the writer was given."""
        self._words, self._entries, self._states = _parts(memory, floats)
        self._values = self._entries.view(np.float64)
        self._read = self._seen = self._taken = 0

    def entries(self) -> list[Entry]:
        """All that were there a look before, in order. To have everything after the last one, look twice."""
        until, self._seen = self._seen, int(self._words[WRITTEN])
        found = []
        for number in range(self._read, until):
            sample, kind, index, slot, size, _ = self._entries[number % ENTRIES].tolist()
            state = None
            if size != NO_STATE:
                state = self._states[self._taken % STATES, :size].copy()
                self._taken += 1
            found.append(Entry(sample, kind, index, slot, float(self._values[number % ENTRIES, 5]), state))
        self._read = until
        self._words[READ], self._words[TAKEN] = self._read, self._taken
        return found

    @property
    def lost(self) -> int:
        """Entries that found no room."""
        return int(self._words[LOST])
