"""What a command measures for long has a place before it begins, and takes it whole or not at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_up import made_up
from small_disk import small_disk
from tiny_lists import make_lists
from typer.testing import CliRunner

from streamsep.cli.main import app
from streamsep.demo import run as demo_run
from streamsep.errors import StreamsepError
from streamsep.report.runner import write_whole
from streamsep.report.study import Lists


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Lists:
    return make_lists(tmp_path_factory.mktemp("lists"))


def refused(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)  # not one that nobody has caught
    return str(done.stderr.splitlines()[-1])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever measures anything fails."""
    for measuring in (
        "streamsep.bench.run.measure",
        "streamsep.evaluation.quality.measure",
        "streamsep.evaluation.scene_run.measure_scenes",
        "streamsep.report.runner._pool",
        "streamsep.demo.run.perform",
    ):
        monkeypatch.setattr(measuring, lambda *_, **__: pytest.fail("this was measured"))


@pytest.mark.parametrize("size", [0, 100, 30_000])
def test_on_a_full_disk_an_earlier_benchmark_stays_as_it_was(tmp_path: Path, size: int) -> None:
    folder, report = tmp_path / "out", tmp_path / "new.json"
    report.write_text(json.dumps(made_up()))
    assert CliRunner().invoke(app, ["bench", str(report), "-o", str(folder)]).exit_code == 0
    before = contents(folder)
    report.write_text(json.dumps(made_up(2.0)))
    with small_disk(size):
        assert "File too large" in refused("bench", report, "-o", folder)
    assert contents(folder) == before
    assert len(before) == 3


def command(which: str, lists: Lists, place: Path) -> list[object]:
    chosen = ["--set", f"models.bank={lists.bank}", "--set", "models.precision=fp32"]
    data = lists.folder
    return {
        "bench": ["bench", "-o", place, *chosen],
        "demo": ["demo", "-o", place],
        "evaluate": ["evaluate", "--lists", data, "--bank", lists.bank, "--studies", "selection", "-o", place],
        "pictures": ["scenes", data, "--pictures", place, *chosen],
        "quality": ["quality", data, "--json", place, "--precision", "fp32", "--set", chosen[1]],
        "scenes": ["scenes", data, "--json", place, *chosen],
    }[which]


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("which", ["bench", "demo", "evaluate", "pictures"])
def test_a_folder_that_cannot_be_written_into_is_told_before_anything_is_measured(
    which: str, lists: Lists, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file' / 'out'}: cannot be written into: Not a directory" in refused(
        *command(which, lists, tmp_path / "file" / "out")
    )
    with small_disk(0):
        assert f"{tmp_path / 'out'}: cannot be written into: File too large" in refused(
            *command(which, lists, tmp_path / "out")
        )


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("which", ["quality", "scenes"])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_measured(
    which: str, lists: Lists, tmp_path: Path
) -> None:
    for file, said in (
        (tmp_path, f"--json: {tmp_path} is a folder; name a file"),
        (tmp_path / "nowhere" / "a.json", f"--json: {tmp_path / 'nowhere'} is not a folder"),
        (tmp_path / ("y" * 300), "cannot be written: File name too long"),
    ):
        assert said in refused(*command(which, lists, file))
    with small_disk(0):
        assert f"{tmp_path}: cannot be written into: File too large" in refused(
            *command(which, lists, tmp_path / "a.json")
        )
    assert list(tmp_path.iterdir()) == []


def test_the_figures_of_a_full_disk_leave_the_old_ones(lists: Lists, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    with small_disk(64):
        said = refused(*command("quality", lists, file), "--processes", "1", "--limit", "1", "--domains", "noise")
    assert said == f"streamsep: {file}: cannot be written: File too large"
    assert contents(tmp_path) == {"a.json": b"old"}


def test_a_part_of_a_report_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "part.json"
    with small_disk(10), pytest.raises(StreamsepError, match=r"part\.json: cannot be written: File too large"):
        write_whole(path, "x" * 100)
    assert list(path.parent.iterdir()) == []
    write_whole(path, "x" * 100)
    assert path.read_text() == "x" * 100


def test_a_picture_whose_place_is_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo.png").mkdir()
    monkeypatch.setattr(demo_run, "draw_scene", lambda path, *_: path.write_text("a picture"))
    assert f"{tmp_path / 'demo.png'}: cannot be written: Is a directory" in refused("demo", "-o", tmp_path)
    assert not list(tmp_path.glob(".*"))


# ------------------------------------------------------------------------------------------- what `--set` cannot say


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(
    ("which", "change", "said"),
    [
        ("quality", "models.precision=fp32", "--set models.precision: --precision decides it"),
        ("quality", "models.method=clusters", "--set models.method: --systems decides it"),
        ("quality", "models.sources=3", "--set models.sources: --sources decides it"),
        ("quality", "models={sources: 3}", "--set models.sources: --sources decides it"),
        ("quality", "domain=noise", "--set domain: --domains decides it"),
        ("scenes", "domain=noise", "--set domain: the monitor chooses it"),
        ("score", "domain=noise", "--set domain: every domain's model is asked"),
    ],
)
def test_a_setting_that_something_else_decides_is_refused(
    which: str, change: str, said: str, lists: Lists, tmp_path: Path
) -> None:
    wanted: list[Any] = ["score", "in.wav"] if which == "score" else command(which, lists, tmp_path / "a.json")
    assert said in refused(*wanted, "--set", change)
