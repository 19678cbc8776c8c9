"""One mixture's embeddings under every model, in two dimensions, as in Fig. 2 of Liu, Seetharaman & Pardo."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.evaluation.lists import Mixture
from streamsep.evaluation.lists import count as test_mixtures
from streamsep.evaluation.references import analyse
from streamsep.monitor.confidence import drawn, loudest, measure
from streamsep.realtime.masking import slot_names
from streamsep.report.cells import number
from streamsep.report.pictures import COLOURS, new_figure, svg
from streamsep.report.rendering import opened
from streamsep.report.study import Job, Lists, Picture, Row, Section
from streamsep.report.views import separated, spectrum_of, view

LOUDEST = 0.01
POINTS = 300  # that are drawn
FIRST = 9  # mixtures of the list; of these the one that its own model separates as well as most is shown

Points = NDArray[np.floating]  # (points, dims)


@dataclass(frozen=True)
class Embeddings:
    """A job is a domain, of which one test mixture is shown."""

    name: str = "embeddings"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(domain,)"""
        domains = opened(lists).domains
        for domain in domains:
            lists.count(domain)
        return [(domain,) for domain in domains]

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """A row for every model: where its loudest bins are, and whose they are."""
        bank, mixture = opened(lists), typical(lists, str(job[0]))
        sources = analyse(bank.front_end, mixture.sources)
        spectrum = sources.sum(axis=0)
        magnitudes = np.abs(spectrum).reshape(-1)
        loud = loudest(magnitudes, math.ceil(LOUDEST * len(magnitudes)))
        owners = np.abs(sources).reshape(len(sources), -1)[:, loud].argmax(axis=0)
        shown = drawn(len(loud), POINTS)
        rows = []
        for model, roles in bank.roles.items():
            seen = view(bank, model, mixture, spectrum)
            points = seen.embeddings.reshape(-1, seen.embeddings.shape[-1])[loud]
            found = measure(points, len(roles), magnitudes[loud], chosen=("silhouette", "posterior_strength"))
            flat, kept = flattened(points)
            rows.append(
                {
                    "mixture": mixture.name,
                    "domain": mixture.domain,
                    "slots": list(slot_names(bank.roles[mixture.domain])),
                    "model": model,
                    "confidence": found.confidence if found else None,
                    "si_sdri_db": seen.si_sdri_db,
                    "kept": kept,
                    "x": flat[shown, 0].round(3).tolist(),
                    "y": flat[shown, 1].round(3).tolist(),
                    "owners": owners[shown].tolist(),
                }
            )
        return rows

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """One picture: a row a mixture, a column a model."""
        numbers = {
            f"{row['mixture']}.{row['model']}": {name: row[name] for name in ("confidence", "si_sdri_db", "kept")}
            for row in rows
        }
        text = [
            f"A test mixture of every domain by row (of the first {FIRST} the one of the median gain), under every "
            "model by column: the embeddings of the loudest 1 % of its bins, on the two axes along which they vary "
            "most (principal components of each panel; in brackets how much of the variance they keep). The colour "
            "is the source that truly owns the bin. Where a model knows the sounds, the colours lie apart in dense "
            "clusters, and the confidence is high."
        ]
        return Section("One mixture under every model", text, pictures=[drawing(rows)], numbers=numbers)


def typical(lists: Lists, domain: str) -> Mixture:
    """Of the first mixtures the one that the model for them gains the median on, however few are evaluated."""
    bank, count = opened(lists), test_mixtures(lists.folder, "test", domain)
    mixtures = [lists.mixture(domain, number) for number in range(min(count, FIRST))]
    gains_db = [separated(bank, domain, mixture, spectrum_of(bank, mixture)).si_sdri_db for mixture in mixtures]
    return mixtures[int(np.argsort(gains_db, kind="stable")[len(mixtures) // 2])]


def flattened(points: Points) -> tuple[NDArray[np.float64], float]:
    """(points, dims) -> (points, 2) along their first principal components, and the share of variance that is kept.

    An axis points where the points have their longer tail, so that the same points always lie the same way.

    >>> flat, kept = flattened(np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 3.0, 0.0]]))
    >>> flat[:, 0].round(6).tolist(), round(kept, 6)
    ([0.0, -2.0, 2.0], 1.0)
    """
    x = np.asarray(points, np.float64)
    x = x - x.mean(axis=0)
    _, spreads, axes = np.linalg.svd(x, full_matrices=False)
    flat = np.zeros((len(x), 2))
    found = x @ axes[:2].T
    flat[:, : found.shape[1]] = found * np.where(np.sum(found**3, axis=0) < 0, -1.0, 1.0)
    total = float(np.square(spreads).sum())
    return flat, float(np.square(spreads[:2]).sum()) / total if total else 1.0


def drawing(rows: list[Row]) -> Picture:
    """A panel a row."""
    domains = list(dict.fromkeys(row["domain"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    figure = new_figure(3.0 * len(models), 2.9 * len(domains))
    panels = figure.subplots(len(domains), len(models), squeeze=False)
    for row in rows:
        panel = panels[domains.index(row["domain"])][models.index(row["model"])]
        points, owners = np.array([row["x"], row["y"]]), np.array(row["owners"])
        for source, slot in enumerate(row["slots"]):
            panel.scatter(
                *points[:, owners == source],
                s=7,
                alpha=0.6,
                linewidths=0,
                color=COLOURS[source],
                label=slot,
                rasterized=True,
            )
        own = row["model"] == row["domain"]
        panel.set_title(
            f"{row['model']}: confidence {number(nan_if_none(row['confidence']))}, "
            f"{number(nan_if_none(row['si_sdri_db']), 1)} dB [{row['kept']:.0%}]",
            fontsize=8,
            fontweight="bold" if own else "normal",
        )
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_aspect("equal", "datalim")
        if row["model"] == models[0]:
            panel.set_ylabel(row["mixture"], fontsize=9)
            panel.legend(fontsize=7, loc="best", handletextpad=0.1)
    caption = "Embeddings under every model; bold: the model that is for the mixture; dB of SI-SDR improvement."
    return Picture("embeddings", svg(figure), caption)


def nan_if_none(value: float | None) -> float:
    """As it was before JSON."""
    return float("nan") if value is None else value
