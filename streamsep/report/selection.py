"""Which model for which mixture: the tables of Liu, Seetharaman & Pardo (2019) with this bank, on these lists."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import ModelError
from streamsep.evaluation.lists import Mixture
from streamsep.evaluation.metrics import best_order, sd_sdr_db, sdrs_db, si_sdr_db
from streamsep.evaluation.tables import read_clips
from streamsep.realtime.masking import slot_names
from streamsep.report.clips import Clip, subgroup
from streamsep.report.rendering import Opinion, Slots, of_the_looks, of_the_whole, opened, streamed, whole
from streamsep.report.selection_section import selection_section
from streamsep.report.study import Job, Lists, Row, Section

WAYS = ("whole", "streaming")  # all frames in one run; or hop by hop through the engine, with the monitor's looks
RATIOS = ("sd_sdr_db", "si_sdr_db", "sdr_db")


@dataclass(frozen=True)
class Selection:
    """Every model on every domain's test mixtures; a job is a mixture, a row one source of it, as one model separates
    it in one way. The README says what is in the columns."""

    name: str = "selection"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(domain, number) of every mixture."""
        return [(domain, number) for domain in opened(lists).domains for number in range(lists.count(domain))]

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """The rows of one mixture: models x ways x sources."""
        bank, mixture = opened(lists), lists.mixture(str(job[0]), int(job[1]))
        clips = read_clips(lists.folder)
        total = mixture.sources.sum(axis=0)
        made: dict[tuple[str, str], Slots] = {}
        for domain, roles in bank.roles.items():
            if len(roles) != len(mixture.sources):
                named = ", ".join(slot_names(roles))
                raise ModelError(f"{mixture.name} has {len(mixture.sources)} sources, {domain} gives {named}")
            slots = {"whole": whole(bank.steps[domain], total), "streaming": streamed(bank.engines[domain], total)}
            for way in WAYS:
                order = best_order(
                    slots[way], mixture.sources, roles if domain == mixture.domain else [""] * len(roles)
                )
                made[domain, way] = slots[way][list(order)]
        opinions = {"whole": of_the_whole(bank, total), "streaming": of_the_looks(bank, total)}
        return list(_rows(mixture, total, made, opinions, bank.roles[mixture.domain], clips))

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """Tables 1 and 2, Figure 3, and what wrong picks cost."""
        return selection_section(rows)


def _rows(
    mixture: Mixture,
    total: NDArray[np.float32],
    made: Mapping[tuple[str, str], Slots],
    opinions: Mapping[str, Mapping[str, Opinion]],
    roles: tuple[str, ...],
    clips: Mapping[str, Clip],
) -> Iterator[Row]:
    """made: by domain and way, the slots in the order of the sources. roles: of the sources."""
    ratios = ratios_db([total, *(slot for slots in made.values() for slot in slots)], mixture.sources)
    at = 1
    for (domain, way), slots in made.items():
        for slot in range(len(slots)):
            yield {
                "mixture": mixture.name,
                "domain": mixture.domain,
                "model": domain,
                "way": way,
                "source": slot,
                "role": roles[slot],
                "subgroup": subgroup(slot, roles, [clips.get(clip) for clip in mixture.clips]),
                **{name: values[slot, at + slot] for name, values in ratios.items()},
                **{f"mixture_{name}": values[slot, 0] for name, values in ratios.items()},
                **asdict(opinions[way][domain]),
                "clips": list(mixture.clips),
            }
        at += len(slots)


def ratios_db(estimates: list[NDArray[np.floating]], sources: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Every estimate against every source, by name of RATIOS: (sources, estimates)."""
    return {
        "sd_sdr_db": np.array([[sd_sdr_db(estimate, source) for estimate in estimates] for source in sources]),
        "si_sdr_db": np.array([[si_sdr_db(estimate, source) for estimate in estimates] for source in sources]),
        "sdr_db": sdrs_db(estimates, list(sources)),
    }
