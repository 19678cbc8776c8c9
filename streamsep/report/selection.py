"""Which model for which mixture: the tables of Liu, Seetharaman & Pardo (2019) with this bank, on these lists."""

from collections.abc import Mapping
from dataclasses import dataclass

from streamsep.report.study import Job, Lists, Row, Section


@dataclass(frozen=True)
class Selection:
    """Every model on every domain's test mixtures; a job is a mixture."""

    name: str = "selection"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(domain, number) of every mixture."""
        domains = lists.open_bank().domains
        return [(domain, number) for domain in domains for number in range(lists.count(domain))]

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """A row for every model."""
        domain, number = job
        mixture = lists.mixture(str(domain), int(number))
        return [{"mixture": mixture.name}]

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """Nothing yet."""
        return Section("Which model for which mixture")
