"""A released model gives its network back, to train on from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import network, shapes

from export.from_onnx import constants, weights_of
from export.frontend import FrontEnd
from export.networks import Chimera, Shape
from export.parity import TOLERANCE, analyse, at_once, largest_error, reference, speech_like
from export.recipe import Recipe
from export.start import read_start
from export.to_onnx import export_graph
from streamsep.models.loader import Batch

FRONT = FrontEnd(512, 128, 64)
ZOO = Path(__file__).parents[1] / "streamsep" / "models" / "zoo"


@given(shapes(most_sources=3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_graphs_give_back_a_network_that_computes_the_same(shape: Shape, seed: int) -> None:
    torch.manual_seed(seed)
    spectrum = torch.randn(20, shape.bins, 2)
    net, found = network(shape, seed), Chimera(shape).eval()
    found.load_state_dict(weights_of(shape, *(constants(export_graph(net, kind)) for kind in ("step", "look-back"))))
    frames = torch.view_as_complex(spectrum).numpy()
    wanted, got = reference(net, frames), reference(found, frames)
    for name in ("masks", "embeddings"):
        assert largest_error(got[name], wanted[name]) < TOLERANCE


@pytest.mark.parametrize("domain", ["environment", "music", "noise", "speech"])
def test_training_can_go_on_from_every_shipped_model(domain: str) -> None:
    step, look_back = (Batch(ZOO / f"{domain}-{kind}-fp32.onnx") for kind in ("step", "look-back"))
    start = read_start(ZOO / f"{domain}-step-fp32.onnx")
    stage = start.stages[-1]
    assert stage is not None
    assert stage["recipe"]["recipe"] == domain
    assert stage["steps"] == step.manifest.training.steps
    net = Chimera(Recipe(**stage["recipe"]).shape()).eval()
    net.load_state_dict(start.weights)
    frames = analyse(FRONT, speech_like(np.random.default_rng(0), 1.0))
    wanted = reference(net, frames)
    for graph, name in ((step, "masks"), (look_back, "embeddings")):
        assert largest_error(at_once(graph, frames)[0], wanted[name]) < TOLERANCE


def test_two_graphs_of_two_releases_are_no_model(tmp_path: Path) -> None:
    for kind, domain in (("step", "speech"), ("look-back", "noise")):
        (tmp_path / f"speech-{kind}-fp32.onnx").write_bytes((ZOO / f"{domain}-{kind}-fp32.onnx").read_bytes())
    with pytest.raises(
        ValueError, match=r"speech-step-fp32\.onnx: expected it and speech-look-back-fp32\.onnx to be of"
    ):
        read_start(tmp_path / "speech-step-fp32.onnx")


def test_what_holds_no_weights_to_go_on_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"speech-step-int8\.onnx: expected a released model's DOMAIN-step-fp32"):
        read_start(ZOO / "speech-step-int8.onnx")
    alone = tmp_path / "speech-step-fp32.onnx"
    alone.write_bytes((ZOO / "speech-step-fp32.onnx").read_bytes())
    with pytest.raises(ValueError, match=r"speech-look-back-fp32\.onnx: expected .*No such file"):
        read_start(alone)
    alone.write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"speech-step-fp32\.onnx: expected a model that export\.release wrote"):
        read_start(alone)
