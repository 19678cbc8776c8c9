"""The guardian: starts the watcher, looks after it, and starts it again. Control side, in the engine's process.

A watcher may die, hang or lag; none of it reaches the sound. The guardian sees it, counts it, tells the user, and
tries again, later and later, for ever.
"""

import atexit
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from streamsep.child import Child, cause, message
from streamsep.errors import ConfigError
from streamsep.models.manifest import Manifest
from streamsep.monitor.evaluation import Evaluation
from streamsep.monitor.look_back import Judge
from streamsep.monitor.shared import Board, Layout
from streamsep.monitor.watcher import Plan, serve
from streamsep.realtime.recent import Recent, recent_size
from streamsep.sharing import Block

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
SETTLED_S = 60.0  # a watcher that lived so long makes its guardian forget how often the ones before it died
HANG_S = 10.0  # beside what lies between two looks
START_LIMIT_S = 60.0  # to open every model, on a slow and busy machine
STOP_LIMIT_S = 2.0
POLL_S = 0.1


def wait_s(failures: int) -> float:
    """How long to wait after so many deaths in a row, in seconds.

    >>> [wait_s(failures) for failures in (1, 2, 3, 6, 7, 1000)]
    [0.5, 1.0, 2.0, 16.0, 30.0, 30.0]
    """
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 60))


@dataclass
class Health:
    """What became of the watchers so far."""

    starts: int = 0
    deaths: int = 0  # it ended by itself, or was killed by somebody else
    hangs: int = 0  # it gave no sign of life and was killed
    lags: int = 0  # times it was too slow and missed some sound
    status: str = "the monitor has not been started"  # as things are, for a person


