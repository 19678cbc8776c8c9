"""What the confidence is made of, and what else a model could be chosen by: every variant on the same mixtures, and
what its pick is worth.

Every mixture goes through both graphs of every model once; all variants are computed from the embeddings of that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.evaluation.lists import LENGTH, RATE
from streamsep.monitor.calibration import PAPERS, by_name, estimate, estimates, recognised
from streamsep.monitor.confidence import ALL, Measures
from streamsep.monitor.look_back import at_once
from streamsep.monitor.placed import PlacedMeasures, measure_look_back
from streamsep.monitor.texture import texture
from streamsep.realtime.stft import FrontEnd
from streamsep.report.ablations_section import ablations_section
from streamsep.report.autoencoders import EVERY, trained
from streamsep.report.features import of_the_estimates, of_the_mixture
from streamsep.report.rendering import opened
from streamsep.report.study import Job, Lists, Row, Section
from streamsep.report.views import View, spectrum_of, view

MOST = {"val": 80, "test": 60}  # mixtures of every domain: more would take longer than all other studies
REFERENCE = "reference"
LENGTH_S = LENGTH / RATE
LOOK_BACKS_S = (0.5, 1.0, 1.5, 2.0, 3.0)
MOMENTS_S = (3.0, 5.0)  # at which they are taken


@dataclass(frozen=True)
class Look:
    """Which bins are measured, and what of them."""

    from_s: float = 0.0
    until_s: float = LENGTH_S
    share: float = 0.01  # of the bins: the loudest
    points: int = 1000  # of these, at most
    chosen: tuple[str, ...] = PAPERS


LOOKS = {
    REFERENCE: Look(chosen=ALL),
    **{f"loudest {share:.0%}": Look(share=share) for share in (0.05, 0.2)},
    **{f"points {points}": Look(points=points) for points in (100, 300, 3000)},
    **{
        f"look back {back_s} s at {moment_s} s": Look(moment_s - back_s, moment_s)
        for back_s in LOOK_BACKS_S
        for moment_s in MOMENTS_S
    },
}


@dataclass(frozen=True)
class Ablations:
    """A job is a mixture of the test list, or of the validation list, on which all is fitted that is fitted."""

    name: str = "ablations"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(split, domain, number)."""
        domains = opened(lists).domains
        return [
            (split, domain, number)
            for split, most in MOST.items()
            for domain in domains
            for number in (half_heard if split == "val" else spread)(lists.count(domain, split), most)
        ]

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """A row for every model: what its pick is worth, and all that it might be picked by."""
        split, domain, number = str(job[0]), str(job[1]), int(job[2])
        bank, mixture = opened(lists), lists.mixture(domain, number, split)
        front, spectrum = bank.front_end, spectrum_of(bank, mixture)
        total = mixture.sources.sum(axis=0)
        networks = trained(lists.folder, front, bank.domains)
        looks = {name: look for name, look in LOOKS.items() if split == "test" or look.until_s == LENGTH_S}
        features, heard = of_the_mixture(front, spectrum), texture(total, RATE)
        rows: list[Row] = []
        found: dict[str, Measures | None] = {}
        for model, roles in bank.roles.items():
            seen = view(bank, model, mixture, spectrum)
            measures = {
                name: measured(spectrum, seen, look, front, len(roles), heard if name == REFERENCE else {})
                for name, look in looks.items()
            }
            found[model] = measures[REFERENCE]
            row: Row = {
                "split": split,
                "number": number,
                "mixture": mixture.name,
                "domain": domain,
                "clips": list(mixture.clips),
                "model": model,
                "si_sdri_db": seen.si_sdri_db,
                "measures": {name: each.by_name if each else {} for name, each in measures.items()},
                "errors": {
                    "mixture": networks.mixture_error(model, spectrum),
                    "estimates": networks.estimates_error(model, seen.masks.swapaxes(0, 1) * spectrum),
                },
                "features": features | of_the_estimates(front, spectrum, seen.masks),
            }
            rows.append(row)
        named, maps = by_name(found), bank.maps
        promised = estimates(maps, named, recognised(maps, named))
        for row in rows:
            values, own = named[row["model"]], maps[row["model"]]
            row["own_db"] = estimate(own.own, values) if own and values else None
            row["promised_db"] = promised[row["model"]]
        return rows

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """Which variant picks best."""
        return ablations_section(rows)


def spread(count: int, most: int) -> Iterable[int]:
    """At most so many of the numbers below `count`, evenly spread.

    >>> list(spread(3, 5)), list(spread(10, 4))
    ([0, 1, 2], [0, 2, 5, 7])
    """
    return (number * count // min(count, most) for number in range(min(count, most)))


def half_heard(count: int, most: int) -> Iterable[int]:
    """The same of a validation list, but so that the autoencoders have heard every second one (`autoencoders.EVERY`):
    lines have to be fitted to others.

    >>> list(half_heard(8, 4)), list(half_heard(3, 5))
    ([0, 3, 4, 7], [0, 1, 2])
    """
    return (number - number % EVERY + place % EVERY for place, number in enumerate(spread(count, most)))


def measured(
    spectrum: NDArray[np.complex128],
    seen: View,
    look: Look,
    front: FrontEnd,
    sources: int,
    heard: Mapping[str, float],
) -> PlacedMeasures | None:
    """The measures of one look at what a model embeds; None: there is nothing but silence. heard: the texture of the
    sound, for looks that choose measures of it."""
    per_s = front.sample_rate / front.hop
    frames = slice(round(look.from_s * per_s), round(look.until_s * per_s))
    magnitudes = np.abs(spectrum[frames]).astype(np.float32)
    back = at_once(seen.embeddings[frames], magnitudes, look.share, heard)
    return measure_look_back(back, sources, look.points, chosen=look.chosen)
