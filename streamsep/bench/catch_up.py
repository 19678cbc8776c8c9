"""The deadline case: the model that is heard, and twice the one that comes in and catches up, in one hop."""

import time
from collections.abc import Sequence

import numpy as np

from streamsep.arrays import Block, State
from streamsep.audio.live import collector_frozen
from streamsep.bench.timing import Nanoseconds
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import Engine
from streamsep.realtime.hand_over import OLDEST
from streamsep.realtime.recent import Recent, recent_size


class Restless:
    """A monitor, and its own board, that always wants the other one of two domains, with a state as old as may be."""

    def __init__(self, separators: dict[str, Separator], hop: int) -> None:
        self.recent = Recent(np.zeros(recent_size(hop, 8), np.uint8), hop, 8)
        self._states = [separator.state() for separator in list(separators.values())[:2]]
        self._heard = -1

    @property
    def board(self) -> "Restless":
        """See `hand_over.Verdicts`, here and below."""
        return self

    def poll(self) -> bool:
        """As soon as a state can be so old."""
        return self.recent.hops > OLDEST

    @property
    def hop(self) -> int:
        """Of the newest sound."""
        return self.recent.hops

    @property
    def decision(self) -> int:
        """The other one."""
        return 1 - max(self._heard, 0)

    @property
    def warm(self) -> int:
        """With a state."""
        return self.decision

    @property
    def warm_hop(self) -> int:
        """As old as may be."""
        return self.recent.hops - 1 - OLDEST

    def state(self) -> State:
        """Any: it takes as long to run."""
        return self._states[self.decision]

    def tell(self, active: int, locked: int) -> None:
        """What is heard from now on: so the other one is wanted."""
        self._heard = active

    def close(self) -> None:
        """There is nothing to end."""


def time_catch_up(engine: Engine, blocks: Sequence[Block], warm_up: int) -> Nanoseconds | None:
    """(hops,), only such in which three graphs ran; None without any. engine: with a Restless monitor."""
    with collector_frozen():
        hand_over, clock, took = engine._hand_over, time.perf_counter_ns, []
        for index, block in enumerate(blocks):
            began = clock()
            engine.process(block)
            ended = clock()
            if hand_over.incoming is not None and hand_over._behind > 0 and index >= warm_up:
                took.append(ended - began)
    return np.array(took) if took else None
