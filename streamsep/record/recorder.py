"""The recorder, seen from the process with the sound: a tape, a journal, and a scribe that writes them down.

Control side. The callback writes to `tape`; nothing that becomes of the scribe reaches it. A scribe that has died is
not started again: what it wrote can be read, and the rest is counted as lost.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from streamsep.child import Child, cause, message
from streamsep.errors import AudioError, ConfigError, StreamsepError
from streamsep.realtime.engine import Engine
from streamsep.realtime.journal import journal_size
from streamsep.realtime.tape import Tape, tape_size
from streamsep.record.folder import FILES, SESSION
from streamsep.record.scribe import ScribePlan, serve, write_facts
from streamsep.sharing import Block

ROOM_S = 10.0  # of sound, for a scribe that is kept waiting by the disk
END_LIMIT_S = 5.0  # for the scribe to write down what is left; then it does so alone
POLL_S = 0.01
Tell = Callable[[str], object]


class Recorder:
    """A recording, from before the first sample to `close`; a context manager."""

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        facts: Mapping[str, Any],
        tell: Tell = lambda status: None,
        room_s: float = ROOM_S,
    ) -> None:
        """folder: a new one, or one without a recording in it. engine: whose first sample is still to come. facts:
        see `folder.facts`. tell: called with a sentence for the user whenever something becomes of the recording, by
        `check`. room_s: of sound, for a scribe that is late.

        Raises AudioError for a folder that cannot be, StreamsepError when there is no shared memory or no process."""
        if sys.platform == "win32":
            raise ConfigError("--record needs Linux or macOS")
        if engine.journal.sample:
            raise StreamsepError("a recording begins with an engine's first sample")
        samples, floats = round(room_s * engine.rate), engine.state_size
        self._blocks = Block(tape_size(engine.channels, samples)), Block(journal_size(floats))
        shared = [block.file for block in self._blocks]
        self.tape = Tape(self._blocks[0].memory, engine.channels, samples)
        engine.journal.open(self._blocks[1].memory, floats)
        self.status = "recording"
        self._tell, self._rate = tell, engine.rate
        self._lost = 0  # samples, when last looked at
        self._losing = self._over = False
        self._lock = threading.Lock()  # of who notes something, never of the audio side
        self._folder = make_folder(folder, facts)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # until `close`
        try:
            self._scribe = Child(
                message(serve, ScribePlan(self._folder, facts, samples, floats, *shared)), self._complaints, shared
            )
        except OSError as error:
            (self._folder / SESSION).unlink()
            raise StreamsepError(f"the recorder could not be started: {error.strerror}") from None

    def note(self, event: str, **what: Any) -> None:
        """Something happened about now: a line of events.jsonl. From any thread but the audio side's; waits for
        nothing, and what the scribe has no ear for is left out."""
        sample = self.tape.kept + self.tape.waiting + self.tape.lost
        self._say(b"e", {"sample": sample, "event": event, **what})

    def look(self, seen: Mapping[str, Any]) -> None:
        """What the monitor saw: a line of decisions.jsonl. Otherwise as `note`."""
        self._say(b"d", seen)

    def _say(self, where: bytes, what: Mapping[str, Any]) -> None:
        line = where + json.dumps(what, allow_nan=False).encode() + b"\n"
        with self._lock:
            if self._scribe.listens():
                self._scribe.tell(line)

    def check(self) -> None:
        """See how the recording goes. Waits for nothing; now and then is enough."""
        if self._over:
            return
        if self.tape.fault:
            self._end(f"{self._folder}: {os.strerror(self.tape.fault)}")
            return
        if (code := self._scribe.exit_code()) is not None:
            self._end(f"the recorder died: {cause(code, self._complaints)}")
            return
        lost, before = self.tape.lost, self._lost
        self._lost = lost
        if (lost > before) == self._losing:
            return
        self._losing = not self._losing
        if self._losing:
            self._tell(f"{self._folder}: too slow for the sound, some is not recorded")
        else:
            self._tell(f"{self._folder}: recorded again; {lost / self._rate:.1f} s are missing so far")

    def _end(self, why: str) -> None:
        self._over = True
        self.status = f"{why}: nothing is recorded after {self.tape.kept / self._rate:.1f} s; the sound goes on"
        self._tell(self.status)

    def report(self) -> dict[str, Any]:
        """What was recorded, ready for JSON; `dropped`: seconds of sound that were not."""
        tape = self.tape
        dropped = tape.lost + (tape.waiting if self._over else 0)
        return {
            "folder": str(self._folder),
            "seconds": round(tape.kept / self._rate, 3),
            "dropped_s": round(dropped / self._rate, 3),
            "status": self.status,
        }

    def close(self) -> None:
        """Let the scribe write down what is left, wait a little for that, and give back what was shared.

        A recording that no sample came to is none: where the sound could not begin, the folder is as it was found."""
        if self._complaints.closed:
            return
        self.check()
        with self._lock:
            self._scribe.release()
        until_s = time.monotonic() + END_LIMIT_S
        while (code := self._scribe.exit_code()) is None and time.monotonic() < until_s:
            time.sleep(POLL_S)
        if code or self.tape.fault:
            self.check()
        elif not self._over:
            self.status = "recorded" if code == 0 else "what is left is still being written"
            if code == 0 and not (self.tape.kept or self.tape.lost):
                self.status = "nothing was heard that could be recorded"
                for name in FILES:
                    (self._folder / name).unlink(missing_ok=True)
        self._over = True
        for block in self._blocks:
            block.close()
        self._complaints.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def make_folder(folder: Path, facts: Mapping[str, Any]) -> Path:
    """A folder for a recording, absolute, with session.json in it. Raises AudioError when there is one already."""
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if there := sorted(name for name in FILES if (folder / name).exists()):
            raise AudioError(f"{folder}: there is a recording ({there[0]}); nothing is written over")
        write_facts(folder / SESSION, facts)
    except OSError as error:
        raise AudioError(f"{folder}: cannot be recorded into: {error.strerror or error}") from None
    return folder
