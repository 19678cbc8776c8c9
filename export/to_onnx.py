"""A trained chimera network as graphs of the model format: step (masks) and look-back (embeddings), fp32 and int8.

The graphs compute what the network computes (`export.parity` holds them to it) in operators chosen for a runtime that
is called once per hop, where every operator costs about half a microsecond however small it is: no batch axis, no
shapes at run time, nothing in float64. They are written operator by operator: torch's exporters would add operators
around every recurrent layer, and unroll that of the running level.
"""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from export.networks import FLOOR, KEEP, SILENCE, BandLayer, Chimera, GroupedLayer
from export.recipe import Recipe
from streamsep.models.manifest import METADATA_KEY, Manifest

OPSET = 17
IR_VERSION = 8  # the file format that came with it
ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid"}
FEW_WEIGHTS = 4096  # of a matrix product that 8 bits would not make faster
LOUDEST = 1e30  # power per bin; anything above is as loud, so that finite sound of any size stays finite in float32

GraphKind = Literal["step", "look-back"]
KINDS: dict[GraphKind, str] = {"step": "masks", "look-back": "embeddings"}  # and what they put out

Array = NDArray[np.float64]  # of weights, until they are written


def load_checkpoint(path: Path) -> tuple[Recipe, Chimera, int]:
    """Recipe, network with the averaged weights, steps trained. Raises ValueError when the file is no checkpoint."""
    prefix = "module."
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        recipe, average, steps = Recipe(**content["recipe"]), content["average"], int(content["step"])
        net = Chimera(recipe.shape()).eval()
        net.load_state_dict({key.removeprefix(prefix): average[key] for key in average if key.startswith(prefix)})
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, UnpicklingError) as error:
        raise ValueError(f"{path}: expected a checkpoint of export.train, got {error!r:.200}") from None
    return recipe, net, steps


class Graph:
    """A graph in the making: operators in their order, and values by name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def floats(self, name: str, value: ArrayLike) -> str:
        """A float32 constant, by its name."""
        self.constants[name] = numpy_helper.from_array(np.asarray(value, np.float32), name)
        return name

    def ints(self, name: str, value: Sequence[int]) -> str:
        """A constant that is an axis or a shape, by its name."""
        self.constants[name] = numpy_helper.from_array(np.array(value, np.int64), name)
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """An operator with one output, by the output's name; "" stands for an input left out."""
        return self.add_many(operator, *inputs, names=[name or f"{operator}.{len(self.nodes)}"], **attributes)[0]

    def add_many(self, operator: str, *inputs: str, names: Sequence[str], **attributes: Any) -> Sequence[str]:
        """An operator with several outputs, by their names."""
        self.nodes.append(helper.make_node(operator, inputs, names, name=names[0], **attributes))
        return names


def values(tensor: torch.Tensor) -> Array:
    """Weights in float64."""
    return tensor.detach().double().numpy()


def add_features(graph: Graph, net: Chimera) -> str:
    """(frames, 1, bins): the features centred but not scaled, which is left to the weights of the next layer.

    Centred, because 8 bits then hold them better.

    The running level forgets by a factor a frame and adds the frame's mean power to its numerator and 1 to its
    denominator. That is a recurrent layer without negative values, so it is written as one: a single operator for any
    number of frames, equal for one frame at a time and for all at once, and free of the growing exponents that bound
    the training form to some ten minutes.
    """
    power = graph.add("ReduceSumSquare", "spectrum", axes=[2], keepdims=0)
    power = graph.add("Clip", power, "", graph.floats("loudest", LOUDEST))
    power = graph.add("Unsqueeze", power, graph.ints("middle", [1]))
    weights = (
        graph.floats("level.new", [[np.full(net.shape.bins, 1 / net.shape.bins), np.zeros(net.shape.bins)]]),
        graph.floats("level.keep", [KEEP * np.eye(2)]),
        graph.floats("level.add", [[SILENCE, 1, 0, 0]]),
    )
    names = "levels", "next.level"
    graph.add_many("RNN", power, *weights, "", "state.level", names=names, hidden_size=2, activations=["Relu"])
    levels = graph.add("Squeeze", "levels", "middle")
    graph.add_many("Split", levels, names=("total", "weight"), axis=2)
    relative = graph.add("Div", power, graph.add("Div", "total", "weight"))
    logarithm = graph.add("Log", graph.add("Add", relative, graph.floats("floor", FLOOR)))
    return graph.add("Sub", logarithm, graph.floats("mean", math.log(10) * values(net.feature_mean)))


