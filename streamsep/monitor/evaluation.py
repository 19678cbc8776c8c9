"""One look of the monitor, for people and programs: what decisions.jsonl has a line of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamsep.monitor.look_back import Judgement


@dataclass(frozen=True)
class Evaluation:
    """One look of the monitor, as a line of decisions.jsonl has it."""

    time_s: float  # of sound that was heard
    raw: Mapping[str, float | None]  # confidence by domain, [-1, 1]; None: no decision
    score: Mapping[str, float | None]  # estimated SI-SDR improvement by domain, dB
    smoothed: Mapping[str, float | None]  # the same, as the policy sees it
    active: str | None  # the domain to be heard from now on; None: the dry sound
    reason: str  # see `policy.Reason`


def evaluation(judgement: Judgement, domains: Iterable[str], time_s: float) -> Evaluation:
    """What came of a look, at this time of the sound; domains: all there are."""

    def all_of(values: Mapping[str, float]) -> dict[str, float | None]:
        return {domain: values.get(domain) for domain in domains}

    raw, score, smoothed = map(all_of, (judgement.raw, judgement.scores, judgement.smoothed))
    return Evaluation(time_s, raw, score, smoothed, judgement.decision, judgement.reason)
