"""Exported graphs compute what the training network computes, and a release is whole or not there."""

import hashlib
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from scipy.special import logit
from small_networks import NOISE, network, shapes, write_checkpoint
from tiny_data import make_data, write_list

import export.centres
import export.release
from export.card import ABOUT
from export.corpus import RATE
from export.frontend import FrontEnd
from export.licences import weights_licence
from export.networks import Chimera, Shape
from export.parity import (
    TOLERANCE,
    analyse,
    at_once,
    check,
    check_8_bits,
    errors,
    frame_by_frame,
    price_db,
    reference,
    snr_db,
    speech_like,
    times_per_hop_ms,
)
from export.release import main, release
from export.temperature import Temperature
from export.to_onnx import KINDS, count_nodes, export_graph, load_checkpoint, quantise, save
from streamsep.bench.machine import cpu_model
from streamsep.models.loader import Batch, open_model, read_manifest
from streamsep.models.manifest import METADATA_KEY, Corpus, Manifest

MUSIC = replace(NOISE, recipe="music")
SHAPE = NOISE.shape()
GROUPED = replace(SHAPE, trunk="grouped", groups=2)
FRONT = FrontEnd(NOISE.window, NOISE.synthesis, NOISE.hop)
GRAPHS = [f"{kind}-{precision}" for kind in ("step", "look-back") for precision in ("fp32", "int8")]


def export_all(net: Chimera, folder: Path) -> dict[str, Batch]:
    """All four graphs, each opened by the run-time."""
    manifest = Manifest(
        format=1,
        domain="noise",
        version="1.0",
        graph="step",
        precision="fp32",
        sample_rate=RATE,
        window=NOISE.window,
        synthesis_window=NOISE.synthesis,
        hop=NOISE.hop,
        sources=("speech", "noise", "hum")[: net.shape.sources],
        embedding_dims=net.shape.dims,
        states=net.shape.state_shapes(),
        licence="MIT",
    )
    return {name: Batch(path) for name, path in export.release.write_graphs(net, manifest, folder).items()}


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Batch]:
    return export_all(network(SHAPE), tmp_path_factory.mktemp("graphs"))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(export.centres, "MIXTURES", 4)  # centres are tested elsewhere
    return make_data(tmp_path / "data")


@settings(max_examples=10, deadline=None)
@given(shape=shapes(most_sources=3), seed=st.integers(0, 2**31))
def test_every_way_to_run_the_graphs_agrees_with_the_training_network(
    tmp_path_factory: pytest.TempPathFactory, shape: Shape, seed: int
) -> None:
    net = network(shape, seed)
    exported = export_all(net, tmp_path_factory.mktemp("graphs"))
    frames = analyse(FRONT, speech_like(np.random.default_rng(seed), 0.5))
    found = errors(net, frames, exported["step-fp32"], exported["look-back-fp32"])
    assert len(found) == 6
    assert max(found.values()) <= TOLERANCE
    for run in (at_once, frame_by_frame):
        cheap = run(exported["step-int8"], frames)[0]
        assert snr_db(cheap, at_once(exported["step-fp32"], frames)[0]) > 20


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 499), unique=True), name=st.sampled_from(["step-fp32", "look-back-fp32"]))
def test_frames_in_pieces_give_what_they_give_at_once(graphs: dict[str, Batch], cuts: list[int], name: str) -> None:
    frames = analyse(FRONT, speech_like(np.random.default_rng(1), 0.5))
    whole, last = at_once(graphs[name], frames)
    state, pieces = graphs[name].start(), []
    for piece in np.split(frames, sorted(cuts)):
        result, state = graphs[name].run(piece, state)
        pieces.append(result)
    np.testing.assert_allclose(np.concatenate(pieces), whole, rtol=0, atol=1e-5)
    for key, value in last.items():
        np.testing.assert_allclose(state[key], value, rtol=1e-4, atol=1e-5)


def test_the_past_does_not_depend_on_the_future(graphs: dict[str, Batch]) -> None:
    frames = analyse(FRONT, speech_like(np.random.default_rng(2), 0.5))
    for poison in (np.nan, 1e6):
        other = frames.copy()
        other[300:] = poison
        for name in ("step-fp32", "look-back-fp32"):
            past, same = at_once(graphs[name], frames)[0][:300], at_once(graphs[name], other)[0][:300]
            np.testing.assert_array_equal(past, same)


def test_masks_add_up_to_one_and_embeddings_have_unit_norm(graphs: dict[str, Batch]) -> None:
    frames = analyse(FRONT, speech_like(np.random.default_rng(3), 0.5))
    for precision in ("fp32", "int8"):
        masks = at_once(graphs[f"step-{precision}"], frames)[0]
        embeddings = at_once(graphs[f"look-back-{precision}"], frames)[0]
        assert masks.min() >= 0
        np.testing.assert_allclose(masks.sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), 1, atol=1e-5)


