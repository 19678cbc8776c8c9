"""New figures for released models: the shipped ones, copied."""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from export.figures import main
from streamsep.models.bank import ZOO
from streamsep.models.loader import read_manifest

FIGURE = {"mean": 5.125, "low": 4.0, "high": 6.0, "n": 200}


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """Two of the shipped models."""
    folder = tmp_path / "bank"
    folder.mkdir()
    for domain in ("music", "noise"):
        for path in ZOO.glob(f"{domain}*"):
            shutil.copy(path, folder)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, bank: Path, told: Any) -> None:
    file = bank.parent / "q.json"
    file.write_text(json.dumps(told))
    monkeypatch.setattr(sys, "argv", ["export.figures", str(bank), "--metrics", str(file)])
    main()


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob(pattern))}


def test_only_the_figures_of_the_models_that_were_measured_change(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, weights = contents(bank, "noise*"), onnx.load(bank / "music-step-int8.onnx").graph
    before = read_manifest(bank / "music-step-int8.onnx")
    card = (bank / "music.md").read_text(encoding="utf-8")
    run(monkeypatch, bank, {"music.test.int8.si_sdri_db": FIGURE, "speech.test.int8.si_sdri_db": FIGURE})
    assert contents(bank, "noise*") == others
    for path in bank.glob("music-*.onnx"):
        manifest = read_manifest(path)
        assert manifest.metrics == {**before.metrics, "music.test.int8.si_sdri_db": FIGURE}
    after = read_manifest(bank / "music-step-int8.onnx")
    assert after.model_copy(update={"metrics": before.metrics}) == before
    assert onnx.load(bank / "music-step-int8.onnx").graph == weights
    said = (bank / "music.md").read_text(encoding="utf-8")
    assert "| `music.test.int8.si_sdri_db` | 5.12 (4.00 to 6.00, n = 200) |" in said
    assert said.count("| `music.") == card.count("| `music.") == len(before.metrics)
    assert said.partition("## Figures")[0] == card.partition("## Figures")[0]
    assert said.partition("8 bits: ")[2] == card.partition("8 bits: ")[2]
    listed = (bank / "SHA256SUMS").read_text().splitlines()
    assert sorted(listed) == sorted(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in bank.iterdir()
        if path.name != "SHA256SUMS"
    )


def test_the_same_figures_once_more_change_nothing(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(read_manifest(bank / "noise-step-int8.onnx").metrics)
    run(monkeypatch, bank, known)
    first = contents(bank, "noise*")
    run(monkeypatch, bank, known)
    assert contents(bank, "noise*") == first


@pytest.mark.parametrize(
    ("told", "complaint"),
    [({"speech.test.x": FIGURE}, "nothing in these files is of a model"), ({"music.test.x": "good"}, "music.test.x")],
)
def test_what_is_no_figure_of_these_models_changes_nothing(
    bank: Path, monkeypatch: pytest.MonkeyPatch, told: Any, complaint: str
) -> None:
    before = contents(bank, "*")
    with pytest.raises(SystemExit, match=complaint):
        run(monkeypatch, bank, told)
    assert contents(bank, "*") == before


def test_a_card_that_is_none_is_named_and_nothing_is_replaced(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (bank / "music.md").write_text("# mine\n", encoding="utf-8")
    before = contents(bank, "*")
    with pytest.raises(SystemExit, match=r"music\.md: expected a card that export\.release wrote"):
        run(monkeypatch, bank, {"music.test.int8.si_sdri_db": FIGURE})
    assert contents(bank, "*") == before