class Guardian:
    """A watcher, always. It owns the shared memory: the engine writes `recent` and reads `board`.

    Use it as a context manager, or call `start` and `close`: a sleeping thread then looks after the watcher. Whoever
    has a thread of their own may call `check` now and then instead of `start`."""

    def __init__(
        self,
        manifests: Mapping[str, Manifest],
        graphs: Mapping[str, Path],
        judge: Judge,
        every_s: float = 0.25,
        look_back_s: float = 2.0,
        loudest: float = 0.01,
        window_s: float = 6.0,
        hang_s: float = HANG_S,
        tell: Callable[[str], object] = lambda status: None,
        look: Callable[[Evaluation], object] | None = None,
    ) -> None:
        """manifests: of the engine's models by domain, in the bank's order. graphs: their look-back graphs. every_s:
        between verdicts. loudest: the share of bins that is judged. window_s: of sound that a late watcher can still
        hear. hang_s: without a sign of life, of which there is none between two looks, until it is given up. tell:
        called with a sentence for the user whenever something changes, in the thread that checks.

        Raises ConfigError for settings that cannot be, StreamsepError when there is no shared memory."""
        if graphs.keys() != manifests.keys():
            raise ConfigError(f"look-back graphs: expected those of {sorted(manifests)}, got {sorted(graphs)}")
        if not every_s > 0:
            raise ConfigError(f"every_s must be above 0, got {every_s}")
        if not 0 < look_back_s <= window_s:
            raise ConfigError(f"look_back_s must be above 0 and at most window_s, got {look_back_s=}, {window_s=}")
        front = next(iter(manifests.values())).front_end
        layout = Layout({domain: manifest.states for domain, manifest in manifests.items()})
        hops = round(window_s * front.sample_rate / front.hop)
        self._blocks = Block(recent_size(front.hop, hops)), Block(layout.size)
        self.recent = Recent(self._blocks[0].memory, front.hop, hops)
        self.board = Board(self._blocks[1].memory, layout)
        self.board.tell(-1)
        self.health = Health()
        plan = Plan(
            graphs={domain: graphs[domain].resolve() for domain in manifests},
            judge=judge,
            every_s=every_s,
            look_back_s=look_back_s,
            loudest=loudest,
            layout=layout,
            front_end=front,
            hops=hops,
            recent=self._blocks[0].file,
            board=self._blocks[1].file,
            guardian=os.getpid(),
            answering=look is not None,
        )
        try:
            self._message = message(serve, plan)
        except ConfigError as error:
            raise ConfigError(f"judge: {error}") from None
        self._tell, self._look = tell, look
        self._hang_s, self._hop_s = hang_s, front.hop / front.sample_rate
        self._watcher: Child | None = None
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # of every watcher, until `close`
        self._failures = 0  # in a row
        self._next_s = self._started_s = self._alive_s = 0.0
        self._beats = self._lost = 0
        self._answered = self._hung = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_after, daemon=True)
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """The watcher's process number; None while there is none."""
        return None if self._watcher is None else self._watcher.pid

    def start(self) -> None:
        """Start the watcher, and a thread that looks after it."""
        self._thread.start()

    def close(self) -> None:
        """End the watcher and give back the shared memory; the engine may go on writing, nobody will read it."""
        self.let_go()
        if self._thread.ident is not None:
            self._thread.join()
        self._end()

    def let_go(self) -> None:
        """The same where nobody may be kept waiting, as in the garbage collector: its thread does it soon."""
        self._closing.set()

    def _end(self) -> None:
        atexit.unregister(self.close)
        if self._watcher is not None:
            self._watcher.end(STOP_LIMIT_S)
            self._watcher = None
        for block in self._blocks:
            block.close()
        self._complaints.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _look_after(self) -> None:
        while not self._closing.is_set():
            self.check(time.monotonic())
            self._closing.wait(POLL_S)
        self._end()

    def check(self, now_s: float) -> None:
        """See how the watcher is and do what is to be done. Waits for nothing; now_s: a clock that only goes on."""
        if self._watcher is None:
            if now_s >= self._next_s:
                self._launch(now_s)
            return
        code = self._watcher.exit_code()
        if code is not None:
            self._bury(self._watcher, code, now_s)
            return
        if self.board.beats != self._beats:
            self._beats, self._alive_s = self.board.beats, now_s
            if not self._answered:
                self._answered = True
                self._say("the monitor is running")
        elif now_s - self._alive_s > (self._hang_s if self._answered else START_LIMIT_S):
            self._hung = True
            self._watcher.kill()  # it is buried when the system says that it is dead
        if self.board.lost != self._lost:
            missed_s = (self.board.lost - self._lost) * self._hop_s
            self._lost = self.board.lost
            self.health.lags += 1
            self._tell(f"the monitor is too slow and missed {missed_s:.1f} s of sound")

    def _launch(self, now_s: float) -> None:
        """Start a watcher."""
        self._started_s = self._alive_s = now_s
        self._answered = self._hung = False
        self._beats = self.board.beats
        self._complaints.seek(0)
        self._complaints.truncate()
        self.health.starts += 1
        try:
            files = [block.file for block in self._blocks]
            self._watcher = Child(self._message, self._complaints, files, answering=self._look is not None)
            if self._look is not None:
                threading.Thread(target=self._read, args=(self._watcher.answers, self._look), daemon=True).start()
        except OSError as error:
            self.health.deaths += 1
            self._wait(f"the monitor could not be started: {error.strerror}", now_s)

    @staticmethod
    def _read(answers: IO[bytes], look: Callable[[Evaluation], object]) -> None:
        """Pass on what a watcher says, until it ends."""
        with answers:
            for line in answers:
                look(Evaluation(**json.loads(line)))

    def _bury(self, watcher: Child, code: int, now_s: float) -> None:
        """A watcher has ended, with this exit code: say why, and when there will be another."""
        if self._hung:
            self.health.hangs += 1
            why = f"the monitor gave no sign of life for {now_s - self._alive_s:.0f} s and was ended"
        else:
            self.health.deaths += 1
            why = f"the monitor died: {cause(code, self._complaints)}"
        watcher.release()
        self._watcher = None
        if self._answered and now_s - self._started_s >= SETTLED_S:
            self._failures = 0
        self._wait(why, now_s)

    def _wait(self, why: str, now_s: float) -> None:
        """Try again later."""
        self._failures += 1
        pause_s = wait_s(self._failures)
        self._next_s = now_s + pause_s
        again = f"; it is started again in {pause_s:g} s"
        if pause_s == LONGEST_WAIT_S:
            again = f", {self._failures} times in a row; it is tried again every {pause_s:g} s, the domain stays"
        self._say(why + again)

    def _say(self, status: str) -> None:
        self.health.status = status
        self._tell(status)
