"""The weights of a released model, to train on from: what `export.to_onnx` wrote, read back into the network.

The float32 graphs hold all of them: the step graph the trunk and the mask head, the look-back graph beside it the
embedding head. What the graphs have made one is taken apart again so that the network computes the same.
"""

import json
import math
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

from export.networks import Shape
from export.recipe import Recipe
from export.stages import Stages
from streamsep.models.manifest import METADATA_KEY, Manifest

Constants = dict[str, NDArray[np.float32]]


def read_model(path: Path) -> tuple[dict[str, Tensor], Stages]:
    """The weights of DOMAIN-step-fp32.onnx and of DOMAIN-look-back-fp32.onnx beside it, and their stages.

    Raises ValueError naming the file when one is missing, is no model, was not written by `export.release`, or is of
    another release than the other.
    """
    suffix = "-step-fp32.onnx"
    if not path.name.endswith(suffix):
        raise ValueError(f"{path}: expected a released model's DOMAIN{suffix}, for 8 bits do not hold its weights")
    step, manifest = _read(path)
    beside = path.with_name(path.name.replace(suffix, "-look-back-fp32.onnx"))
    look_back, other = _read(beside)
    if (manifest.version, manifest.training) != (other.version, other.training):
        said = f"{manifest.version} and {other.version}" if manifest.version != other.version else "other training"
        raise ValueError(f"{path}: expected it and {beside.name} to be of one release, got {said}")
    training = manifest.training
    try:
        recipe = Recipe(**json.loads(training.recipe))
        weights = weights_of(recipe.shape(), step, look_back)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected a model that export.release wrote, got {error!r:.200}") from None
    recorded = "before" in training.model_fields_set  # models of before it was do not know
    stages: Stages = [json.loads(stage) for stage in training.before] if recorded else [None]
    data = [corpus.model_dump() for corpus in training.data]  # of the stages too
    return weights, [*stages, {"recipe": json.loads(training.recipe), "steps": training.steps, "data": data}]


def _read(path: Path) -> tuple[Constants, Manifest]:
    try:
        model = onnx.load(path)
        manifests = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
        manifest = Manifest.model_validate_json(manifests[0])
    except (OSError, DecodeError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: expected a model that export.release wrote, got {error!r:.200}") from None
    return constants(model), manifest


def constants(model: onnx.ModelProto) -> Constants:
    """All constants of a graph by their names."""
    return {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}


def weights_of(shape: Shape, step: Constants, look_back: Constants) -> dict[str, Tensor]:
    """The weights of a network of this shape by their names in torch, from its two graphs' constants by theirs.

    Raises KeyError for a constant that a graph does not have.
    """
    found = {"feature_mean": step["mean"] / math.log(10)}
    # Where no operator scales the features, the first layer's weights do, and are left as they are.
    found["feature_scale"] = 1 / (math.log(10) * step.get("scale", np.ones(shape.bins)))

    def linear(name: str, graph: Constants, constant: str) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = graph[f"{constant}.weight"].T, graph[f"{constant}.bias"]

    def norm(name: str, constant: str) -> None:
        found[f"{name}.weight"], found[f"{name}.bias"] = step[f"{constant}.scale"], step[f"{constant}.shift"]

    def lstm(name: str, number: int) -> None:
        for kind, constant in (("weight_ih", "new"), ("weight_hh", "old")):
            found[f"{name}.{kind}_l0"] = _ordered(step[f"lstm.{number}.{constant}"][0])
        for kind, bias in zip(("bias_ih", "bias_hh"), np.split(step[f"lstm.{number}.add"][0], 2), strict=True):
            found[f"{name}.{kind}_l0"] = _ordered(bias)

    if shape.trunk == "bands":
        found["entry.conv.weight"], found["entry.place"] = step["entry.weight"], step["entry.place"]
        found["entry.conv.bias"] = np.zeros(shape.hidden, np.float32)  # it is in the places
    elif shape.trunk == "grouped":
        linear("entry.0", step, "entry")
        norm("entry.1", "entry.norm")
    for layer in range(shape.layers):
        if shape.trunk == "bands":
            norm(f"trunk.{layer}.lstm_norm", f"norm.{layer}")
            lstm(f"trunk.{layer}.lstm", layer)
            norm(f"trunk.{layer}.meet_norm", f"meet.{layer}")
            linear(f"trunk.{layer}.gather", step, f"gather.{layer}")
            linear(f"trunk.{layer}.spread", step, f"spread.{layer}")
        elif shape.trunk == "grouped":
            for group in range(shape.groups):
                lstm(f"trunk.{layer}.lstms.{group}", layer * shape.groups + group)
            norm(f"trunk.{layer}.norm", f"norm.{layer}")
        else:
            lstm(f"trunk.{layer}", layer)
    linear("mask_head", step, "head")
    if shape.sources == 2:  # of two, the graph has the difference alone
        for name in ("mask_head.weight", "mask_head.bias"):
            found[name] = np.concatenate([found[name] / 2, -found[name] / 2])
    linear("embedding_head", look_back, "head")
    return {name: torch.tensor(np.ascontiguousarray(value), dtype=torch.float32) for name, value in found.items()}


def _ordered(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """The gates in torch's order, from that of ONNX."""
    into, out, forget, cell = np.split(value, 4)
    return np.concatenate([into, forget, cell, out])
