"""Runs the jobs of studies over processes and keeps their rows: a run that was stopped or killed goes on from there.

REPORT/parts/STUDY/JOB.json holds the rows of one job, and what it was made with. It is there whole or not at all.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamsep import whole_files
from streamsep.child import ONE_THREAD
from streamsep.errors import StreamsepError
from streamsep.models.bank import bank_folder
from streamsep.pool import pool_of
from streamsep.report.study import Job, Lists, Row, Study

FORMAT = "1"  # of the parts; a new one whenever rows would come out otherwise

Tell = Callable[[int, int], object]  # jobs done, of so many


def run(
    studies: Sequence[Study], lists: Lists, report: Path, processes: int, tell: Tell = lambda done, of: None
) -> dict[str, list[Row]]:
    """The rows of these studies by name, in the order of their jobs: the same for any number of processes.

    What is kept in the folder `report` is not done again, unless the bank, the lists or the format of the parts are
    others; other sounds, and another streamsep, are not noticed. Raises what a study raises, and StreamsepError when
    a process was killed or the folder cannot be written into."""
    jobs = {study.name: study.jobs(lists) for study in studies}
    made_with = fingerprint(lists)
    whole_files.prepare(report)
    parts = {(study.name, job): part(report, study.name, job) for study in studies for job in jobs[study.name]}
    every = [(study, job, parts[study.name, job]) for study in studies for job in jobs[study.name]]
    missing = [one for one in every if kept(one[2], made_with) is None]
    tell(len(every) - len(missing), len(every))
    if missing:
        with _pool(min(processes, len(missing))) as pool:
            waiting = [pool.submit(_work, study, lists, job, path, made_with) for study, job, path in missing]
            _wait(waiting, lambda done: tell(len(every) - len(missing) + done, len(every)))
    return {name: [row for job in of for row in kept(parts[name, job], made_with) or []] for name, of in jobs.items()}


def part(report: Path, study: str, job: Job) -> Path:
    """Where the rows of a job are kept."""
    return report / "parts" / study / f"{'-'.join(map(str, job))}.json"


def kept(path: Path, made_with: str) -> list[Row] | None:
    """The rows of a job that was done before, with the same bank and lists; None: there are none, or others."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None
    if not isinstance(found, dict) or found.get("made_with") != made_with:
        return None
    rows: list[Row] | None = found.get("rows")
    return rows


def fingerprint(lists: Lists) -> str:
    """Another one for other models, other lists or another format; not for another limit. Raises ModelError."""
    made_of = hashlib.sha256(FORMAT.encode())
    tables = (lists.folder / name for name in ("mixtures.csv", "manifest.csv"))
    for path in (*sorted(bank_folder(lists.bank).glob("*.onnx")), *tables):
        if path.is_file():
            made_of.update(path.name.encode())
            made_of.update(path.read_bytes())
    return made_of.hexdigest()[:16]


def plain(value: Any) -> Any:
    """The same for JSON, which knows no nan: None where there is nothing to say."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_whole(path: Path, text: str) -> None:
    """With its folder; nobody ever finds half of it. Raises StreamsepError."""
    whole_files.prepare(path.parent)
    whole_files.write_texts({path: text})


def _work(study: Study, lists: Lists, job: Job, path: Path, made_with: str) -> None:
    """One job, in another process."""
    rows = plain(study.run(lists, job))
    write_whole(path, json.dumps({"made_with": made_with, "rows": rows}, allow_nan=False))


def _wait(waiting: Sequence[Future[None]], tell: Callable[[int], object]) -> None:
    """Until all are done; the first that fails ends it. Raises StreamsepError when a process was killed."""
    try:
        for done, future in enumerate(as_completed(waiting), 1):
            future.result()
            tell(done)
    except BrokenProcessPool:
        raise StreamsepError(
            "a process was killed, or ran out of memory; what was done is kept: give the command again to go on, "
            "with fewer --processes if there is not enough memory"
        ) from None
    except BaseException:
        for future in waiting:
            future.cancel()
        raise


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes of one thread each, even when it is only one: then all of them compute alike."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ |= ONE_THREAD  # for those that are started
    try:
        with pool_of(processes) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
