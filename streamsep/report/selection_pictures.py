"""Figure 3 of Liu, Seetharaman & Pardo: confidence against what was reached, for every model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from streamsep.report.cells import number, probability
from streamsep.report.correlation import correlation
from streamsep.report.pictures import COLOURS, new_figure, svg
from streamsep.report.study import Picture, Row

WAY = "whole"  # the papers'


def draw_own_domain(rows: Sequence[Row]) -> Picture:
    """Every model on its own domain, a dot a source, its colour the subgroup."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure = new_figure(4.2 * len(models), 4.0)
    for panel, model in zip(np.atleast_1d(figure.subplots(1, len(models))), models, strict=True):
        own = usable(rows, model, model)
        groups = list(dict.fromkeys(row["subgroup"] for row in own))
        for colour, group in zip(COLOURS, groups, strict=False):
            some = [row for row in own if row["subgroup"] == group]
            scatter(panel, some, colour, 14, group or None)
        title = f"{model}\n{line(panel, own, with_p=True)}"
        for group in groups:
            if len(groups) > 1:
                found = correlation(*pairs([row for row in own if row["subgroup"] == group]))
                title += f"\n{group}: r = {number(found.r)}, rho = {number(found.rho)}"
        panel.set_title(title, fontsize=10, loc="left")
        panel.set_xlabel("confidence")
        if len(groups) > 1:
            panel.legend(fontsize=8, loc="lower right")
        if model == models[0]:
            panel.set_ylabel("scale-dependent SDR, dB")
    caption = (
        "Figure 3: confidence and what was reached, every model on mixtures of its own domain; a dot is a source."
    )
    return Picture("own-domain", svg(figure), caption)


def draw_every_pair(rows: Sequence[Row]) -> Picture:
    """Every model by row on every domain by column."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    domains = list(dict.fromkeys(row["domain"] for row in rows))
    figure = new_figure(3.2 * len(domains), 2.5 * len(models))
    panels = figure.subplots(len(models), len(domains), sharex=True, sharey="col", squeeze=False)
    for across, model in zip(panels, models, strict=True):
        for panel, domain in zip(across, domains, strict=True):
            some = usable(rows, model, domain)
            scatter(panel, some, COLOURS[0] if model == domain else "#999999", 6, None)
            panel.set_title(f"{model} on {domain}: {line(panel, some)}", fontsize=8, loc="left")
    for panel in panels[-1]:
        panel.set_xlabel("confidence", fontsize=8)
    for across in panels:
        across[0].set_ylabel("SD-SDR, dB", fontsize=8)
    caption = "The same of every model on every domain; in blue its own."
    return Picture("every-pair", svg(figure), caption)


def usable(rows: Sequence[Row], model: str, domain: str) -> list[Row]:
    """Of this model on mixtures of this domain, where both figures are there."""
    return [
        row
        for row in rows
        if (row["way"], row["model"], row["domain"]) == (WAY, model, domain)
        and row["sd_sdr_db"] is not None
        and row["confidence"] is not None
    ]


def pairs(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Confidence and SD-SDR."""
    return [row["confidence"] for row in rows], [row["sd_sdr_db"] for row in rows]


def scatter(panel: Any, rows: Sequence[Row], colour: str, size: float, label: str | None) -> None:
    """A dot a row; as a picture within the picture, for there are thousands."""
    panel.scatter(*pairs(rows), s=size, color=colour, alpha=0.5, linewidths=0, rasterized=True, label=label)
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)


def line(panel: Any, rows: Sequence[Row], with_p: bool = False) -> str:
    """Draw the least-squares line; what to say of it."""
    x, y = pairs(rows)
    found = correlation(x, y)
    if found.n < 3 or np.isnan(found.r):
        return "too few"
    ends = np.array([min(x), max(x)])
    panel.plot(ends, found.intercept + found.slope * ends, color="black", linewidth=1.5)
    return f"r = {number(found.r)}, rho = {number(found.rho)}" + f", p = {probability(found.p)}" * with_p
