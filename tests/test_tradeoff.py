"""The picture of quality against time: every run is measured alike, and nothing beats what is called best."""

import csv
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import NOISE, write_checkpoint
from tiny_data import make_data, write_list

from export.networks import TRUNKS
from export.tradeoff import Point, best_for_their_time, main, write

GROUPED = replace(NOISE, trunk="grouped", groups=2, layers=1)
BANDS = replace(NOISE, trunk="bands", groups=4, layers=1)
points = st.builds(
    Point,
    run=st.just("a"),
    trunk=st.sampled_from(TRUNKS),
    layers=st.integers(1, 4),
    hidden=st.integers(1, 400),
    groups=st.integers(1, 4),
    parameters=st.integers(0, 3_000_000),
    time_us=st.integers(10, 200),
    si_sdri_db=st.integers(-5, 15),
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["tradeoff", *map(str, arguments)])
    main()


@given(st.lists(points, min_size=1))
def test_nothing_beats_what_is_best_for_its_time(measured: list[Point]) -> None:
    best = best_for_their_time(measured)
    assert [point.time_us for point in best] == sorted({point.time_us for point in best})
    for point in measured:
        as_fast = [other for other in best if other.time_us <= point.time_us]
        if point in best:
            assert all(other.si_sdri_db < point.si_sdri_db for other in as_fast if other != point)
        else:
            assert any(other.si_sdri_db >= point.si_sdri_db for other in as_fast)


def test_every_run_is_a_point_of_the_picture_and_a_row_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data(tmp_path / "data")
    write_list(data)
    for name, recipe in (("stack", NOISE), ("groups", GROUPED), ("bands", BANDS)):
        (tmp_path / name).mkdir()
        write_checkpoint(tmp_path / name / "best.pt", recipe)
        (tmp_path / name / "last.pt").write_bytes(b"not looked at")
    out = tmp_path / "pictures" / "tradeoff.png"
    runs = tmp_path / "stack", tmp_path / "groups", tmp_path / "bands"
    run(monkeypatch, *runs, "--data", data, "--domain", "noise", "-o", out)
    assert out.read_bytes().startswith(b"\x89PNG")
    with open(out.with_suffix(".csv"), newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert list(next(iter(rows.values()))) == [*(field.name for field in fields(Point)), "best_for_its_time"]
    sizes = {name: [row[key] for key in ("trunk", "layers", "hidden", "groups")] for name, row in rows.items()}
    assert sizes == {
        "stack": ["lstm", "2", "8", "1"],
        "groups": ["grouped", "1", "8", "2"],
        "bands": ["bands", "1", "8", "4"],
    }
    for row in rows.values():
        assert -30 < float(row["si_sdri_db"]) < 30
        assert float(row["time_us"]) > 0
    assert "True" in {row["best_for_its_time"] for row in rows.values()}
    assert sorted(path.name for path in out.parent.iterdir()) == ["tradeoff.csv", "tradeoff.png"]


def test_one_point_is_a_picture_too(tmp_path: Path) -> None:
    write(tmp_path / "one.png", [Point("a", "lstm", 2, 288, 1, 1_370_000, 70.0, 9.0)], "noise")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_measured_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = make_data(tmp_path / "data"), tmp_path / "tradeoff.png"
    folder = tmp_path / "run"
    folder.mkdir()

    def complaint(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ended:
            run(monkeypatch, folder, "--data", data, "--domain", *arguments)
        assert ended.value.code not in (0, None)
        return str(ended.value.code) + capsys.readouterr().err

    assert "mixtures.csv" in complaint("noise", "-o", out)
    write_list(data)
    assert f"{folder}: expected the folder of a training run" in complaint("noise", "-o", out)
    (folder / "last.pt").write_bytes(b"half a checkpo")
    assert "last.pt: expected a checkpoint" in complaint("noise", "-o", out)
    write_checkpoint(folder / "last.pt", replace(NOISE, recipe="music"))
    assert "last.pt: recipe: expected 'noise'" in complaint("noise", "-o", out)
    assert "ends in .png" in complaint("noise", "-o", tmp_path / "tradeoff.jpg")
    assert "invalid choice: 'traffic'" in complaint("traffic", "-o", out)
    assert not list(tmp_path.glob("tradeoff*"))
