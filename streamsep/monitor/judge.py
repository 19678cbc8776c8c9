"""From look backs to a decision: measure, estimate, decide. What the watcher asks, live and for files alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from streamsep.models.manifest import Calibrations
from streamsep.monitor.activity import FRAME_S, ActivityOptions, is_active, levels_dbfs
from streamsep.monitor.calibration import estimates, names_needed
from streamsep.monitor.confidence import ALL, Measures
from streamsep.monitor.look_back import Judgement, LookBack, Moment
from streamsep.monitor.placed import measure_look_back
from streamsep.monitor.policy import PolicyOptions, PolicyState, decide

PAPERS = ("silhouette", "posterior_strength")  # of which confidence is the product: always measured and reported


@dataclass(frozen=True)
class JudgeOptions:
    """configs/default.yaml explains each."""

    look_back_s: float = 1.5
    points: int = 1000  # that are measured at most
    hardness: float = 1.0  # of the posteriors
    activity: ActivityOptions = field(default_factory=ActivityOptions)
    policy: PolicyOptions = field(default_factory=PolicyOptions)


class ConfidenceJudge:
    """A `look_back.Judge`: the domain whose model should do best, by its confidence. What it remembers is the state
    of the policy."""

    def __init__(
        self, sources: Mapping[str, int], calibrations: Mapping[str, Calibrations], rate: int, options: JudgeOptions
    ) -> None:
        """sources: of each model by domain, in the bank's order. calibrations: of each. rate: of the sound, Hz."""
        self._sources, self._calibrations = dict(sources), dict(calibrations)
        self._rate, self._options = rate, options
        self._measured = tuple(name for name in ALL if name in {*PAPERS, *names_needed(calibrations)})
        self._frames = round(options.look_back_s / FRAME_S)
        self._state: PolicyState | None = None

    def measures(self, look_backs: Mapping[str, LookBack], moment: Moment) -> dict[str, Measures | None]:
        """Of every domain; None where there is nothing to judge: the look back is silent, or too quiet."""
        levels = levels_dbfs(moment.sound, self._rate)
        unheard = np.full(max(0, self._frames - len(levels)), -np.inf)
        if not is_active(np.concatenate([unheard, levels]), self._options.activity):
            return dict.fromkeys(self._sources)
        points, hardness, chosen = self._options.points, self._options.hardness, self._measured
        return {
            domain: measure_look_back(back, self._sources[domain], points, hardness, chosen)
            for domain, back in look_backs.items()
        }

    def __call__(self, look_backs: Mapping[str, LookBack], moment: Moment) -> Judgement:
        """By domain, in the bank's order."""
        measures = self.measures(look_backs, moment)
        scores = estimates(self._calibrations, measures)
        state = self._state or PolicyState(moment.active)
        self._state, decision = decide(state, scores, moment.time_s, self._options.policy, moment.locked)
        raw = {domain: found.by_name["confidence"] for domain, found in measures.items() if found is not None}
        return Judgement(
            scores={domain: score for domain, score in scores.items() if score is not None},
            decision=decision.active,
            raw=raw,
            smoothed=self._state.smoothed,
            reason=decision.reason,
        )