def test_any_finite_sound_gives_finite_masks_and_state(graphs: dict[str, Batch]) -> None:
    for size in (0.0, 1e-38, 1e-20, 1e20, 3e38):
        frames = np.full((300, NOISE.window // 2 + 1), size + 1j * size, np.complex64)
        for graph in graphs.values():
            result, state = at_once(graph, frames)
            assert all(np.isfinite(value).all() for value in (result, *state.values()))


def test_a_quarter_of_an_hour_at_once_stays_finite(graphs: dict[str, Batch]) -> None:
    frames = np.ones((15 * 60 * 250, NOISE.window // 2 + 1), np.complex64)
    masks, state = at_once(graphs["step-fp32"], frames)
    assert np.isfinite(masks).all()
    assert state["level"][0, 0, 0] == pytest.approx(state["level"][0, 0, 1])  # the mean power is that of every frame


def test_eight_bits_are_smaller_and_nearly_as_good(tmp_path: Path) -> None:
    graphs = export_all(network(replace(SHAPE, hidden=32)), tmp_path)
    frames = analyse(FRONT, speech_like(np.random.default_rng(4), 1.0))
    for kind in ("step", "look-back"):
        sizes = [(tmp_path / f"noise-{kind}-{precision}.onnx").stat().st_size for precision in ("int8", "fp32")]
        assert sizes[0] < 0.6 * sizes[1]
        exact = at_once(graphs[f"{kind}-fp32"], frames)[0]
        for run in (at_once, frame_by_frame):
            assert snr_db(run(graphs[f"{kind}-int8"], frames)[0], exact) > 20


@pytest.mark.parametrize("shape", [SHAPE, GROUPED])
def test_both_kinds_of_layers_are_quantised_and_the_level_is_not(shape: Shape) -> None:
    operators = {node.op_type for node in quantise(export_graph(network(shape), "step")).graph.node}
    assert {"DynamicQuantizeLSTM", "MatMulInteger", "RNN"} <= operators
    assert not {"LSTM", "MatMul", "Gemm"} & operators


@pytest.mark.parametrize(("shape", "operators"), [(SHAPE, 23), (GROUPED, 38), (replace(GROUPED, groups=1), 30)])
def test_the_step_graph_is_lean(shape: Shape, operators: int) -> None:
    graph = export_graph(network(shape), "step")
    assert count_nodes(graph) <= operators
    assert not {"Shape", "Cast", "Range", "Slice", "Constant"} & {node.op_type for node in graph.graph.node}


def test_the_same_network_gives_the_same_bytes() -> None:
    for kind in ("step", "look-back"):
        first, second = export_graph(network(SHAPE), kind), export_graph(network(SHAPE), kind)
        assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
        assert quantise(first).SerializeToString(deterministic=True) == quantise(second).SerializeToString(
            deterministic=True
        )


def test_the_manifest_is_the_only_metadata_and_comes_back_as_it_went_in(
    graphs: dict[str, Batch], tmp_path: Path
) -> None:
    graph, manifest = quantise(export_graph(network(SHAPE), "step")), graphs["step-int8"].manifest
    save(graph, manifest, tmp_path / "step.onnx")
    metadata = ort.InferenceSession(tmp_path / "step.onnx").get_modelmeta().custom_metadata_map
    assert list(metadata) == [METADATA_KEY]
    assert Manifest.model_validate_json(metadata[METADATA_KEY]) == manifest
    written = onnx.load(tmp_path / "step.onnx")
    assert len(written.metadata_props) == 1
    versions = f"onnx {onnx.__version__}, onnxruntime {ort.__version__}, torch {torch.__version__}"
    assert written.doc_string == f"ONNX opset 17, com.microsoft opset 1; written with {versions}"


def test_the_time_of_a_hop_is_found_for_every_graph(
    graphs: dict[str, Batch], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("timed")
    manifest = graphs["step-fp32"].manifest
    paths = list(export.release.write_graphs(network(SHAPE), manifest, folder).values())
    times = times_per_hop_ms(paths)
    assert len(times) == len(GRAPHS)
    assert min(times) > 0


def test_the_averaged_weights_are_the_ones_that_count(tmp_path: Path) -> None:
    net = write_checkpoint(tmp_path / "last.pt")
    recipe, loaded, steps = load_checkpoint(tmp_path / "last.pt")
    assert (recipe, steps) == (NOISE, 70)
    for name, value in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"no checkpoint")
    torch.save({"weights": torch.ones(2)}, tmp_path / "other.pt")
    write_checkpoint(tmp_path / "odd.pt")
    content = torch.load(tmp_path / "odd.pt", weights_only=True)
    content["recipe"]["groups"] = 3
    torch.save(content, tmp_path / "odd.pt")
    for name in ("last.pt", "other.pt", "missing.pt", "odd.pt"):
        with pytest.raises(ValueError, match=rf"{name}: expected a checkpoint"):
            load_checkpoint(tmp_path / name)


def test_graphs_of_another_network_do_not_pass(graphs: dict[str, Batch]) -> None:
    frames = analyse(FRONT, speech_like(np.random.default_rng(5), 0.5))
    found = errors(network(SHAPE, 9), frames, graphs["step-fp32"], graphs["look-back-fp32"])
    with pytest.raises(ValueError, match="differ from the training network"):
        check(found)
    with pytest.raises(ValueError, match="masks"):
        check({"masks": float("nan")})


def test_the_price_is_what_a_worse_estimate_loses() -> None:
    rng = np.random.default_rng(6)
    sources = rng.standard_normal((2, 8000)).astype(np.float32)
    noise = rng.standard_normal((2, 8000)).astype(np.float32)
    assert price_db(sources, sources + 0.1 * noise, sources + 0.1 * noise) == 0
    assert price_db(sources, sources + 0.01 * noise, sources + 0.1 * noise) == pytest.approx(20, abs=0.1)
    sources[1] = 0  # a silent source has no figure
    assert price_db(sources, sources + 0.01 * noise, sources + 0.1 * noise) == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize(
    ("ratios", "prices", "said"),
    [
        ({"masks": 19.9, "embeddings": 40.0}, [0.0], "masks"),
        ({"masks": 40.0, "embeddings": float("nan")}, [0.0], "embeddings"),
        ({"masks": 40.0}, [0.1, 0.6], r"may cost 0\.3 dB .* cost 0\.350 dB"),
        ({"masks": 40.0}, [0.1, float("nan")], "cost nan dB"),
    ],
)
def test_eight_bits_that_ruin_the_sound_do_not_pass(ratios: dict[str, float], prices: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=f"8 bits: .*{said}"):
        check_8_bits(ratios, prices)
    check_8_bits({"masks": 20.0}, [0.1, 0.5])
    check_8_bits({"masks": 20.0}, [])


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
        release(tmp_path / "noise.pt", data, tmp_path / "zoo", "1.0", [], tmp_path / "cache")
    assert not list((tmp_path / "zoo").iterdir())


def test_a_release_has_the_temperature_that_suits_the_validation_list(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    net = write_checkpoint(tmp_path / "noise.pt")
    zoo, found = tmp_path / "zoo", Temperature(0.6, 0.25, 1)
    monkeypatch.setattr(export.release, "best_temperature", lambda *_: found)
    frames = analyse(FRONT, speech_like(np.random.default_rng(7), 0.5))
    for factor in (1.0, 0.6):  # without a list, then with one
        release(tmp_path / "noise.pt", data, zoo, "1.0", [], tmp_path / "cache")
        masks, embeddings = (at_once(Batch(zoo / f"noise-{kind}-fp32.onnx"), frames)[0] for kind in KINDS)
        wanted = reference(net, frames)
        np.testing.assert_allclose(logit(masks), factor * logit(wanted["masks"]), atol=1e-4)
        np.testing.assert_allclose(embeddings, wanted["embeddings"], atol=1e-4)
        write_list(data)
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
    release(tmp_path / "noise.pt", data, zoo, "1.1", [tmp_path / "metrics.json"], cache)

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
        assert manifest.licence.startswith("MIT")
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


ESC_50 = "CC BY-NC 3.0 (ESC-50 collection; Freesound source clip {})"


@pytest.mark.parametrize(
    ("licences", "research", "also"),
    [
        ({"LibriSpeech": "CC BY 4.0", "AN4": "BSD-style: any use incl. commercial", "F": "CC0"}, "", ""),
        ({"EmoDB": "freely available by authors; Zenodo release says CC0; this repo states none"}, "", ""),
        ({"ESC-50": ESC_50.format("CC0"), "F": "CC0"}, "", "ESC-50 is not for commercial use as a collection, but"),
        ({"ESC-50": ESC_50.format("CC-BY"), "F": "CC0"}, "", "ESC-50 is not for commercial use as a collection, but"),
        ({"ESC-50": ESC_50.format("CC-BY-NC"), "F": "CC0"}, "ESC-50", ""),
        ({"Blanket": "CC BY-SA (blanket LICENSING.md)", "F": "CC0"}, "", "some clips of Blanket are to be shared"),
        ({"ESC-50": "CC BY-NC 3.0", "F": "CC0"}, "ESC-50", ""),
        ({"Libri2Mix": "CC BY-NC 4.0 (WHAM!)", "F": "CC0"}, "Libri2Mix", ""),
        ({"MUSDB18": "academic use only (MUSDB18; part of it CC BY-NC-SA)", "F": "MIT"}, "MUSDB18", ""),
        ({"WSJ0": "LDC user agreement (WSJ0, LDC93S6A)", "DNS": "mixed, to CC BY-NC", "F": "MIT"}, "DNS, WSJ0", ""),
        ({"MIR-1K": "free for research; no explicit licence; repo code MIT-like", "F": "CC0"}, "MIR-1K", ""),
        ({"Found": "unknown", "Odd": " ", "F": "CC0"}, "Found, Odd", ""),
    ],
)
def test_weights_are_no_freer_than_what_they_were_trained_on(
    licences: dict[str, str], research: str, also: str
) -> None:
    said = weights_licence([Corpus(corpus=corpus, minutes=1, licence=text) for corpus, text in licences.items()])
    assert said.startswith(f"Research use only: trained on {research}, whose" if research else "MIT; ")
    assert also in said
    assert also or said.count(";") == (not research)


def test_all_that_the_weights_went_through_is_on_the_card_with_its_data(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo, checkpoint = tmp_path / "zoo", tmp_path / "last.pt"
    (tmp_path / "music.yaml").write_text(yaml.safe_dump(asdict(MUSIC)))
    monkeypatch.chdir(tmp_path)

    def released(*more: str) -> tuple[Manifest, str]:
        monkeypatch.setattr(sys, "argv", ["release", "last.pt", "--data", str(data), "--out", str(zoo), *more])
        main()
        return read_manifest(zoo / "environment-step-int8.onnx"), (zoo / "environment.md").read_text(encoding="utf-8")

    def minutes(manifest: Manifest) -> dict[str, float]:
        return {item.corpus: item.minutes for item in manifest.training.data}

    write_checkpoint(checkpoint, replace(NOISE, recipe="environment"))  # of a run that recorded nothing
    manifest, card = released()
    assert minutes(manifest) == {"Street": 0.15}
    assert "- What came before was not recorded." in card
    manifest, card = released("--after", "music.yaml")
    assert minutes(manifest) == {"Street": 0.15, "MIR-1K": 0.1, "Band": 0.05}
    assert manifest.licence.startswith("Research use only")
    assert "- An unrecorded number of steps of recipe music, " in card
    assert "not recorded" not in card

    content = torch.load(checkpoint, weights_only=True)
    torch.save(content | {"before": [{"recipe": asdict(NOISE), "steps": 33}]}, checkpoint)
    manifest, card = released()
    assert minutes(manifest) == {"Street": 0.15, "TSP": 0.05, "AN4": 0.05, "Band": 0.05}  # shared ones count once
    assert [json.loads(stage) for stage in manifest.training.before] == [{"recipe": asdict(NOISE), "steps": 33}]
    assert "- 33 steps of recipe noise, " in card
    with pytest.raises(ValueError, match=r"last\.pt: --after: needless"):
        released("--after", "music.yaml")


def test_a_figure_without_its_interval_is_refused(data: Path, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "last.pt")
    (tmp_path / "metrics.json").write_text('{"noise.x": "good"}')
    with pytest.raises(ValueError, match=r"metrics\.json: noise\.x: expected a number"):
        release(tmp_path / "last.pt", data, tmp_path / "zoo", "1.0", [tmp_path / "metrics.json"], tmp_path / "cache")


def test_a_recipe_nobody_described_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path / "last.pt")
    monkeypatch.delitem(ABOUT, "noise")
    with pytest.raises(ValueError, match="says nothing of 'noise'"):
        release(tmp_path / "last.pt", data, tmp_path / "zoo", "1.0", [], tmp_path / "cache")


@pytest.mark.parametrize("step", ["quantise", "errors", "card", "checksums"])
def test_an_interrupted_release_leaves_only_whole_files(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    zoo, cache = tmp_path / "zoo", tmp_path / "cache"
    write_checkpoint(tmp_path / "last.pt")
    release(tmp_path / "last.pt", data, zoo, "1.0", [], cache)
    before = {path.name: path.read_bytes() for path in zoo.iterdir()}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(export.release, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            release(tmp_path / "last.pt", data, zoo, "2.0", [], cache)
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
    release(tmp_path / "last.pt", data, tmp_path / "zoo", "1.0", [], tmp_path / "cache")
    assert not left.exists()
    assert not (tmp_path / "zoo" / "rubbish.onnx").exists()
