"""A trained chimera network as graphs of the model format: step (masks) and look-back (embeddings), fp32 and int8.

The graphs compute what the network computes (`export.parity` holds them to it) in operators chosen for a runtime that
is called once per hop, where every operator costs about half a microsecond however small it is: no batch axis, no
shapes at run time, nothing in float64.

torch has two exporters. This is the one that traces: the other one unrolls the recurrent layer of the running level,
and writes three operators more around every LSTM.
"""

import copy
import math
import tempfile
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from export.networks import FLOOR, FRAMES_PER_S, LEVEL_TIME_S, SILENCE, Chimera
from export.train import Recipe
from streamsep.models.manifest import METADATA_KEY, Manifest

OPSET = 17
LOUDEST = 1e30  # power per bin; anything above is as loud, so that finite sound of any size stays finite in float32

GraphKind = Literal["step", "look-back"]
KINDS: dict[GraphKind, str] = {"step": "masks", "look-back": "embeddings"}  # and what they put out


def load_checkpoint(path: Path) -> tuple[Recipe, Chimera, int]:
    """Recipe, network with the averaged weights, steps trained. Raises ValueError when the file is no checkpoint."""
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        recipe, average, steps = Recipe(**content["recipe"]), content["average"], int(content["step"])
    except (OSError, RuntimeError, KeyError, TypeError, UnpicklingError) as error:
        raise ValueError(f"{path}: expected a checkpoint of export.train, got {error!r:.200}") from None
    net = Chimera(recipe.shape()).eval()
    prefix = "module."
    net.load_state_dict({key.removeprefix(prefix): value for key, value in average.items() if key.startswith(prefix)})
    return recipe, net, steps


