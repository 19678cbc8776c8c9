"""The demo is one pass of the live engine, and what it writes is what it says."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import streamsep
from streamsep.audio import files
from streamsep.cli.main import app
from streamsep.demo.run import Performance, bundled_scene, perform

SCENE = bundled_scene()
SOURCES = [name for segment in SCENE.segments for name in segment.sources]


@pytest.fixture(scope="module")
def done() -> Performance:
    with streamsep.load(domain=SCENE.segments[0].domain, rate=SCENE.rate) as engine:
        return perform(engine, SCENE)


def test_the_sources_add_up_to_the_mixture_through_the_hand_over(done: Performance) -> None:
    np.testing.assert_allclose(done.sources.sum(axis=0), SCENE.mixture, atol=1e-5)


def test_until_the_hand_over_it_is_what_separate_gives(done: Performance) -> None:
    first = SCENE.segments[0]
    alone = streamsep.separate(SCENE.mixture[: first.stop], SCENE.rate, domain=first.domain)
    heard = slice(0, first.stop - alone.latency.samples)  # what comes later has heard a little of what follows
    np.testing.assert_array_equal(done.listen[heard], alone.listen[heard])
    np.testing.assert_array_equal(done.sources[:, heard], np.stack(list(alone.sources.values()))[:, heard])


def test_every_source_stands_out_better_after_than_before(done: Performance) -> None:
    assert [figure.source for figure in done.figures] == SOURCES
    assert all(figure.after_db > figure.before_db for figure in done.figures)


def test_the_command_writes_the_sounds_and_the_picture(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "out"), "--json"])
    assert outcome.exit_code == 0, outcome.output
    said = json.loads(outcome.stdout)
    names = ["mixture.wav", "listen.wav", *(f"{name}.wav" for name in SOURCES), "demo.png"]
    assert [Path(path).name for path in said["files"]] == names
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert [list(segment["si_sdr_db"]) for segment in said["segments"]] == [list(s.sources) for s in SCENE.segments]
    assert said["latency"]["ms"] == 8
    mixture, rate = files.read(tmp_path / "out" / "mixture.wav")
    np.testing.assert_array_equal(mixture[:, 0], SCENE.mixture)
    assert rate == SCENE.rate
    for segment in SCENE.segments:
        for name in segment.sources:
            assert len(files.read(tmp_path / "out" / f"{name}.wav")[0]) == segment.stop - segment.start
    picture = (tmp_path / "out" / "demo.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20]) == 1400  # its width


def test_without_matplotlib_there_is_all_but_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    outcome = CliRunner().invoke(app, ["demo", "-o", str(tmp_path)])
    assert outcome.exit_code == 0, outcome.output
    assert "streamsep[figures]" in outcome.stderr
    assert not (tmp_path / "demo.png").exists()
    for told in ("speech", "vocals", "listen.wav", "8.00"):
        assert told in outcome.stdout


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = CliRunner().invoke(app, ["demo", "-o", str(tmp_path / "file")])
    assert outcome.exit_code == 1
    assert "cannot be written" in outcome.stderr
