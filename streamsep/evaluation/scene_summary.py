"""What the scores of many scenes say together, with 95 % intervals: scenes are drawn, not segments.

In every draw of the bootstrap each scene gets a random weight (exponential, mean 1), as in `intervals`. That scenes
share talkers and songs does not count, for each is made of so many that to draw those would say nothing any more: the
intervals are rather too narrow.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamsep.evaluation.intervals import DRAWS, Interval
from streamsep.evaluation.scene_run import SceneScore
from streamsep.evaluation.switching import RANGES, Choices

QUICK_S = 4.0  # in which 90 % of the decisions should have fallen
MINUTE_S = 60.0

Weights = NDArray[np.float64]  # (draws, scenes); of the first draw all are 1: it is what was found
NOTHING = Interval(math.nan, math.nan, math.nan, 0)


def summarise(scores: Sequence[SceneScore]) -> dict[str, Interval]:
    """All figures of these scenes: those of `summarise_choices`, "si_sdri_db.RANGE.SYSTEM" and "won.RANGE".

    Beside the systems of `systems_db` there is "best-fixed", the model that is best over all these scenes. won: the
    share (switched - random) / (oracle - random). n counts segments, or what else a figure is the mean of."""
    found = summarise_choices([score.choices for score in scores])
    weights = _weights(len(scores))
    for which in RANGES:
        rows = [[by_range[which] for by_range in score.segments if which in by_range] for score in scores]
        counts = [len(row) for row in rows]
        if not sum(counts):
            continue
        systems = next(row[0] for row in rows if row)
        sums = {system: np.array([sum(values[system] for values in row) for row in rows]) for system in systems}
        fixed = [system for system in sums if system.startswith("fixed.")]
        sums["best-fixed"] = sums[max(fixed, key=lambda system: float(sums[system].sum()))]
        for system, values in sums.items():
            found[f"si_sdri_db.{which}.{system}"] = _ratio(values, counts, weights, sum(counts))
        won, there = sums["switched"] - sums["random"], sums["oracle"] - sums["random"]
        found[f"won.{which}"] = _ratio(won, there, weights, sum(counts))
    return found


def summarise_choices(scenes: Sequence[Choices]) -> dict[str, Interval]:
    """What timelines did: shares of time, delays, switches a minute; NOTHING where there is nothing to measure."""
    weights = _weights(len(scenes))

    def over(values: list[float], of: list[float]) -> Interval:
        return _ratio(values, of, weights, sum(value > 0 for value in of))

    delays = [list(scene.delays_s) for scene in scenes]
    firsts = [[scene.first_s] if not math.isnan(scene.first_s) else [] for scene in scenes]
    quick = [float(sum(delay <= QUICK_S for delay in found)) for found in delays]
    never = [float(sum(math.isinf(delay) for delay in found)) for found in delays]
    none = [float(sum(delay == 0 for delay in found)) for found in delays]
    counts = [float(len(found)) for found in delays]
    return {
        "correct_share": over([scene.right_s for scene in scenes], [scene.judged_s for scene in scenes]),
        "correct_share_settled": over(
            [scene.right_settled_s for scene in scenes], [scene.judged_settled_s for scene in scenes]
        ),
        "delay_median_s": _quantile(delays, 0.5, weights),
        "delay_p90_s": _quantile(delays, 0.9, weights),
        "delay_within_4_s": _ratio(quick, counts, weights, int(sum(counts))),
        "delay_none": _ratio(none, counts, weights, int(sum(counts))),  # wrong before, and so right by luck
        "delay_never": _ratio(never, counts, weights, int(sum(counts))),
        "first_median_s": _quantile(firsts, 0.5, weights),
        "first_p90_s": _quantile(firsts, 0.9, weights),
        "false_switches_per_minute": over(
            [scene.false_switches * MINUTE_S for scene in scenes], [scene.settled_s for scene in scenes]
        ),
        "unmixed_switches_per_minute": over(
            [scene.unmixed_switches * MINUTE_S for scene in scenes], [scene.unmixed_s for scene in scenes]
        ),
    }


def _weights(scenes: int) -> Weights:
    """Random, but the same every time."""
    weights = np.random.default_rng(0).exponential(size=(DRAWS + 1, scenes))
    weights[0] = 1
    return weights


def _ratio(values: ArrayLike, of: ArrayLike, weights: Weights, n: int) -> Interval:
    """The sum of the values over another sum; (scenes,) each."""
    if not n:
        return NOTHING
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = (weights @ np.asarray(values, np.float64)) / (weights @ np.asarray(of, np.float64))
    return _interval(ratios, n, weights.shape[1] == 1)


def _quantile(values: Sequence[Sequence[float]], share: float, weights: Weights) -> Interval:
    """The smallest value that at least this share of all are not above; by scene. It may be infinite."""
    every = [(value, at) for at, found in enumerate(values) for value in found]
    if not every:
        return NOTHING
    every.sort()
    ordered = np.array([value for value, _ in every])
    heaped = np.cumsum(weights[:, [at for _, at in every]], axis=1)
    reached = heaped >= share * heaped[:, -1:] * (1 - 1e-12)
    return _interval(ordered[reached.argmax(axis=1)], len(every), weights.shape[1] == 1)


def _interval(draws: NDArray[np.float64], n: int, single: bool) -> Interval:
    """From what was found and the draws after it; those of a single scene say nothing of any other."""
    if single:
        return Interval(float(draws[0]), math.nan, math.nan, n)
    low, high = np.quantile(draws[1:], [0.025, 0.975], method="inverted_cdf")
    return Interval(float(draws[0]), float(low), float(high), n)
