"""Exported graphs compute what the training network computes."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import NOISE, network, shapes, write_checkpoint

import export.centres
import export.release
import streamsep
from export.corpus import RATE
from export.frontend import FrontEnd
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
    snr_db,
    speech_like,
    times_per_hop_ms,
)
from export.to_onnx import FEW_WEIGHTS, GraphKind, count_nodes, export_graph, load_checkpoint, quantise, save
from streamsep.models.loader import Batch
from streamsep.models.manifest import METADATA_KEY, Manifest

SHAPE = NOISE.shape()
GROUPED = replace(SHAPE, trunk="grouped", groups=2)
BANDS = replace(SHAPE, trunk="bands", groups=4)
WIDE = [Shape(hidden=64), Shape(hidden=64, trunk="grouped", groups=2), Shape(hidden=16, trunk="bands", groups=16)]
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


def test_the_engine_hears_as_many_sources_as_the_manifest_names(tmp_path: Path) -> None:
    export_all(network(replace(SHAPE, sources=3)), tmp_path)
    mixture = speech_like(np.random.default_rng(7), 1.0)
    models, quiet = {"bank": str(tmp_path), "precision": "fp32"}, {"speech": 0, "noise": -120, "hum": 0}
    engine = streamsep.load(domain="noise", rate=RATE, models=models, gains_db=quiet)
    heard, sources = engine.process(mixture, separate=True)
    late = engine.latency.samples
    assert engine.sources == ("speech", "noise", "hum")
    np.testing.assert_allclose(sources.sum(0)[late:], mixture[:-late], atol=1e-5)
    np.testing.assert_allclose(heard, sources[0] + sources[2], atol=1e-4)
    assert min(np.abs(source).max() for source in sources) > 1e-3


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


@pytest.mark.parametrize("shape", WIDE)
def test_both_kinds_of_layers_are_quantised_and_the_level_is_not(shape: Shape) -> None:
    operators = {node.op_type for node in quantise(export_graph(network(shape), "step")).graph.node}
    assert {"DynamicQuantizeLSTM", "MatMulInteger", "RNN"} <= operators
    assert not {"LSTM", "Gemm"} & operators


@pytest.mark.parametrize("kind", ["step", "look-back"])
@pytest.mark.parametrize("shape", WIDE)
def test_products_of_few_weights_stay_in_float32_and_those_where_bands_meet_have_one_scale(
    shape: Shape, kind: GraphKind
) -> None:
    exact = export_graph(network(shape), kind)
    sizes = {weight.name: math.prod(weight.dims) for weight in exact.graph.initializer}
    products = {node.input[1] for node in exact.graph.node if node.op_type == "MatMul"}
    few = {name for name in products if sizes[name] < FEW_WEIGHTS}
    graph = quantise(exact).graph
    assert {node.input[1] for node in graph.node if node.op_type == "MatMul"} == few
    assert {node.input[1] for node in graph.node if node.op_type == "MatMulInteger"} == {
        f"{name}_quantized" for name in products - few
    }
    shapes = {weight.name: weight.dims for weight in graph.initializer}
    for name in products - few:
        rows = 1 if name.startswith(("gather.", "spread.")) else shapes[f"{name}_quantized"][1]
        assert math.prod(shapes[f"{name}_scale"]) == rows


@pytest.mark.parametrize(
    ("shape", "operators"), [(SHAPE, 23), (GROUPED, 38), (replace(GROUPED, groups=1), 30), (BANDS, 47)]
)
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
