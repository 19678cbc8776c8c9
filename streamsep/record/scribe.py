"""The scribe: a process that writes down what happens live. It takes the sound from the tape, what the engine did
from the journal, and what else there is from its lifeline; it never keeps anybody waiting.

When nothing more can be written it says so on the tape and ends; what has been written stays as it is.
"""

import contextlib
import errno
import json
import os
import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamsep.audio.growing import GrowingWav
from streamsep.child import deaf_to_signals
from streamsep.priority import come_last
from streamsep.realtime.journal import JournalReader
from streamsep.realtime.tape import TapeReader
from streamsep.record.folder import DECISIONS, EVENTS, INPUT, OUTPUT, SESSION, STATES, event_of
from streamsep.sharing import open_block

LOOK_S = 0.1  # between two looks at the tape
FLUSH_S = 1.0  # what the headers of the sound files may be behind
SILENCE = 1 << 14  # samples of it at a time
SPARE = 512  # bytes, at least, for what session.json says at the end
ENDED = "ended"


@dataclass(frozen=True)
class ScribePlan:
    """All that a scribe needs to know. It is pickled."""

    folder: Path
    facts: Mapping[str, Any]  # as session.json has them so far
    samples: int  # room on the tape
    floats: int  # of the largest state
    tape: int  # open files
    journal: int


class Lines:
    """A file of lines that are whole, whatever happens. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self.size = 0

    def append(self, whole: bytes) -> None:
        """One or more lines, or anything else that may not be cut."""
        try:
            left = whole
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            os.ftruncate(self._file.fileno(), self.size)
            raise
        self.size += len(whole)


class Scribe:
    """What the process does, look by look. Every method may raise OSError."""

    def __init__(self, plan: ScribePlan) -> None:
        facts, folder = plan.facts, plan.folder
        self._plan, self._slots = plan, facts["slots"]
        self.tape = TapeReader(open_block(plan.tape), facts["channels"], plan.samples)
        self._journal = JournalReader(open_block(plan.journal), plan.floats)
        self._silence = np.zeros((SILENCE, facts["channels"]), np.float32)
        self._input, self._output = (
            GrowingWav(folder / name, facts["rate"], facts["channels"]) for name in (INPUT, OUTPUT)
        )
        self._events, self._states = Lines(folder / EVENTS), Lines(folder / STATES)
        self._decisions: Lines | None = None
        self._samples = 0  # written so far, silence included

    def look(self) -> None:
        """Write what there is."""
        sound = self.tape.stretches()  # up to here, before the journal is looked at: so nothing is heard of before
        for entry in self._journal.entries():  # the entries that belong to it are there
            at = self._states.size // 4
            if entry.state is not None:
                self._states.append(entry.state.astype("<f4").tobytes())
            self._note(event_of(entry, self._slots, at))
        for stretch in sound:
            if stretch.lost:
                self._lose(stretch.lost)
            else:
                self._input.write(stretch.input)
                self._output.write(stretch.output)
                self._samples += len(stretch.input)

    def tell(self, line: bytes) -> None:
        """A line from the engine's side: its first byte says to which file it belongs."""
        if line[:1] == b"d":
            if self._decisions is None:
                self._decisions = Lines(self._plan.folder / DECISIONS)
            self._decisions.append(line[1:] + b"\n")
        else:
            self._events.append(line[1:] + b"\n")

    def flush(self) -> None:
        """From now on, what there is can be read."""
        self._input.flush()
        self._output.flush()

    def finish(self) -> None:
        """Everything that is left, when nobody writes any more."""
        for _ in range(2):
            self.look()
        if lost := self.tape.lost_since:
            self._lose(lost)

    def close(self, ended: str) -> None:
        """Leave whole files behind; ended: why it is over."""
        facts = self._plan.facts
        done = {
            "seconds": self._samples / facts["rate"],
            "dropped": self.tape.lost + self.tape.lost_since,
            "lost_events": self._journal.lost,
            "ended": ended,
        }
        for wav in (self._input, self._output):
            with contextlib.suppress(OSError):
                wav.close()
        with contextlib.suppress(OSError):  # then it stays as it was at the beginning
            complete_facts(self._plan.folder / SESSION, {**facts, **done})

    def _lose(self, count: int) -> None:
        """Silence for what was lost."""
        self._note({"sample": self._samples, "event": "dropped", "samples": count})
        self._samples += count
        while count:
            silence = self._silence[:count]
            self._input.write(silence)
            self._output.write(silence)
            count -= len(silence)

    def _note(self, event: Mapping[str, Any]) -> None:
        self._events.append((json.dumps(event) + "\n").encode())


def write_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """A new session.json, with room for what the end of it will add: even where the disk is full then. Raises
    OSError; then there is none."""
    text = json.dumps(facts, indent=2)
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(text.ljust(-(-(len(text) + SPARE) // SPARE) * SPARE) + "\n")
    except FileExistsError:
        raise
    except OSError:
        path.unlink(missing_ok=True)
        raise


def complete_facts(path: Path, facts: Mapping[str, Any]) -> None:
    """The same, in the room that it has. Raises OSError."""
    text = json.dumps(facts, indent=2)
    with path.open("r+", encoding="ascii") as file:
        file.write(text.ljust(path.stat().st_size - 1) + "\n")


def serve(plan: ScribePlan, lifeline: int) -> None:
    """The life of the process."""
    deaf_to_signals()
    come_last()
    scribe = Scribe(plan)
    try:
        listen(scribe, lifeline)
        scribe.finish()
    except OSError as error:
        scribe.close(error.strerror or str(error))
        scribe.tape.give_up(error.errno or errno.EIO)
    else:
        scribe.close(ENDED)


def listen(scribe: Scribe, lifeline: int) -> None:
    """Until the lifeline ends."""
    rest = b""
    look_s = flush_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        if select.select([lifeline], [], [], max(0.0, look_s - now_s))[0]:
            said = os.read(lifeline, 1 << 16)
            if not said:
                return
            *lines, rest = (rest + said).split(b"\n")
            for line in lines:
                scribe.tell(line)
        if (now_s := time.monotonic()) >= look_s:
            look_s = now_s + LOOK_S
            scribe.look()
        if now_s >= flush_s:
            flush_s = now_s + FLUSH_S
            scribe.flush()