class Trunk(nn.Module):
    """Features and recurrent layers over one sequence.

    The running level forgets by a factor a frame and adds the frame's mean power to its numerator and 1 to its
    denominator. That is a recurrent layer without negative values, so it is written as one: a single operator for any
    number of frames, equal for one frame at a time and for all at once, and free of the growing exponents that bound
    the training form to some ten minutes. It has every unit twice, because the factor is too close to 1 for float32:
    its rounding would be off by a hundred-thousandth after four seconds of falling level. A unit less a small part of
    its twin is exact enough.
    """

    slope: Tensor
    offset: Tensor

    def __init__(self, net: Chimera) -> None:
        super().__init__()
        forget = math.expm1(-1 / (LEVEL_TIME_S * FRAMES_PER_S))
        self.level = nn.RNN(net.shape.bins, 4, nonlinearity="relu")  # numerator, denominator, and both again
        with torch.no_grad():
            self.level.weight_ih_l0.copy_(torch.tensor([[1.0], [0.0], [1.0], [0.0]]) / net.shape.bins)
            self.level.weight_hh_l0.copy_(torch.cat([torch.eye(2), forget * torch.eye(2)], 1).repeat(2, 1))
            self.level.bias_ih_l0.copy_(torch.tensor([0.0, 1.0, 0.0, 1.0]))
            self.level.bias_hh_l0.zero_()
        scale = net.feature_scale.double()
        self.register_buffer("slope", (1 / (math.log(10) * scale)).float())
        self.register_buffer("offset", (-net.feature_mean.double() / scale).float())
        self.layers = copy.deepcopy(net.trunk)
        for layer in self.layers:
            layer.batch_first = False  # (frames, 1, units), which is how ONNX wants it
        self.shapes = tuple(net.shape.state_shapes().values())

    def forward(
        self, spectrum: Tensor, level: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(frames, bins, 2), states -> (frames, 1, hidden), next states, in the order of `Shape.state_shapes`."""
        power = spectrum.square().sum(-1).clamp(max=LOUDEST)[:, None]
        levels, last = self.level(power, torch.cat([level, level]).reshape(1, 1, 4))
        total, weight, _ = levels.split([1, 1, 2], -1)
        x = torch.log(power / (total / weight + SILENCE) + FLOOR) * self.slope + self.offset
        hiddens, cells = [], []
        for layer, *before in zip(self.layers, hidden[:, None].split(1), cell[:, None].split(1), strict=True):
            x, (h, c) = layer(x, tuple(before))
            hiddens.append(h)
            cells.append(c)
        following = last.reshape(2, 2)[0], torch.cat(hiddens), torch.cat(cells)
        return x, tuple(state.reshape(shape) for state, shape in zip(following, self.shapes, strict=True))


class Step(nn.Module):
    """Masks. Those of two sources depend on the difference of the logits alone: half the weights, and no softmax."""

    def __init__(self, net: Chimera) -> None:
        super().__init__()
        if net.shape.sources != 2:
            raise ValueError(f"only networks with 2 sources can be exported, got {net.shape.sources}")
        self.trunk = Trunk(net)
        self.head = nn.Linear(net.shape.hidden, net.shape.bins)
        with torch.no_grad():
            weights, biases = (value.unflatten(0, (2, -1)) for value in (net.mask_head.weight, net.mask_head.bias))
            self.head.weight.copy_(weights[0] - weights[1])
            self.head.bias.copy_(biases[0] - biases[1])

    def forward(self, spectrum: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """(frames, bins, 2), states -> (frames, sources, bins), next states."""
        x, following = self.trunk(spectrum, *states)
        first = torch.sigmoid(self.head(x))
        return torch.cat([first, 1 - first], 1), *following


class LookBack(nn.Module):
    """Embeddings of every bin, unit norm."""

    def __init__(self, net: Chimera) -> None:
        super().__init__()
        self.trunk = Trunk(net)
        self.head = net.embedding_head
        self.shape = -1, net.shape.bins, net.shape.dims

    def forward(self, spectrum: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """(frames, bins, 2), states -> (frames, bins, dims), next states."""
        x, following = self.trunk(spectrum, *states)
        raw = torch.tanh(self.head(x)).reshape(self.shape)
        return raw / raw.norm(dim=-1, keepdim=True).clamp_min(1e-6), *following


def export_graph(net: Chimera, kind: GraphKind) -> onnx.ModelProto:
    """The graph in float32, without a manifest; `frames` is a dynamic axis. The same network gives the same bytes."""
    graph = (Step if kind == "step" else LookBack)(net).eval()
    shapes = net.shape.state_shapes()
    example = torch.ones(2, net.shape.bins, 2), *(torch.zeros(shape) for shape in shapes.values())
    result = KINDS[kind]
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.onnx"
        # All meant: the older exporter, recurrent layers that fix the batch of one and check their sizes as traced.
        for category in (DeprecationWarning, UserWarning, torch.jit.TracerWarning):
            warnings.simplefilter("ignore", category)
        torch.onnx.export(
            graph,
            example,
            file,
            input_names=["spectrum", *(f"state.{name}" for name in shapes)],
            output_names=[result, *(f"next.{name}" for name in shapes)],
            dynamic_axes={"spectrum": {0: "frames"}, result: {0: "frames"}},
            opset_version=OPSET,
            dynamo=False,
        )
        return onnx.load(file)


def quantise(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weights of LSTM and matrix products in 8 bits, a scale a row; what flows between is scaled as it comes.

    A scale a matrix makes the step a twentieth faster and its masks 5 dB noisier. The weights are unsigned because
    processors with AVX2 but without VNNI saturate when they multiply unsigned by signed bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        inferred, quantised = Path(folder) / "inferred.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(model, inferred, skip_optimization=True, skip_symbolic_shape=True)
        operators = ["LSTM", "MatMul"]
        quantize_dynamic(inferred, quantised, operators, per_channel=True, weight_type=QuantType.QUInt8)
        return onnx.load(quantised)


def save(model: onnx.ModelProto, manifest: Manifest, path: Path) -> None:
    """Write the graph with its manifest inside, and nothing else of metadata."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: manifest.model_dump_json()})
    onnx.checker.check_model(model, full_check=False)
    path.write_bytes(model.SerializeToString(deterministic=True))


def count_nodes(model: onnx.ModelProto) -> int:
    """Operators that are run."""
    return sum(node.op_type != "Constant" for node in model.graph.node)


def count_parameters(model: onnx.ModelProto) -> int:
    """Numbers in the weights of a float32 graph."""
    return sum(math.prod(weight.dims) for weight in model.graph.initializer)
