"""The latency ledger: how late the output is, by its terms."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ledger:
    """Algorithmic latency from input to output of the engine; lengths in samples at the engine's rate.

    A term may be a fraction of a sample (a model's hop is 176.4 samples at 44.1 kHz); their sum is a whole number.
    What is not one number is no term: `filter_ms`, the group delay of a filter that changes with the sound, the mean
    and what 95 % of the sound do not exceed, as they were measured for filters of that length.
    """

    rate: int
    terms: dict[str, float]
    filter_ms: tuple[float, float] | None = None

    @property
    def samples(self) -> int:
        """The sum of the terms."""
        return round(sum(self.terms.values()))

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self.samples / self.rate

    @property
    def ms(self) -> float:
        """The same in milliseconds."""
        return 1000 * self.seconds

    def told(self) -> dict[str, Any]:
        """Ready for JSON: the sum and the terms, both in samples and in ms; what varies, if anything does, in ms."""
        terms_ms = {term: round(1000 * samples / self.rate, 4) for term, samples in self.terms.items()}
        said = {"samples": self.samples, "ms": round(self.ms, 4), "terms": dict(self.terms), "terms_ms": terms_ms}
        if self.filter_ms is not None:
            said["filter_ms"] = dict(zip(("mean", "p95"), self.filter_ms, strict=True))
        return said