def add_lstm(graph: Graph, number: int, x: str, lstm: nn.LSTM, scale: float | Array = 1.0) -> str:
    """(frames, 1, inputs) -> (frames, 1, 1, units), from and to the state of this number.

    scale: what the inputs still have to be multiplied by, one by one, before the layer sees them.
    """

    def ordered(value: Array) -> Array:  # torch has the gates in another order than ONNX
        into, forget, cell, out = np.split(value, 4)
        return np.concatenate([into, out, forget, cell])

    new, old, *biases = (ordered(values(weight)) for weight in lstm.all_weights[0])
    weights = (
        graph.floats(f"lstm.{number}.new", [new * scale]),
        graph.floats(f"lstm.{number}.old", [old]),
        graph.floats(f"lstm.{number}.add", [np.concatenate(biases)]),
    )
    before = f"state.hidden_{number}", f"state.cell_{number}"
    names = f"lstm.{number}", f"next.hidden_{number}", f"next.cell_{number}"
    return graph.add_many("LSTM", x, *weights, "", *before, names=names, hidden_size=lstm.hidden_size)[0]


def add_linear(graph: Graph, name: str, x: str, weight: Array, bias: Array) -> str:
    """(frames, 1, inputs) -> (frames, 1, outputs)."""
    product = graph.add("MatMul", x, graph.floats(f"{name}.weight", weight.T))
    return graph.add("Add", product, graph.floats(f"{name}.bias", bias))


def add_norm(graph: Graph, name: str, x: str, norm: nn.LayerNorm) -> str:
    """The layer normalisation of the last axis."""
    weights = graph.floats(f"{name}.scale", values(norm.weight)), graph.floats(f"{name}.shift", values(norm.bias))
    return graph.add("LayerNormalization", x, *weights, axis=-1, epsilon=norm.eps)


def add_trunk(graph: Graph, net: Chimera) -> str:
    """(frames, 1, hidden), or (frames, bands, hidden)."""
    x = add_features(graph, net)
    scale = 1 / (math.log(10) * values(net.feature_scale))
    if net.shape.trunk == "grouped":
        entry, norm = net.entry
        x = add_linear(graph, "entry", x, values(entry.weight) * scale, values(entry.bias))
        x = add_norm(graph, "entry.norm", x, norm)
        width = graph.ints("width", [-1, 1, net.shape.hidden])
        for number, layer in enumerate(net.trunk):
            x = add_grouped(graph, number, x, layer, width)
    elif net.shape.trunk == "bands":
        x = add_bands(graph, net, graph.add("Mul", x, graph.floats("scale", scale)))
        for number, layer in enumerate(net.trunk):
            x = add_band_layer(graph, number, x, layer)
    else:
        width = graph.ints("width", [-1, 1, net.shape.hidden])
        for number, layer in enumerate(net.trunk):
            x = graph.add("Reshape", add_lstm(graph, number, x, layer, 1.0 if number else scale), width)
    return x


def add_grouped(graph: Graph, number: int, x: str, layer: GroupedLayer, width: str) -> str:
    """(frames, 1, hidden) -> the same, of layer `number`."""
    groups = len(layer.lstms)
    first = number * groups
    if groups == 1:
        output = add_lstm(graph, first, x, layer.lstms[0])
    else:
        parts = graph.add_many("Split", x, names=[f"part.{first + group}" for group in range(groups)], axis=2)
        outputs = [add_lstm(graph, first + group, parts[group], layer.lstms[group]) for group in range(groups)]
        together = graph.add("Concat", *outputs, axis=2)  # (frames, 1, groups, units)
        output = graph.add("Transpose", together, perm=[0, 1, 3, 2])
    total = graph.add("Add", x, graph.add("Reshape", output, width))
    return add_norm(graph, f"norm.{number}", total, layer.norm)


