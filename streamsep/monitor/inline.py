"""The watcher without a process: for files, judged at set times of their own clock. The same file always gives the
same decisions, to the bit."""

from collections.abc import Mapping

import numpy as np

from streamsep.models.loader import Batch
from streamsep.monitor.evaluation import Evaluation, evaluation
from streamsep.monitor.look_back import Judge, Watch
from streamsep.monitor.shared import Board, BoardWriter, Layout
from streamsep.monitor.watcher import Watcher
from streamsep.realtime.recent import Recent, RecentReader, recent_size


class InlineMonitor:
    """What an engine needs of a monitor (see `realtime.hand_over.Monitor`), in the engine's own thread: call `look`
    between two blocks."""

    def __init__(
        self,
        graphs: Mapping[str, Batch],
        layout: Layout,
        judge: Judge,
        every_s: float,
        look_back_s: float,
        loudest: float,
    ) -> None:
        """graphs: look-back graphs by domain, in the bank's order; the rest as in `guardian.Guardian`. Raises
        ConfigError or ModelError as `look_back.Watch` does."""
        watch = Watch(graphs, look_back_s, loudest)
        front = watch.front_end
        hops = round((every_s + look_back_s) * front.sample_rate / front.hop) + 1
        sound = np.zeros(recent_size(front.hop, hops), np.uint8)
        verdicts = np.zeros(layout.size, np.uint8)
        self.recent = Recent(sound, front.hop, hops)
        self.board = Board(verdicts, layout)
        self.board.tell(-1)
        self._domains = tuple(graphs)
        self._hop_s = front.hop / front.sample_rate
        self._watch = watch
        self._watcher = Watcher(watch, judge, RecentReader(sound, front.hop, hops), BoardWriter(verdicts, layout))

    def look(self) -> Evaluation | None:
        """Judge what the engine has heard; the engine will act on it in its next hop. None without new sound."""
        judgement = self._watcher.tick()
        if judgement is None:
            return None
        return evaluation(judgement, self._domains, self._watch.hop * self._hop_s)

    def close(self) -> None:
        """There is nothing to end."""
