"""A release is whole or not there, good enough, and says what it is made of."""

import hashlib
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import numpy_helper
from scipy.special import logit
from small_networks import NOISE, write_checkpoint
from tiny_data import make_data, write_list

import export.centres
import export.release
import export.replaced
from export.card import ABOUT
from export.figures import read_metrics, refigure
from export.frontend import FrontEnd
from export.parity import (
    analyse,
    at_once,
    reference,
    speech_like,
)
from export.release import main, release, temper
from export.start import read_start
from export.temperature import Temperature
from export.to_onnx import KINDS, quantise
from streamsep.bench.machine import cpu_model
from streamsep.models.loader import Batch, open_model, read_manifest
from streamsep.models.manifest import Manifest

MUSIC = replace(NOISE, recipe="music")
FRONT = FrontEnd(NOISE.window, NOISE.synthesis, NOISE.hop)
GRAPHS = [f"{kind}-{precision}" for kind in ("step", "look-back") for precision in ("fp32", "int8")]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(export.centres, "MIXTURES", 4)  # centres are tested elsewhere
    return make_data(tmp_path / "data")


@pytest.mark.parametrize("kind", ["step", "look-back"])
def test_a_ruined_graph_of_eight_bits_is_not_released(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def ruin(exact: onnx.ModelProto) -> onnx.ModelProto:
        found = quantise(exact)
        for weight in found.graph.initializer:
            if weight.name == "head.bias" and exact.graph.name == kind:
                weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + 5, weight.name))
        return found

    write_checkpoint(tmp_path / "noise.pt")
    monkeypatch.setattr(export.release, "quantise", ruin)
    with pytest.raises(ValueError, match=f"8 bits: .*{KINDS[kind]}"):
        release(tmp_path / "noise.pt", data, tmp_path / "zoo", "1.0", tmp_path / "cache")
    assert not list((tmp_path / "zoo").iterdir())