def add_bands(graph: Graph, net: Chimera, x: str) -> str:
    """(frames, 1, bins) -> (frames, bands, hidden)."""
    entry, width = net.entry, net.shape.band_bins
    weight = graph.floats("entry.weight", values(entry.conv.weight))
    pads = [entry.before, entry.after]
    bands = graph.add("Conv", x, weight, kernel_shape=[2 * width], strides=[width], pads=pads)
    place = graph.floats("entry.place", values(entry.place) + values(entry.conv.bias))
    return graph.add("Add", graph.add("Transpose", bands, perm=[0, 2, 1]), place)


def add_band_layer(graph: Graph, number: int, x: str, layer: BandLayer) -> str:
    """(frames, bands, hidden) -> the same, of layer `number`; the bands are the batch of its LSTM."""
    hidden, joined = layer.lstm.hidden_size, layer.gather.in_features
    bands = graph.ints("bands", [-1, joined // hidden, hidden])
    new = add_lstm(graph, number, add_norm(graph, f"norm.{number}", x, layer.lstm_norm), layer.lstm)
    x = graph.add("Add", x, graph.add("Reshape", new, bands))
    meeting = graph.add(
        "Reshape", add_norm(graph, f"meet.{number}", x, layer.meet_norm), graph.ints("joined", [-1, 1, joined])
    )
    gathered = add_linear(graph, f"gather.{number}", meeting, values(layer.gather.weight), values(layer.gather.bias))
    heard = graph.add("Relu", gathered)
    spread = add_linear(graph, f"spread.{number}", heard, values(layer.spread.weight), values(layer.spread.bias))
    return graph.add("Add", x, graph.add("Reshape", spread, bands))


def add_top_bin(graph: Graph, bins: int, x: str, axis: int) -> str:
    """The bins of all bands on this axis -> once more the last of them (`export.networks.top_bin_too`)."""
    return graph.add("Gather", x, graph.ints("top", [*range(bins - 1), bins - 2]), axis=axis)


def add_masks(graph: Graph, net: Chimera, x: str) -> None:
    """(frames, sources, bins). Those of two sources depend on the difference of the logits alone: half the weights,
    and no softmax."""
    weight, bias = values(net.mask_head.weight), values(net.mask_head.bias)
    sources, bands = net.shape.sources, net.shape.trunk == "bands"
    width = len(bias) // sources
    if sources == 2:
        difference = add_linear(graph, "head", x, weight[:width] - weight[width:], bias[:width] - bias[width:])
        if bands:
            difference = graph.add("Reshape", difference, graph.ints("bins", [-1, 1, net.shape.bins - 1]))
            difference = add_top_bin(graph, net.shape.bins, difference, 2)
        graph.add("Sigmoid", graph.add("Mul", difference, graph.floats("signs", [[1], [-1]])), name="masks")
        return
    logits = add_linear(graph, "head", x, weight, bias)
    if bands:
        logits = graph.add("Reshape", logits, graph.ints("by.band", [-1, net.shape.groups, sources, width]))
        logits = graph.add("Transpose", logits, perm=[0, 2, 1, 3])
        logits = graph.add("Reshape", logits, graph.ints("slots", [-1, sources, net.shape.bins - 1]))
        logits = add_top_bin(graph, net.shape.bins, logits, 2)
    else:
        logits = graph.add("Reshape", logits, graph.ints("slots", [-1, sources, width]))
    graph.add("Softmax", logits, axis=1, name="masks")


def add_embeddings(graph: Graph, net: Chimera, x: str) -> None:
    """(frames, bins, dims), unit norm."""
    weight, bias = values(net.embedding_head.weight), values(net.embedding_head.bias)
    bands = net.shape.trunk == "bands"
    raw = graph.add(ACTIVATIONS[net.shape.activation], add_linear(graph, "head", x, weight, bias))
    raw = graph.add("Reshape", raw, graph.ints("points", [-1, net.shape.bins - bands, net.shape.dims]))
    if bands:
        raw = add_top_bin(graph, net.shape.bins, raw, 1)
    norm = graph.add("Max", graph.add("ReduceL2", raw, axes=[2]), graph.floats("least", 1e-6))
    graph.add("Div", raw, norm, name="embeddings")


def export_graph(net: Chimera, kind: GraphKind) -> onnx.ModelProto:
    """The graph in float32, without a manifest; `frames` is a dynamic axis. The same network gives the same bytes."""
    graph, shape = Graph(), net.shape
    x = add_trunk(graph, net)
    (add_masks if kind == "step" else add_embeddings)(graph, net, x)
    states = shape.state_shapes().items()
    result = (shape.sources, shape.bins) if kind == "step" else (shape.bins, shape.dims)

    def port(name: str, *size: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, size)

    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            kind,
            [port("spectrum", "frames", shape.bins, 2), *(port(f"state.{name}", *size) for name, size in states)],
            [port(KINDS[kind], "frames", *result), *(port(f"next.{name}", *size) for name, size in states)],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def quantise(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weights of LSTM and matrix products in 8 bits, a scale a row; what flows between is scaled as it comes.

    The products through which bands meet have a scale a matrix: with a thousand rows it makes them a quarter faster
    and the masks 1 or 2 dB noisier, elsewhere it would be 5 dB. A product of few weights stays in float32, which
    makes up for that: its input would take longer to scale than it takes to multiply. The weights are unsigned
    because processors with AVX2 but without VNNI saturate when they multiply unsigned by signed bytes. Scales of the
    matrix products' inputs that are measured beforehand (static quantisation) are no faster and no better: 0.2 dB
    noisier.
    """
    sizes = {weight.name: math.prod(weight.dims) for weight in model.graph.initializer}
    products = {node.name: node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    few = [name for name, weight in products.items() if sizes[weight] < FEW_WEIGHTS]
    meetings = [name for name, weight in products.items() if weight.startswith(("gather.", "spread."))]
    with tempfile.TemporaryDirectory() as folder:
        inferred, quantised = Path(folder) / "inferred.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(model, inferred, skip_optimization=True, skip_symbolic_shape=True)
        rows = {"per_channel": True, "weight_type": QuantType.QUInt8}
        quantize_dynamic(inferred, quantised, ["LSTM", "MatMul"], nodes_to_exclude=few + meetings, **rows)
        if meetings:
            matrix = {"per_channel": False, "weight_type": QuantType.QUInt8}
            quantize_dynamic(quantised, quantised, ["MatMul"], nodes_to_exclude=few, **matrix)
        return onnx.load(quantised)


def made_with(model: onnx.ModelProto) -> str:
    """The operator sets that the graph needs, and the versions of what wrote it."""
    sets = [f"{entry.domain or 'ONNX'} opset {entry.version}" for entry in model.opset_import]
    versions = f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__}"
    return f"{', '.join(sets)}; written with {versions}"


def save(model: onnx.ModelProto, manifest: Manifest, path: Path) -> None:
    """Write the graph with its manifest inside, and nothing else of metadata; its doc string says what made it."""
    del model.metadata_props[:]
    helper.set_model_props(model, {METADATA_KEY: manifest.model_dump_json()})
    model.doc_string = made_with(model)
    onnx.checker.check_model(model, full_check=False)
    path.write_bytes(model.SerializeToString(deterministic=True))


def count_nodes(model: onnx.ModelProto) -> int:
    """Operators that are run."""
    return len(model.graph.node)


def count_parameters(model: onnx.ModelProto) -> int:
    """Numbers in the weights of a float32 graph."""
    weights = (weight for weight in model.graph.initializer if weight.data_type == TensorProto.FLOAT)
    return sum(math.prod(weight.dims) for weight in weights)
