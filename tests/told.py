"""A monitor that says what a test wants it to say."""

from collections.abc import Mapping

import numpy as np

from streamsep.arrays import State
from streamsep.monitor.shared import Board, BoardWriter, Layout
from streamsep.realtime.contract import Separator
from streamsep.realtime.recent import Recent, RecentReader, recent_size

HOP = 64


class Told:
    """What an engine needs of a monitor (`hand_over.Monitor`), for these separators by domain."""

    def __init__(self, separators: Mapping[str, Separator], hops: int = 2000) -> None:
        shapes = {
            domain: {name: array.shape for name, array in separator.state().items()}
            for domain, separator in separators.items()
        }
        layout = Layout(shapes)
        sound, verdicts = np.zeros(recent_size(HOP, hops), np.uint8), np.zeros(layout.size, np.uint8)
        self.recent, self.board = Recent(sound, HOP, hops), Board(verdicts, layout)
        self.board.tell(-1)
        self.said = BoardWriter(verdicts, layout)
        self.heard = RecentReader(sound, HOP, hops)
        self.closed = False

    def say(self, decision: str | None, warm: tuple[str, int, State] | None = None) -> None:
        """What is best now; warm: a domain, the hops its state has heard, and the state."""
        self.said.publish(self.recent.hops, {}, decision, warm)

    def close(self) -> None:
        self.closed = True
