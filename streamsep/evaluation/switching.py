"""How well the right domain was chosen in a scene, how soon, how calmly, and what it was worth in dB. Pure functions.

A *change* is where one segment's right domains and the next one's have nothing in common; where they blend, it is in
the middle of the blend. A part of a segment is *settled* from SETTLED_S after the change before it; the beginning of
a scene counts as one, for nothing was heard before it. A *timeline* is when which domain became active.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import ModelError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.metrics import best_order, improvement_db, si_sdr_db
from streamsep.evaluation.scenes import Scene, Segment

SETTLED_S = 4.0  # hearing aids take up to so long to decide what they hear
STAYS_S = 1.0  # a decision that lasts less is none
SLACK_S = 1e-6  # times are sums of hops
RANGES = ("whole", "settled")

Timeline = Sequence[tuple[float, str | None]]  # seconds, domain from then on (None: the dry sound), in order of time
Slots = NDArray[np.floating]  # (slots, samples), aligned with the scene
Improvements = list[dict[str, float]]  # by segment, then by range: SI-SDRi in dB


@dataclass(frozen=True)
class Change:
    """A new domain is right from `at_s` on, until the segment's end."""

    at_s: float
    stop_s: float
    domains: frozenset[str]


@dataclass(frozen=True)
class Choices:
    """What a timeline did in a scene. Times in seconds."""

    right_s: float  # in a right domain, of
    judged_s: float  # the time in which there is one
    right_settled_s: float  # the same where it is settled
    judged_settled_s: float
    first_s: float  # from the beginning of the scene to the first right decision; nan: nobody knows what is right
    delays_s: tuple[float, ...]  # from every change to the right decision; inf: not before its segment's end
    false_switches: int  # to a wrong domain, in
    settled_s: float  # this time in which the domain is one and known
    unmixed_switches: int  # of any kind, in
    unmixed_s: float  # this settled time in which nobody knows what is right


# ------------------------------------------------------------------------------------------------------------ choices


def changes(scene: Scene) -> list[Change]:
    """Every change, in order; not the beginning of the scene."""
    found = []
    for before, after in pairwise(scene.segments):
        if before.domains and after.domains and not before.domains & after.domains:
            found.append(Change((before.stop + after.start) / 2 / RATE, after.stop / RATE, after.domains))
    return found


def settled(scene: Scene) -> list[tuple[int, int]]:
    """The settled part of every segment, samples [start, stop); start = stop: none of it is."""
    starts_s = [0.0, *(change.at_s for change in changes(scene))]
    parts = []
    for segment in scene.segments:
        last_s = max((at_s for at_s in starts_s if at_s * RATE <= segment.start), default=0.0)
        start = max(segment.start, round((last_s + SETTLED_S) * RATE))
        parts.append((min(start, segment.stop), segment.stop))
    return parts


def choices(scene: Scene, timeline: Timeline) -> Choices:
    """Hold a timeline against a scene. Before its first entry the dry sound was heard."""
    parts = settled(scene)
    right = [0.0, 0.0]
    judged = [0.0, 0.0]
    counted = {True: 0, False: 0}  # switches, where something is known to be right and where not
    time_s = {True: 0.0, False: 0.0}
    switches = [(at_s, domain) for (_, before), (at_s, domain) in pairwise(timeline) if domain != before]
    for segment, part in zip(scene.segments, parts, strict=True):
        known = bool(segment.domains)
        start_s, stop_s = part[0] / RATE, part[1] / RATE
        time_s[known] += stop_s - start_s
        counted[known] += sum(start_s <= at_s < stop_s and to not in segment.domains for at_s, to in switches)
        if known:
            for which, (start, stop) in enumerate(((segment.start, segment.stop), part)):
                judged[which] += (stop - start) / RATE
                spans = spans_in(timeline, segment.domains, start / RATE, stop / RATE)
                right[which] += sum(until_s - from_s for from_s, until_s in spans)
    first = scene.segments[0]
    first_s = decided_s(timeline, first.domains, 0.0, first.stop / RATE) if first.domains else math.nan
    delays = (decided_s(timeline, change.domains, change.at_s, change.stop_s) for change in changes(scene))
    return Choices(
        right[0],
        judged[0],
        right[1],
        judged[1],
        first_s,
        tuple(delays),
        counted[True],
        time_s[True],
        counted[False],
        time_s[False],
    )


