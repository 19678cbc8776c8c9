"""Learning curves show what the logs hold, and a log that cannot be drawn is named."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.curve import main, running_mean
from export.log import COLUMNS, Log, read_log

rows = st.lists(st.tuples(st.floats(-40, 40), st.none() | st.floats(-40, 40)), min_size=1, max_size=30)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.integers(1, 20))
def test_the_running_mean_is_the_mean_of_the_last_ones(values: list[float], width: int) -> None:
    slow = [np.mean(values[max(0, i + 1 - width) : i + 1]) for i in range(len(values))]
    assert running_mean(np.array(values), width) == pytest.approx(slow, abs=1e-9)


@given(rows, st.integers(0, 30))
def test_a_log_holds_every_step_once_when_a_run_goes_on_from_before_its_end(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, float | None]], done: int
) -> None:
    path, done = tmp_path_factory.mktemp("run") / "log.csv", min(done, len(steps))
    for first in (0, done):
        with Log(path, first) as log:
            for step, (ratio_db, validation_db) in list(enumerate(steps, 1))[first:]:
                log.write(step, 2.0 * step, [ratio_db, 0.5, 0.1], validation_db)
            log.sync()
        with open(path, "a") as file:
            file.write("31,62.0,-1.")  # as a row that was not finished
    path.write_text(path.read_text().removesuffix("31,62.0,-1."))
    found = read_log(path)
    assert tuple(found) == COLUMNS
    assert found["step"].tolist() == list(range(1, len(steps) + 1))
    assert found["ratio_db"] == pytest.approx([ratio for ratio, _ in steps], abs=1e-6)
    wanted = [np.nan if validation is None else validation for _, validation in steps]
    assert found["validation_db"] == pytest.approx(wanted, abs=1e-4, nan_ok=True)


def test_the_picture_holds_all_runs_and_a_log_that_cannot_be_drawn_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, logs = tmp_path / "curve.png", [tmp_path / name / "log.csv" for name in ("long", "short", "empty")]
    for path, steps in zip(logs, (300, 7, 0), strict=True):
        path.parent.mkdir()
        with Log(path, 0) as log:
            for step in range(1, steps + 1):
                log.write(step, step, [-step / 30, 0.5, 0.1], step / 50 if step % 50 == 0 else None)

    def draw(*names: Path) -> None:
        monkeypatch.setattr(sys, "argv", ["curve", *map(str, names), "-o", str(picture)])
        main()

    (tmp_path / "torn.csv").write_text(logs[1].read_text() + "8,8.0,-0.2")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for path, said in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "torn.csv", "line 9: expected 6 numbers, got '8,8.0,-0.2'"),
        (tmp_path / "other.csv", "expected the header step,seconds,.* got 'a,b'"),
        (logs[2], "no step"),
    ):
        with pytest.raises(SystemExit, match=f"{re.escape(str(path))}.*{said}"):
            draw(logs[0], path)
    assert not picture.exists()
    sizes = []
    for runs in (logs[:1], logs[:2]):
        draw(*runs)
        assert picture.read_bytes().startswith(b"\x89PNG")
        sizes.append(picture.stat().st_size)
    assert sizes[0] != sizes[1]
    assert not list(tmp_path.glob("*.part"))
