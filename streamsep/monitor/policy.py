"""When to switch. Pure: what is known goes in, the clock is an argument, and what to remember comes out.

A domain is switched to when its score, smoothed, is the best and above a floor, and has been better by a margin than
that of the domain that is heard, for a while, and the last switch is long enough ago. When no model has been above
the floor for a while, the dry sound takes over, until one is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from streamsep.errors import ConfigError

LONGEST_STEP_S = 1.0  # what came before a longer pause between two looks says no more than this about it
SLACK_S = 1e-6  # times are sums of hops, and may fall short of a round number by their rounding

Score = float | None  # dB; None, or not finite: no decision


@dataclass(frozen=True)
class PolicyOptions:
    """How quick and how nervous. Times in seconds, scores in dB. Raises ConfigError for a value out of range.

    The defaults were chosen on validation scenes (`export.tune_policy`), looking twice a second, in a bank that
    recognises its domains: belief (`belief.py`) takes the place of smoothing and dwell there."""

    smoothing_s: float = 0.5  # time constant of the smoothing, 0 (none) to 30
    margin_db: float = 0.5  # by how much another domain must be better, 0 to 20
    hysteresis_db: float = 0.3  # 0 to margin_db: what it may lose of the margin without starting anew
    dwell_s: float = 0.0  # for how long it must be better, 0 to 30
    apart_s: float = 0.8  # between two switches at least, 0 to 60
    floor_db: float | None = 1.0  # no model is confident below, -20 to 20; None: the dry sound is never switched to
    fall_back_s: float = 8.0  # for how long none must be confident, 0 to 60

    def __post_init__(self) -> None:
        ranges = {
            "smoothing_s": (0, 30),
            "margin_db": (0, 20),
            "hysteresis_db": (0, self.margin_db),
            "dwell_s": (0, 30),
            "apart_s": (0, 60),
            "floor_db": (-20, 20),
            "fall_back_s": (0, 60),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not (name == "floor_db" and value is None) and not least <= value <= most:
                raise ConfigError(f"{name} must be between {least} and {most}, got {value}")


class Reason(StrEnum):
    """Why the decision is as it is."""

    NO_DECISION = "no-decision"  # no model has a score: everything stays as it is
    LOCKED = "locked"  # the listener insists
    BEST = "best"  # no other domain is better
    MARGIN = "margin"  # another is better, but not by enough
    DWELL = "dwell"  # another is better, or none is confident, but not for long enough
    APART = "apart"  # the last switch is not long enough ago
    SWITCH = "switch"  # another has been better for long enough
    FALL_BACK = "fall-back"  # none has been confident for long enough
    NO_CONFIDENCE = "no-confidence"  # none is confident, and the dry sound is heard already


@dataclass(frozen=True)
class Decision:
    """What should be heard from now on."""

    active: str | None  # domain; None: the dry sound
    switched: bool  # whether it is another one than before
    reason: Reason


@dataclass(frozen=True)
class PolicyState:
    """What the policy remembers. To begin: `PolicyState(domain)`."""

    active: str | None  # what is heard; None: the dry sound
    smoothed: Mapping[str, float] = field(default_factory=dict)  # dB, by domain
    better_s: Mapping[str | None, float] = field(default_factory=dict)  # those that are better, and since when
    since_switch_s: float = math.inf
    at_s: float | None = None  # time of the last look


def decide(
    state: PolicyState,
    scores: Mapping[str, Score],
    now_s: float,
    options: PolicyOptions,
    locked: str | None = None,
) -> tuple[PolicyState, Decision]:
    """One look: what to remember, and what should be heard.

    scores: by domain, each an estimate of the same thing in dB (calibrated); where one is missing, None or not
    finite, that model has nothing to say this time and keeps what it has. now_s: seconds, on any clock; when it jumps
    back, no time has passed. locked: a domain the listener insists on: it is heard at once, and for as long as this
    is said.
    """
    step_s = 0.0 if state.at_s is None else min(max(now_s - state.at_s, 0.0), LONGEST_STEP_S)
    state = replace(state, at_s=now_s, since_switch_s=state.since_switch_s + step_s)
    heard = {domain: score for domain, score in scores.items() if score is not None and math.isfinite(score)}
    state = replace(state, smoothed=_smooth(state, heard, step_s, options))
    if locked is not None:
        switched = locked != state.active
        state = choose(state, locked) if switched else replace(state, better_s={})
        return state, Decision(locked, switched, Reason.LOCKED)
    if not heard:
        return state, Decision(state.active, False, Reason.NO_DECISION)
    state = replace(state, better_s=_better(state, heard, step_s, options))
    reason, other = _weigh(state, heard, options)
    if reason not in {Reason.SWITCH, Reason.FALL_BACK}:
        return state, Decision(state.active, False, reason)
    return choose(state, other), Decision(other, True, reason)


def choose(state: PolicyState, domain: str | None) -> PolicyState:
    """Go over to this domain, or to the dry sound (None), now: a person's choice. From here on the policy goes on: it
    waits for the time that must lie between two switches, and may then leave again. Lock what should stay."""
    return replace(state, active=domain, better_s={}, since_switch_s=0.0)


def _smooth(
    state: PolicyState, heard: Mapping[str, float], step_s: float, options: PolicyOptions
) -> dict[str, float]:
    """Every score on its way: exponentially, with the time constant. One that is new begins level with what is heard:
    the first look alone says little."""
    weight = 1 - math.exp(-step_s / options.smoothing_s) if options.smoothing_s else 1.0
    level = _level(state, options)
    if level is None and state.active is not None:
        level = heard.get(state.active)
    smoothed = dict(state.smoothed)
    for domain, score in heard.items():
        before = smoothed.get(domain, score if level is None else level)
        smoothed[domain] = before + weight * (score - before)
    return smoothed


def _better(
    state: PolicyState, heard: Mapping[str, float], step_s: float, options: PolicyOptions
) -> dict[str | None, float]:
    """Who is better than what is heard, and for how long: only time in which there was something to hear counts."""
    level, floor_db = _level(state, options), options.floor_db
    if level is None:
        if state.active is not None:
            return {}
        level = -math.inf  # the dry sound without a floor: whoever it is, he is better
    better: dict[str | None, float] = {}
    for domain, score in state.smoothed.items():
        before = state.better_s.get(domain)
        needed = options.hysteresis_db if state.active is None else options.margin_db
        if before is not None:
            needed -= options.hysteresis_db
        if domain != state.active and score - level > needed and (floor_db is None or score >= floor_db):
            better[domain] = 0.0 if before is None else before + step_s * (domain in heard)
    if state.active is not None and floor_db is not None and max(state.smoothed.values()) < floor_db:
        before = state.better_s.get(None)
        better[None] = 0.0 if before is None else before + step_s
    return better


def _level(state: PolicyState, options: PolicyOptions) -> float | None:
    """What another has to be better than, in dB: the score of what is heard, the floor for the dry sound."""
    return options.floor_db if state.active is None else state.smoothed.get(state.active)


def _weigh(state: PolicyState, heard: Mapping[str, float], options: PolicyOptions) -> tuple[Reason, str | None]:
    """What to do, and whom it is about: the best of those that are better. A lesser one does not go before it, though
    it may have been better for longer: two switches would follow where one is enough."""
    if not state.better_s:
        if state.active is None:
            return Reason.NO_CONFIDENCE, None
        level = _level(state, options)
        best = level is None or max(state.smoothed.values()) <= level
        return Reason.BEST if best else Reason.MARGIN, state.active
    if None in state.better_s:  # then it is alone: nobody is above the floor
        other, needed_s = None, options.fall_back_s
    else:
        present = [domain for domain in heard if domain in state.better_s]
        if not present:
            return Reason.DWELL, state.active
        other, needed_s = max(present, key=state.smoothed.__getitem__), options.dwell_s
    if state.better_s[other] < needed_s - SLACK_S:
        return Reason.DWELL, other
    if state.since_switch_s < options.apart_s - SLACK_S:
        return Reason.APART, other
    return Reason.FALL_BACK if other is None else Reason.SWITCH, other