def test_a_release_has_the_temperature_that_suits_the_validation_list(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = write_checkpoint(tmp_path / "noise.pt")
    zoo, found = tmp_path / "zoo", Temperature(0.6, 0.25, 1)
    monkeypatch.setattr(export.release, "best_temperature", lambda *_: found)
    frames = analyse(FRONT, speech_like(np.random.default_rng(7), 0.5))
    wanted = reference(net, frames)
    assert "no validation list" in temper(net, FRONT, data, "noise")
    np.testing.assert_array_equal(reference(net, frames)["masks"], wanted["masks"])
    write_list(data)
    release(tmp_path / "noise.pt", data, zoo, "1.0", tmp_path / "cache")
    masks, embeddings = (at_once(Batch(zoo / f"noise-{kind}-fp32.onnx"), frames)[0] for kind in KINDS)
    np.testing.assert_allclose(logit(masks), 0.6 * logit(wanted["masks"]), atol=1e-4)
    np.testing.assert_allclose(embeddings, wanted["embeddings"], atol=1e-4)
    for said in (capsys.readouterr().out, (zoo / "noise.md").read_text(encoding="utf-8")):
        assert "multiplied by 0.6 (temperature 1.67)" in said
        assert "on the 1 validation mixtures, where it gains 0.25 dB" in said


def test_a_release_is_complete_and_says_what_it_was_trained_on(data: Path, tmp_path: Path) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    write_list(data)
    write_checkpoint(tmp_path / "noise.pt")
    figures = {"mean": 6.5, "low": 6.0, "high": 7.0, "n": 200}
    nothing = {"mean": None, "low": None, "high": None, "n": 0}
    metrics = {
        "noise.test.int8.si_sdri_db": figures,
        "noise.hop": 2,
        "noise.none": nothing,
        "noise-3.test.int8-clusters.si_sdri_db": figures,
        "noisette.test.int8.si_sdri_db": figures,
        "music.test.si_sdri_db": figures,
    }
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    release(tmp_path / "noise.pt", data, zoo, "1.1", cache)
    assert "Not measured yet." in (zoo / "noise.md").read_text(encoding="utf-8")
    refigure(zoo, "noise", read_metrics([tmp_path / "metrics.json"], "noise"))

    assert sorted(path.name for path in zoo.iterdir()) == sorted(
        ["SHA256SUMS", "noise.md", *(f"noise-{name}.onnx" for name in GRAPHS)]
    )
    sums = dict(reversed(line.split("  ")) for line in (zoo / "SHA256SUMS").read_text().splitlines())
    assert len(sums) == 5
    for name, expected in sums.items():
        assert hashlib.sha256((zoo / name).read_bytes()).hexdigest() == expected
    for name in GRAPHS:
        manifest = read_manifest(zoo / f"noise-{name}.onnx")
        assert f"{manifest.graph}-{manifest.precision}" == name
        assert (manifest.version, manifest.training.steps, manifest.training.seed) == ("1.1", 70, 1)
        assert manifest.parameters == open_model(zoo / "noise-step-fp32.onnx")[0].parameters > 1000
        minutes = {item.corpus: item.minutes for item in manifest.training.data}
        assert (minutes["Street"], minutes["TSP"]) == (0.15, 0.05)
        assert not minutes.keys() & {"PicovoiceBarista", "MIR-1K"}
        assert manifest.licence.startswith("Research use only: trained on what nobody recorded")
        assert list(manifest.metrics) == [*list(metrics)[:3], "noise-3.test.int8-clusters.si_sdri_db"]
        assert json.loads(manifest.training.recipe) == asdict(NOISE)
    card = (zoo / "noise.md").read_text(encoding="utf-8")
    for said in (
        "`int8` is the model through the whole engine, in 8 bits; `int8-clusters` is the engine with live clustering",
        "`noise-3` has mixtures of 3, which the same network separates by clustering, K = 3.",
        f"in one thread of {cpu_model()}, as",
        onnx.load(zoo / "noise-step-int8.onnx").doc_string,
    ):
        assert said in card
    assert not re.search("`fp32`|`random`|`pesq`", card)
    assert len(re.findall(r"\| noise-.*\.onnx \| .* MB \| 0\.\d\d\d ms \|", card)) == len(GRAPHS)
    assert "- What came before was not recorded." in card  # for the checkpoint is an old one
    assert "6.50 (6.00 to 7.00, n = 200)" in card
    assert "nothing to measure" in card
    assert "over the 1 validation mixtures" in card
    assert "| TSP | 0.1 | BSD |" in card or "| TSP | 0.0 | BSD |" in card


def test_music_is_for_research_and_the_checksums_cover_the_whole_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = tmp_path / "zoo"
    monkeypatch.chdir(tmp_path)
    for recipe in (NOISE, MUSIC):
        write_checkpoint(tmp_path / "last.pt", recipe)
        monkeypatch.setattr(sys, "argv", ["release", "last.pt", "--data", str(data), "--out", str(zoo)])
        main()
    manifest = read_manifest(zoo / "music-step-int8.onnx")
    assert manifest.licence.startswith("Research use only: trained on MIR-1K")
    assert manifest.sources == ("vocals", "accompaniment")
    assert manifest.metrics == {}
    assert len((zoo / "SHA256SUMS").read_text().splitlines()) == 10
    assert "Not measured yet" in (zoo / "music.md").read_text(encoding="utf-8")
    assert "the price in SI-SDR was not measured" in (zoo / "music.md").read_text(encoding="utf-8")
    assert "none \\| for research" in (zoo / "music.md").read_text(encoding="utf-8")


def test_all_that_the_weights_went_through_is_on_the_card_with_its_data(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo, checkpoint = tmp_path / "zoo", tmp_path / "last.pt"
    (tmp_path / "music.yaml").write_text(yaml.safe_dump(asdict(MUSIC)))
    monkeypatch.chdir(tmp_path)

    def released(*more: str) -> tuple[Manifest, str]:
        monkeypatch.setattr(sys, "argv", ["release", "last.pt", "--data", str(data), "--out", str(zoo), *more])
        main()
        return read_manifest(zoo / "speech-step-int8.onnx"), (zoo / "speech.md").read_text(encoding="utf-8")

    def minutes(manifest: Manifest) -> dict[str, float]:
        return {item.corpus: item.minutes for item in manifest.training.data}

    write_checkpoint(checkpoint, replace(NOISE, recipe="speech"))  # of a run that recorded nothing
    manifest, card = released("--after", "music.yaml")
    assert minutes(manifest) == {"TSP": 0.05, "AN4": 0.05, "MIR-1K": 0.1, "Band": 0.05}
    assert manifest.licence.startswith("Research use only")
    assert "- An unrecorded number of steps of recipe music, " in card
    assert "not recorded" not in card

    content = torch.load(checkpoint, weights_only=True)
    torch.save(content | {"before": [{"recipe": asdict(NOISE), "steps": 33}]}, checkpoint)
    manifest, card = released()
    assert minutes(manifest) == {"Street": 0.15, "TSP": 0.05, "AN4": 0.05, "Band": 0.05}  # shared ones count once
    assert [json.loads(stage) for stage in manifest.training.before] == [{"recipe": asdict(NOISE), "steps": 33}]
    assert "- 33 steps of recipe noise, " in card
    assert manifest.licence.startswith("MIT")
    heard = [{"corpus": "WSJ0", "minutes": 1800.0, "licence": "LDC user agreement"}]  # on another disk
    torch.save(content | {"before": [], "heard": heard}, checkpoint)
    manifest, card = released()
    assert minutes(manifest) == {"WSJ0": 1800.0}
    assert manifest.licence.startswith("Research use only: trained on WSJ0")
    torch.save(content | {"before": [{"recipe": asdict(NOISE), "steps": 33, "heard": heard}]}, checkpoint)
    manifest, card = released()
    assert minutes(manifest) == {"WSJ0": 1800.0, "TSP": 0.05, "AN4": 0.05}
    assert manifest.licence.startswith("Research use only: trained on WSJ0")
    with pytest.raises(SystemExit, match=r"last\.pt: --after: needless"):
        released("--after", "music.yaml")


def test_data_of_a_released_model_that_was_trained_on_stay_on_the_card_and_in_the_licence(
    data: Path, tmp_path: Path
) -> None:
    """Whoever trains it on has other sound on his disk."""
    write_checkpoint(tmp_path / "music.pt", MUSIC)
    release(tmp_path / "music.pt", data, tmp_path / "zoo", "1.0", tmp_path / "cache")
    start = read_start(tmp_path / "zoo" / "music-step-fp32.onnx")
    mine = make_data(tmp_path / "mine")
    rows = (mine / "manifest.csv").read_text().splitlines()
    kept = [row for row in rows if "MIR-1K" not in row and "Band" not in row]
    (mine / "manifest.csv").write_text("\n".join([*kept, ""]))  # no vocals at all, though music was learnt first
    write_checkpoint(tmp_path / "noise.pt")
    content = torch.load(tmp_path / "noise.pt", weights_only=True)
    torch.save(content | {"before": start.stages}, tmp_path / "noise.pt")
    release(tmp_path / "noise.pt", mine, tmp_path / "mine-zoo", "1.0", tmp_path / "cache")
    manifest = read_manifest(tmp_path / "mine-zoo" / "noise-step-int8.onnx")
    minutes = {item.corpus: item.minutes for item in manifest.training.data}
    assert minutes == {"MIR-1K": 0.1, "Band": 0.05, "Street": 0.15, "TSP": 0.05, "AN4": 0.05}
    assert manifest.licence.startswith("Research use only: trained on MIR-1K")
    again = read_start(tmp_path / "mine-zoo" / "noise-step-fp32.onnx").stages  # and so on
    assert [(stage or {}).get("recipe", {}).get("recipe") for stage in again] == [None, "music", "noise"]


def test_a_card_says_of_other_data_nothing_that_only_holds_for_ours(data: Path, tmp_path: Path) -> None:
    for known in (True, False):
        manifest = data / "manifest.csv"
        if not known:
            manifest.write_text(manifest.read_text().replace("MIR-1K", "Opera"))
        write_checkpoint(tmp_path / "music.pt", MUSIC)
        release(tmp_path / "music.pt", data, tmp_path / "zoo", "1.0", tmp_path / "cache")
        card = (tmp_path / "zoo" / "music.md").read_text(encoding="utf-8")
        notes = read_manifest(tmp_path / "zoo" / "music-step-int8.onnx").notes
        for said in (card, notes):
            assert ("karaoke" in said) == known
            assert "Backing vocals belong to neither source" in said
        assert "learning rate was falling" not in card


def test_a_recipe_nobody_described_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path / "last.pt")
    monkeypatch.delitem(ABOUT, "noise")
    with pytest.raises(ValueError, match="says nothing of 'noise'"):
        release(tmp_path / "last.pt", data, tmp_path / "zoo", "1.0", tmp_path / "cache")


@pytest.mark.parametrize("step", ["quantise", "errors", "card", "checksums"])
def test_an_interrupted_release_leaves_only_whole_files(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    write_checkpoint(tmp_path / "last.pt")
    release(tmp_path / "last.pt", data, zoo, "1.0", cache)
    before = {path.name: path.read_bytes() for path in zoo.iterdir()}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export.replaced if step == "checksums" else export.release, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            release(tmp_path / "last.pt", data, zoo, "2.0", cache)
    after = {path.name: path.read_bytes() for path in zoo.iterdir()}
    assert after.keys() == before.keys()
    if step == "checksums":  # all files are new, and the checksums say that they are not of their release
        assert {read_manifest(path).version for path in zoo.glob("*.onnx")} == {"2.0"}
        assert after["SHA256SUMS"] == before["SHA256SUMS"]
    else:
        assert after == before


def test_what_a_killed_release_left_behind_is_cleared_away(data: Path, tmp_path: Path) -> None:
    left = tmp_path / "zoo" / ".noise.part"
    left.mkdir(parents=True)
    (left / "noise-step-fp32.onnx").write_bytes(b"half a mod")
    (left / "rubbish.onnx").write_bytes(b"rubbish")
    write_checkpoint(tmp_path / "last.pt")
    release(tmp_path / "last.pt", data, tmp_path / "zoo", "1.0", tmp_path / "cache")
    assert not left.exists()
    assert not (tmp_path / "zoo" / "rubbish.onnx").exists()
