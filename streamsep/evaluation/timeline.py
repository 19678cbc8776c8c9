"""The monitor's view of a recording as a picture: what was heard, and what every model promised, on one time axis."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Block
from streamsep.evaluation.figures import PITCHES, RANGE_DB, mel_picture, pitch_ticks

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#332288")  # Okabe & Ito
DRY = "#bbbbbb"
LETTERS = 130  # of a label, that fit into the width of the picture


def draw_timeline(
    path: Path,
    title: str,
    samples: Block,
    rate: int,
    times_s: Sequence[float],
    scores: Sequence[Mapping[str, float | None]],
    smoothed: Sequence[Mapping[str, float | None]],
    spans: Sequence[tuple[float, str | None]],
) -> None:
    """Write a PNG 1400 pixels wide.

    samples: of the mixture. scores, smoothed: at times_s, by domain, in dB, None where there was no
    decision: what one look says, drawn as dots, and what was decided by, drawn as lines. spans: from when on which
    domain is heard, None for the dry sound. Needs matplotlib (the extra "figures")."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # no pyplot: no display is touched and no global state is left

    seconds = len(samples) / rate
    domains = sorted({domain for look in scores for domain in look} | {name for _, name in spans if name})
    colour = dict(zip(domains, (COLOURS * len(domains))[: len(domains)], strict=True))
    figure = Figure(figsize=(14, 6.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=15, fontweight="bold", x=0.012, ha="left")
    top, band, below = figure.subplots(3, 1, sharex=True, height_ratios=(5, 0.6, 4))

    picture = mel_picture(samples, rate)
    loudest = float(picture.max())
    top.imshow(
        picture, origin="lower", aspect="auto", extent=(0, seconds, 0, PITCHES), cmap="magma",
        vmin=loudest - RANGE_DB, vmax=loudest,
    )  # fmt: skip
    top.set_yticks(*pitch_ticks(rate), fontsize=9)
    top.set_ylabel("mixture", fontsize=13, fontweight="bold")

    ends = [*(start_s for start_s, _ in spans[1:]), seconds]
    for (start_s, domain), end_s in zip(spans, ends, strict=True):
        band.axvspan(start_s, end_s, color=DRY if domain is None else colour[domain])
        label = domain or "dry"
        if end_s - start_s > len(label) / LETTERS * seconds:
            middle = (start_s + end_s) / 2
            band.text(middle, 0.5, label, ha="center", va="center", fontsize=11, color="white")
        if start_s > 0:
            for panel in (top, below):
                panel.axvline(start_s, color="black" if panel is below else "white", linewidth=1, linestyle=":")
    band.set_ylim(0, 1)
    band.set_yticks([])
    band.set_ylabel("heard", fontsize=13, fontweight="bold", rotation=0, ha="right", va="center")

    for domain in domains:
        once, decided = (_levels(looks, domain) for looks in (scores, smoothed))
        below.plot(times_s, once, color=colour[domain], linestyle="", marker="o", markersize=4, alpha=0.35)
        below.plot(times_s, decided, color=colour[domain], linewidth=2, label=domain)
    below.set_ylabel("promised, dB SI-SDRi", fontsize=13, fontweight="bold")
    below.set_xlabel("seconds", fontsize=12)
    below.grid(alpha=0.3)
    below.set_xlim(0, seconds)
    if domains:
        below.legend(ncols=len(domains), loc="upper left", fontsize=11, frameon=False, bbox_to_anchor=(0, 1.14))
        told = "line: all looks together, by which it is decided · dots: one look alone"
        below.text(1, 1.04, told, ha="right", fontsize=10, transform=below.transAxes)
    figure.savefig(path)


def _levels(looks: Sequence[Mapping[str, float | None]], domain: str) -> NDArray[np.float64]:
    """(looks,): what they say of a domain, NaN where that is nothing."""
    values = [look.get(domain) for look in looks]
    return np.array([np.nan if value is None else value for value in values], np.float64)