def decided_s(timeline: Timeline, domains: frozenset[str], from_s: float, stop_s: float) -> float:
    """How long after from_s one of these domains is active, and then for STAYS_S or until stop_s; inf: never."""
    for start_s, end_s in spans_in(timeline, domains, from_s, stop_s):
        if end_s - start_s >= STAYS_S - SLACK_S or end_s >= stop_s:
            return start_s - from_s
    return math.inf


def spans_in(
    timeline: Timeline, domains: frozenset[str], start_s: float, stop_s: float
) -> Iterator[tuple[float, float]]:
    """When, within [start_s, stop_s), one of these domains was active: from, until; never touching each other."""
    ends_s = [at_s for at_s, _ in timeline[1:]] + [math.inf]
    open_s: float | None = None
    until_s = start_s
    for (at_s, domain), end_s in zip(timeline, ends_s, strict=False):
        from_s, to_s = max(at_s, start_s), min(end_s, stop_s)
        if from_s >= to_s:
            continue
        if domain in domains:
            open_s = from_s if open_s is None else open_s
            until_s = to_s
        elif open_s is not None:
            yield open_s, until_s
            open_s = None
    if open_s is not None:
        yield open_s, until_s


# ----------------------------------------------------------------------------------------------------------------- dB


def improvements_db(scene: Scene, slots: Slots) -> Improvements:
    """SI-SDRi of what a system made of the scene, for every segment: of all of it and of its settled part.

    Each the mean of the slots in their best order; a silent source is left out, and nan is where none is left (a
    talker alone, an unmixed recording). slots: (slots, samples), as many as sources. Raises ModelError for other
    shapes."""
    if slots.shape != scene.sources.shape:
        raise ModelError(f"{scene.name}: expected slots of shape {scene.sources.shape}, got {slots.shape}")
    mixture = scene.mixture
    found: Improvements = []
    for segment, part in zip(scene.segments, settled(scene), strict=True):
        pieces = {"whole": slice(segment.start, segment.stop), "settled": slice(*part)}
        found.append(
            {which: _mean_db(scene.sources[:, at], slots[:, at], mixture[at]) for which, at in pieces.items()}
        )
    return found


def can_improve(scene: Scene) -> bool:
    """Whether there is any segment with more than one source, and so something to separate."""
    return any(_sources_in(scene, segment) > 1 for segment in scene.segments)


def systems_db(fixed: Mapping[str, float], switched: float, right: frozenset[str]) -> dict[str, float]:
    """SI-SDRi in one segment of every way to choose: fixed: of each domain's model; right: domains.

    random: what a choice by lot gives on average; oracle: the right model (the best of them); best-per-segment: the
    model that turned out best."""
    names = {f"fixed.{domain}": value for domain, value in fixed.items()}
    values = list(fixed.values())
    oracle = max((fixed[domain] for domain in fixed if domain in right), default=math.nan)
    return names | {
        "random": float(np.mean(values)),
        "switched": switched,
        "oracle": oracle,
        "best-per-segment": max(values),
    }


def _mean_db(sources: NDArray[np.float32], slots: Slots, mixture: NDArray[np.float32]) -> float:
    """SI-SDRi, mean of the slots in their best order."""
    if not sources.shape[1] or np.count_nonzero(sources.any(axis=1)) < 2:
        return math.nan
    order = best_order(slots, sources, [""] * len(sources))
    gains = [
        improvement_db(si_sdr_db(slots[at], source), si_sdr_db(mixture, source))
        for at, source in zip(order, sources, strict=True)
    ]
    gains = [gain for gain in gains if not math.isnan(gain)]
    return float(np.mean(gains)) if gains else math.nan


def _sources_in(scene: Scene, segment: Segment) -> int:
    """How many sources are heard in this segment."""
    return int(np.count_nonzero(scene.sources[:, segment.start : segment.stop].any(axis=1)))
