"""What a study is: jobs that any process can run in any order, and a section of the report made of their rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from streamsep.evaluation import lists
from streamsep.evaluation.lists import Mixture
from streamsep.models.bank import Bank, open_bank, precisions_in

Job = tuple[
    str | int, ...
]  # ("speech", 17): names a file and seeds whatever is random, so it says all there is to do
Row = dict[str, Any]  # plain values, None where there is nothing to say: it is kept as JSON
Cell = str | float | None


@dataclass(frozen=True)
class Lists:
    """What is evaluated, on what. It is sent to other processes: nothing in it is open."""

    folder: Path  # with mixtures.csv and the clips it names
    bank: str = "zoo"  # name or folder, as models.bank in the settings
    limit: int | None = None  # mixtures of every domain; None: all

    @property
    def precision(self) -> str:
        """Of the graphs: int8 where the bank has them. Raises ModelError when there is no such folder."""
        return next(iter(precisions_in(self.bank)), "int8")

    def open_bank(self) -> Bank:
        """All models, opened. Raises ModelError."""
        return open_bank(self.bank, self.precision)

    def count(self, domain: str, split: str = "test") -> int:
        """How many mixtures there are, within the limit. Raises AudioError when there are none."""
        return min(lists.count(self.folder, split, domain), self.limit or 10**9)

    def mixture(self, domain: str, number: int, split: str = "test") -> Mixture:
        """One of them, by its place in the list. Raises AudioError."""
        return lists.mixture(self.folder, split, domain, number)

    def mixtures(self, domain: str, split: str = "test") -> Iterator[Mixture]:
        """All of them, one at a time. Raises AudioError."""
        for number in range(self.count(domain, split)):
            yield self.mixture(domain, number, split)


@dataclass(frozen=True)
class Table:
    """Figures in rows. The first column names the row; None is an empty cell."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A drawing, as SVG text that stands in the page; matplotlib's."""

    name: str  # of a file: letters, digits, hyphens
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """What a study has to say. numbers go into summary.json under the study's name; they may hold nan."""

    title: str
    text: list[str] = field(default_factory=list)  # paragraphs
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)


class Study(Protocol):
    """It remembers nothing: whatever a job needs it opens itself (and may keep, by `functools.lru_cache`, as long as
    its process lives)."""

    @property
    def name(self) -> str:
        """Its folder in the report, its key in summary.json, and its name on the command line."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of other studies whose rows it wants to see too; they are run before it."""
        ...

    def jobs(self, lists: Lists) -> list[Job]:
        """All there is to do. Raises AudioError or ModelError for what is missing, before anything is run."""
        ...

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """The rows of one job: the same in every process and every order. `lists.limit` must not matter, unless the
        job says what it was: rows of a limited run are used again by a longer one."""
        ...

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """From the rows of all jobs, in the order of `jobs`, as they come back from JSON, those with "clips" also
        with their "groups" (`clips.with_groups`); others: by name of study, those it needs."""
        ...
