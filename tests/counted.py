"""A study whose jobs take a while, say when they were run, and find what depends on nothing but themselves."""

import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamsep.report.runner import run
from streamsep.report.study import Job, Lists, Row, Section

JOBS = 8


@dataclass(frozen=True)
class Counted:
    diary: Path  # a line for every job that was begun
    takes_s: float = 0.0
    name: str = "counted"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        return [("job", number) for number in range(JOBS)]

    def run(self, lists: Lists, job: Job) -> list[Row]:
        with open(self.diary, "a") as file:
            file.write(f"{job[1]}\n")
        time.sleep(self.takes_s)
        return [{"job": job[1], "found": random.Random(repr(job)).random(), "nothing": float("nan")}]

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        return Section("Counted")


if __name__ == "__main__":
    diary, folder, report = map(Path, sys.argv[1:])
    run([Counted(diary, 0.3)], Lists(folder, str(folder)), report, 2)
