"""Any number of processes finds the same, and nothing is lost, or done twice, when they are killed."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import counted
import pytest
from counted import JOBS, Counted

from streamsep.errors import AudioError, ModelError, StreamsepError
from streamsep.report.runner import fingerprint, kept, run
from streamsep.report.study import Job, Lists, Row


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "mixtures.csv").write_text("mixture\n")
    return Lists(folder, str(folder))


def test_a_run_that_was_killed_goes_on_and_finds_what_one_process_finds(tmp_path: Path, lists: Lists) -> None:
    diary, report = tmp_path / "diary", tmp_path / "report"
    diary.touch()
    command = [sys.executable, counted.__file__, str(diary), str(lists.folder), str(report)]
    killed = subprocess.Popen(command)
    parts = report / "parts" / "counted"
    deadline_s = time.monotonic() + 60
    while len(list(parts.glob("job-*.json"))) < 2:
        assert time.monotonic() < deadline_s
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    begun = ""
    while (now := diary.read_text()) != begun or not begun:  # its processes end with it, whatever they were at
        begun = now
        time.sleep(1)
    before = {path.name: path.read_text() for path in parts.glob("job-*.json")}
    assert 2 <= len(before) < JOBS
    half = min(before)
    (parts / half).write_text(before.pop(half)[:20])  # as a disk that was full leaves it

    again = Counted(tmp_path / "again")
    told: list[tuple[int, int]] = []
    found = run([again], lists, report, 2, lambda done, of: told.append((done, of)))["counted"]
    assert sorted(f"job-{number}.json" for number in again.diary.read_text().split()) == sorted(
        f"job-{number}.json" for number in range(JOBS) if f"job-{number}.json" not in before
    )
    assert told == [(done, JOBS) for done in range(len(before), JOBS + 1)]
    assert [row["job"] for row in found] == list(range(JOBS))
    assert {row["nothing"] for row in found} == {None}
    alone = run([Counted(tmp_path / "alone")], lists, tmp_path / "other", 1)["counted"]
    assert found == alone
    for path in parts.iterdir():
        assert path.read_text() == (tmp_path / "other" / "parts" / "counted" / path.name).read_text()


@dataclass(frozen=True)
class Dying(Counted):
    """Its process is killed in the middle."""

    def run(self, lists: Lists, job: Job) -> list[Row]:
        if job[1] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if job[1] == 2:
            raise AudioError("this cannot be read")
        return []


def test_what_ends_a_job_is_told_and_the_rest_is_kept(tmp_path: Path, lists: Lists) -> None:
    with pytest.raises(StreamsepError, match=r"a process was killed.*give the command again"):
        run([Dying(tmp_path / "diary")], lists, tmp_path / "report", 1)
    kept_there = tmp_path / "report" / "parts" / "counted"
    assert [path.name for path in kept_there.glob("*.json")] == ["job-0.json"]
    (kept_there / "job-1.json").write_text((kept_there / "job-0.json").read_text())
    with pytest.raises(AudioError, match="this cannot be read"):
        run([Dying(tmp_path / "diary")], lists, tmp_path / "report", 1)


def test_rows_made_with_other_models_or_lists_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "part.json"
    path.write_text('{"made_with": "these", "rows": [{"found": 1}]}')
    assert kept(path, "these") == [{"found": 1}]
    assert kept(path, "others") is None
    assert kept(tmp_path / "none.json", "these") is None


def test_other_lists_or_models_are_another_run_and_another_limit_is_not(lists: Lists) -> None:
    before = fingerprint(lists)
    assert fingerprint(Lists(lists.folder, lists.bank, 3)) == before
    (lists.folder / "a.onnx").write_bytes(b"a model")
    models = fingerprint(lists)
    (lists.folder / "mixtures.csv").write_text("mixture\nanother\n")
    assert len({before, models, fingerprint(lists)}) == 3
    with pytest.raises(ModelError, match="no such folder of models"):
        fingerprint(Lists(lists.folder, "nowhere"))
