"""Judges for a watcher's process: they can be pickled, and importing them costs little."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamsep.monitor.look_back import Judgement, LookBack, Moment


def count(look_backs: Mapping[str, LookBack], moment: Moment) -> Judgement:
    """Every domain's number of points; what is heard may stay, or what is locked may come."""
    scores = {domain: float(len(back.magnitudes)) for domain, back in look_backs.items()}
    return Judgement(scores, moment.locked or moment.active)


@dataclass(frozen=True)
class Ill:
    """Does what a file says, as long as there is one."""

    order: Path

    def __call__(self, look_backs: Mapping[str, LookBack], moment: Moment) -> Judgement:
        order = self.order.read_text() if self.order.exists() else ""
        if order == "hangs":
            time.sleep(1000)
        if order == "fails":
            raise ValueError("nothing is right")
        return Judgement()
