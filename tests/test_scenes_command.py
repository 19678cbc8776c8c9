"""`streamsep scenes`: the monitor measured on scenes, by a person at a prompt."""

import json
from pathlib import Path
from typing import Any

import pytest
from calibrated import make_calibrated_bank, promising
from matplotlib.image import imread
from tiny_scenes import make_scenes
from typer.testing import CliRunner

from streamsep.cli.main import app
from streamsep.evaluation import scene_run


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Scenes, and a bank for two of their domains."""
    promises = {"music": promising(-10.0, balance=30.0), "noise": promising(2.0, balance=0.0)}
    bank = make_calibrated_bank(tmp_path_factory.mktemp("bank"), **promises)
    return make_scenes(tmp_path_factory.mktemp("scenes")), bank


def run(folders: tuple[Path, Path], *arguments: object) -> Any:
    data, bank = folders
    changes = ["--set", f"models.bank={bank}", "--set", "models.precision=fp32", "--processes", "1"]
    return CliRunner().invoke(app, ["scenes", str(data), "--split", "val", *map(str, arguments), *changes])


def test_it_tells_how_the_right_domain_was_followed_and_what_that_was_worth(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept = tmp_path / "found.json", tmp_path / "kept"
    wanted = ["--limit", 1, "--json", file, "--pictures", tmp_path / "pictures", "--kept", kept]
    done = run(folders, *wanted)
    assert done.exit_code == 0, done.output
    found = json.loads(file.read_text())
    assert 0 <= found["correct_share"]["mean"] <= 1
    for system in ("switched", "random", "oracle", "best-fixed", "fixed.noise", "fixed.music"):
        assert f"si_sdri_db.whole.{system}" in found
    assert "1 listed scenes of val" in done.stdout
    for name in ("listed-worth.png", "listed-delays.png"):
        assert imread(tmp_path / "pictures" / name).shape[0] > 300
    renderings = len(list(kept.iterdir()))
    assert renderings == 3  # two models, and the switch
    with monkeypatch.context() as patched:
        patched.setattr(scene_run, "improvements_db", lambda *_: pytest.fail("this was known"))
        assert run(folders, *wanted).exit_code == 0
        assert json.loads(file.read_text()) == found
        assert [find for find in found if find.startswith("si_sdri_db") and found[find]["low"] is not None] == []
    damaged = sorted(kept.iterdir())[0]
    damaged.write_text(damaged.read_text()[:10])  # as a disk that was full leaves it
    assert run(folders, *wanted).exit_code == 0
    assert json.loads(file.read_text()) == found
    assert run(folders, *wanted, "--set", "monitor.every_s=1").exit_code == 0
    assert len(list(kept.iterdir())) == renderings + 1  # one model all the time sounds as it did
    assert run(folders, *wanted, "--set", "latency.synthesis_ms=4").exit_code == 0
    assert len(list(kept.iterdir())) == 2 * renderings + 1


def test_what_cannot_be_measured_is_said_at_once(folders: tuple[Path, Path], tmp_path: Path) -> None:
    def refused(*arguments: object) -> str:
        done = run(folders, *arguments)
        assert done.exit_code == 1
        return " ".join(done.stderr.split())

    assert "--scenes: expected one of ['listed', 'made'], got 'all'" in refused("--scenes", "all")
    assert "is not a folder" in refused("--json", tmp_path / "nowhere" / "a.json")
    assert "the bank has no speech" in refused()
