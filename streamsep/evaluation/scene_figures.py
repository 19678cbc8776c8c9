"""Two pictures of how well the switch does in scenes: what it is worth, and how long it takes."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from streamsep.evaluation.intervals import Interval
from streamsep.evaluation.scene_run import SceneScore
from streamsep.evaluation.switching import RANGES, SETTLED_S

COLOURS = {"fixed": "#b9b9c3", "random": "#6c6c7a", "switched": "#de4968", "oracle": "#2a788e"}
LONGEST_S = 12.0  # of the delays that are drawn
TARGETS_S = ((2.0, 0.5), (4.0, 0.9))  # so many seconds, after which such a share should have been decided
TITLES = {"whole": "all of every segment", "settled": f"from {SETTLED_S:g} s after every change on"}


def draw_worth(path: Path, summary: Mapping[str, Interval]) -> None:
    """Bars of SI-SDRi: every model alone, a choice by lot, the switch, the right model; as PNG.

    summary: of `summarise`. Needs matplotlib (the extra "figures"), as does `draw_delays`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left

    figure = Figure(figsize=(12, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(RANGES), sharey=True)
    for which, panel in zip(RANGES, panels, strict=True):
        prefix = f"si_sdri_db.{which}."
        found = {key.removeprefix(prefix): value for key, value in summary.items() if key.startswith(prefix)}
        if not found:
            panel.set_title(f"{TITLES[which]}\nnothing to separate", fontsize=11, loc="left")
            continue
        fixed = [system for system in found if system.startswith("fixed.")]
        systems = [*fixed, "random", "switched", "oracle"]
        for at, system in enumerate(systems):
            value = found[system]
            edges = [[value.mean - value.low], [value.high - value.mean]]
            panel.bar(at, value.mean, color=COLOURS[system.split(".")[0]], width=0.7)
            panel.errorbar(at, value.mean, yerr=np.maximum(edges, 0), color="black", capsize=3, linewidth=1)
            panel.annotate(
                f"{value.mean:.1f}",
                (at, np.nanmax([value.mean, value.high, 0])),
                (0, 4),
                textcoords="offset points",
                ha="center",
            )
        names = [f"only\n{system.removeprefix('fixed.')}" if system in fixed else system for system in systems]
        panel.set_xticks(range(len(systems)), names, fontsize=9)
        won = summary[f"won.{which}"].mean
        panel.set_title(
            f"{TITLES[which]}\nswitched: {won:.0%} of the oracle's gain over random", fontsize=11, loc="left"
        )
        panel.axhline(0, color="black", linewidth=0.8)
        panel.margins(y=0.12)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
    panels[0].set_ylabel("SI-SDRi in dB, mean of the segments; bars: 95 %", fontsize=10)
    figure.savefig(path, format="png")


def draw_delays(path: Path, scores: Sequence[SceneScore]) -> None:
    """The share of changes that had been followed, over the time since the change, and the targets; as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    delays = sorted(delay for score in scores for delay in score.choices.delays_s)
    figure = Figure(figsize=(8, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    reached = [delay for delay in delays if not math.isinf(delay)]
    shares = [(at + 1) / len(delays) for at in range(len(reached))]
    ends = [0.0, *shares, shares[-1]] if shares else [0.0, 0.0]
    panel.step(
        [0.0, *reached, LONGEST_S] if shares else [0.0, LONGEST_S], ends, where="post", color=COLOURS["switched"]
    )
    for seconds, share in TARGETS_S:
        panel.plot(seconds, share, marker="v", markersize=9, color=COLOURS["oracle"], linestyle="none")
        panel.annotate(f"{share:.0%} within {seconds:g} s", (seconds, share), (10, -12), textcoords="offset points")
    panel.set(xlim=(0, LONGEST_S), ylim=(0, 1.02))
    panel.set_xlabel("seconds since the domain changed", fontsize=11)
    panel.set_ylabel("share that was followed", fontsize=11)
    missed = len(delays) - len(reached)
    panel.set_title(f"{len(delays)} changes; {missed} not followed before the next", fontsize=12, loc="left")
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    figure.savefig(path, format="png")
