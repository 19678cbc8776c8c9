"""What a callback counts: how long it took, and the gaps in the sound by cause. Written there, read anywhere."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from streamsep.realtime.contract import audio_thread

SHORTEST_S, LONGEST_S = 1e-6, 10.0
STEP = math.log(1.01)  # a place in the histogram is 1 % wide
PLACES = math.ceil(math.log(LONGEST_S / SHORTEST_S) / STEP) + 1
SHARES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}


class Times:
    """A histogram of durations, to within 1 %, from 1 us to 10 s, however many there are."""

    def __init__(self) -> None:
        self.counts = np.zeros(PLACES, np.int64)
        self.longest_s = 0.0

    @audio_thread
    def add(self, seconds: float) -> None:
        """One more; what is shorter or longer than the ends counts there."""
        place = math.log(max(seconds, SHORTEST_S) / SHORTEST_S) / STEP
        self.counts[min(int(place), PLACES - 1)] += 1
        if seconds > self.longest_s:
            self.longest_s = seconds

    def quantile_s(self, share: float) -> float:
        """The duration that this share of all does not exceed, in seconds; nan when there are none."""
        total = int(self.counts.sum())
        if total == 0:
            return math.nan
        place = int(np.searchsorted(np.cumsum(self.counts), share * total))
        return min(SHORTEST_S * math.exp(STEP * (place + 1)), self.longest_s)

    def told(self) -> dict[str, Any]:
        """For another process, as JSON: see `heard`."""
        places = np.flatnonzero(self.counts)
        return {"places": places.tolist(), "counts": self.counts[places].tolist(), "longest_s": self.longest_s}

    def heard(self, told: dict[str, Any]) -> Self:
        """Add what another has told."""
        self.counts[told["places"]] += np.array(told["counts"], np.int64)
        self.longest_s = max(self.longest_s, told["longest_s"])
        return self

    def summary(self, period_s: float | None) -> dict[str, float | None]:
        """period_s: of a callback's sound, and what they took, in ms; null before the first one."""
        if period_s is None:
            return dict.fromkeys(("period_ms", *SHARES, "max_ms"))
        taken = {name: self.quantile_s(share) for name, share in SHARES.items()}
        all_s = {"period_ms": period_s, **taken, "max_ms": self.longest_s}
        return {name: round(1000 * value, 4) for name, value in all_s.items()}


@dataclass(slots=True)
class Xruns:
    """Gaps in the sound, by their cause.

    deadline: our callback computed for longer than its sound lasts · interpreter: it was kept from running, by a lock
    of Python's or by other programs that had the processor · device: neither, so it was the device or its driver."""

    deadline: int = 0
    interpreter: int = 0
    device: int = 0

    @property
    def total(self) -> int:
        """Whatever the cause."""
        return self.deadline + self.interpreter + self.device

    def told(self) -> dict[str, int]:
        """By cause."""
        return asdict(self)
