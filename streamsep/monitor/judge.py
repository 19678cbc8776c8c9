"""From look backs to a decision: measure, estimate, decide. What the watcher asks, live and for files alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from streamsep.models.manifest import Calibrations
from streamsep.monitor.activity import FRAME_S, ActivityOptions, is_active, levels_dbfs
from streamsep.monitor.belief import Belief, BeliefOptions, believe
from streamsep.monitor.calibration import (
    PAPERS,
    by_name,
    estimates,
    names_needed,
    promised_db,
    recognised,
    recognises,
)
from streamsep.monitor.confidence import ALL, Measures
from streamsep.monitor.look_back import Judgement, LookBack, Moment
from streamsep.monitor.placed import measure_look_back
from streamsep.monitor.policy import Decision, PolicyOptions, PolicyState, decide


@dataclass(frozen=True)
class JudgeOptions:
    """configs/default.yaml explains each."""

    look_back_s: float = 1.5
    points: int = 1000  # that are measured at most
    hardness: float = 1.0  # of the posteriors
    activity: ActivityOptions = field(default_factory=ActivityOptions)
    belief: BeliefOptions = field(default_factory=BeliefOptions)
    policy: PolicyOptions = field(default_factory=PolicyOptions)


class ConfidenceJudge:
    """A `look_back.Judge`: the domain whose model should do best, by its confidence. What it remembers is the state
    of the policy and, where the bank recognises its domains, how likely it believes each to be."""

    def __init__(
        self, sources: Mapping[str, int], calibrations: Mapping[str, Calibrations], rate: int, options: JudgeOptions
    ) -> None:
        """sources: of each model by domain, in the bank's order. calibrations: of each. rate: of the sound, Hz."""
        self._sources, self._calibrations = dict(sources), dict(calibrations)
        self._rate, self._options = rate, options
        self._measured = tuple(name for name in ALL if name in {*PAPERS, *names_needed(calibrations)})
        self._frames = round(options.look_back_s / FRAME_S)
        self._policy, self._recognises = options.policy, recognises(calibrations)
        if self._recognises:
            self._policy = replace(options.policy, smoothing_s=0.0)  # the belief is smooth
        self._state: PolicyState | None = None
        self._belief: Belief | None = None
        self._at_s = 0.0

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
        named = by_name(measures)
        seen = recognised(self._calibrations, named)
        scores = estimates(self._calibrations, named, seen)
        state, decision = self.weigh(scores, seen, moment.time_s, moment.active, moment.locked)
        raw = {domain: found.by_name["confidence"] for domain, found in measures.items() if found is not None}
        return Judgement(
            scores={domain: score for domain, score in scores.items() if score is not None},
            decision=decision.active,
            raw=raw,
            smoothed=state.smoothed,
            reason=decision.reason,
        )

    def weigh(
        self,
        scores: Mapping[str, float | None],
        seen: Mapping[str, float] | None,
        time_s: float,
        active: str | None = None,
        locked: str | None = None,
    ) -> tuple[PolicyState, Decision]:
        """What to make of one more look: its estimates in dB by domain, and how likely every domain is by it, where
        the bank recognises them. active: what is heard, at the first look. locked: what the listener insists on."""
        if self._recognises:
            self._belief = believe(self._belief, seen, time_s - self._at_s, self._options.belief)
            self._at_s = time_s
            if seen is not None and self._belief is not None:
                scores = promised_db(self._calibrations, self._belief)
        state = self._state or PolicyState(active)
        self._state, decision = decide(state, scores, time_s, self._policy, locked)
        return self._state, decision
