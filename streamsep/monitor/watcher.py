"""The watcher: a process that hears what the engine hears, judges it again and again, and says what should be heard.

It is started by its guardian, in an interpreter of its own (never by a fork, and without running the user's script a
second time), below the sound in priority. It takes the sound from the recent window and leaves its verdicts on the
board; nobody waits for it. It ends when its guardian's process does, however that came about.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from streamsep.child import deaf_to_signals, end_with
from streamsep.models.loader import Batch
from streamsep.monitor.evaluation import evaluation
from streamsep.monitor.look_back import Judge, Judgement, Moment, Watch
from streamsep.monitor.shared import BoardWriter, Layout
from streamsep.priority import come_last
from streamsep.realtime.recent import RecentReader
from streamsep.realtime.stft import FrontEnd
from streamsep.sharing import open_block

PIECE = 125  # hops between two signs of life
CATCH_UPS = 8  # each takes a small part of the time the one before took; two or three are enough


@dataclass(frozen=True)
class Plan:
    """All that a watcher needs to know. It is pickled, and so is the judge in it."""

    graphs: Mapping[str, Path]  # look-back graphs by domain, in the bank's order
    judge: Judge
    every_s: float
    look_back_s: float
    loudest: float
    layout: Layout
    front_end: FrontEnd
    hops: int  # of the recent window
    recent: int  # open files
    board: int
    guardian: int  # process number
    answering: bool  # whether to say what every look has seen


class Watcher:
    """What the process does, tick by tick."""

    def __init__(self, watch: Watch, judge: Judge, recent: RecentReader, board: BoardWriter) -> None:
        self._watch, self._judge, self._recent, self._board = watch, judge, recent, board
        self._hop_s = watch.front_end.hop / watch.front_end.sample_rate
        self._listening = False

    def tick(self) -> Judgement | None:
        """Hear what is new, judge it and publish the verdict; None without new sound.

        When another domain is wanted than is heard, its state goes with the verdict: it has heard every hop there is
        by then, so that only the way to the engine makes it older."""
        watch, board = self._watch, self._board
        if not self._listen():
            return None
        hop, active = watch.hop, board.active
        moment = Moment(hop, hop * self._hop_s, watch.sound(), active, board.locked)
        judgement = self._judge(watch.look_backs(), moment)
        wanted = judgement.decision
        if wanted is None or wanted == active:
            board.publish(hop, judgement.scores, wanted)
            return judgement
        for _ in range(CATCH_UPS):
            if not self._listen(only=wanted):
                break
        board.publish(hop, judgement.scores, wanted, (wanted, watch.hop, watch.state(wanted)))
        return judgement

    def _listen(self, only: str | None = None) -> int:
        """Hear every new hop; how many there were. At the start and after a gap only the newest of them, enough for a
        look back: whoever is too slow must not have the most to do."""
        watch, board = self._watch, self._board
        board.beat()
        news = self._recent.since(watch.hop)
        samples = news.samples
        if news.first != watch.hop or not self._listening:
            samples = samples[-watch.frames :]
            watch.restart(news.first + len(news.samples) - len(samples))
        if self._listening and news.lost:
            board.lose(news.lost)
        self._listening = True
        for at in range(0, len(samples), PIECE):
            watch.hear(samples[at : at + PIECE], only)
            board.beat()
        return len(samples)


def serve(plan: Plan, lifeline: int) -> None:
    """The life of the process."""
    deaf_to_signals()
    threading.Thread(target=end_with, args=(lifeline,), daemon=True).start()
    come_last()
    board = BoardWriter(open_block(plan.board), plan.layout)
    recent = RecentReader(open_block(plan.recent), plan.front_end.hop, plan.hops)
    watch = Watch({domain: Batch(path) for domain, path in plan.graphs.items()}, plan.look_back_s, plan.loudest)
    watcher = Watcher(watch, plan.judge, recent, board)
    due_s = time.monotonic()
    while os.getppid() == plan.guardian:
        judgement = watcher.tick()
        if judgement is not None and plan.answering:
            seen = evaluation(judgement, plan.graphs, watch.hop * plan.front_end.hop / plan.front_end.sample_rate)
            os.write(1, (json.dumps(asdict(seen)) + "\n").encode())
        now_s = time.monotonic()
        due_s = max(due_s + plan.every_s * board.pace, now_s)  # what was missed is not made up for
        time.sleep(due_s - now_s)
