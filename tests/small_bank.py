"""A bank of models small enough to make in a test: no training, no torch, the format of the README to the letter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import streamsep

BINS, FRAMES = 257, "frames"
DOMAINS = {"noise": ("speech", "noise"), "music": ("vocals", "accompaniment"), "talkers": ("talker", "talker")}


def make_model(
    path: Path,
    domain: str,
    sources: tuple[str, ...],
    lossy: bool = False,
    fails_above: float | None = None,
    toil: int = 0,
    **manifest: object,
) -> Path:
    """A step graph for two sources: power / (power + 1) of each bin and the rest; lossy: not quite the rest.
    fails_above: a power of any bin above which it raises. toil: it multiplies matrices with a side of 200
    so many times, for nothing."""
    said = {
        "format": 1, "domain": domain, "version": "0.1", "graph": "step", "precision": "fp32", "sample_rate": 16000,
        "window": 512, "synthesis_window": 128, "hop": 64, "sources": sources, "licence": "MIT", "parameters": 1,
    } | manifest  # fmt: skip
    nodes = [
        helper.make_node("Mul", ["spectrum", "spectrum"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "last"], ["power"], keepdims=0),
        helper.make_node("Add", ["power", "hiss"], ["sum"]),
        helper.make_node("Div", ["power", "sum"], ["first"]),
        helper.make_node("Sub", ["one", "first"], ["second"]),
        helper.make_node("Unsqueeze", ["first", "middle"], ["first_slot"]),
        helper.make_node("Unsqueeze", ["second", "middle"], ["second_slot"]),
        helper.make_node("Concat", ["first_slot", "second_slot"], ["masks"], axis=1),
    ]
    whole = 0.8 if lossy else 1.0
    constants = {
        "last": np.array([2]), "middle": np.array([1]), "hiss": np.float32([1.0]), "one": np.float32([whole])
    }  # fmt: skip
    if fails_above is not None:  # by asking for the second of one number
        nodes[-1].output[0] = "sound"
        nodes += [
            helper.make_node("ReduceMax", ["power"], ["loudest"], keepdims=0),
            helper.make_node("Greater", ["loudest", "limit"], ["loud"]),
            helper.make_node("Cast", ["loud"], ["which"], to=TensorProto.INT64),
            helper.make_node("Gather", ["ones", "which"], ["one there is"]),
            helper.make_node("Mul", ["sound", "one there is"], ["masks"]),
        ]
        constants |= {"limit": np.float32(fails_above), "ones": np.float32([1.0])}
    if toil:  # beginning with what comes in, so that it cannot be done once and for all
        products = range(toil)
        nodes[2].input[1] = "tired hiss"
        nodes[:0] = [
            helper.make_node("ReduceMax", ["spectrum"], ["loudest part"], keepdims=0),
            helper.make_node("Mul", ["matrix", "loudest part"], ["product 0"]),
            *(helper.make_node("MatMul", [f"product {at}", "matrix"], [f"product {at + 1}"]) for at in products),
            helper.make_node("ReduceMax", [f"product {toil}"], ["nothing"], keepdims=0),
            helper.make_node("Add", ["hiss", "nothing"], ["tired hiss"]),
        ]
        constants |= {"matrix": np.zeros((200, 200), np.float32)}
    graph = helper.make_graph(
        nodes,
        domain,
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, [FRAMES, BINS, 2])],
        [helper.make_tensor_value_info("masks", TensorProto.FLOAT, [FRAMES, 2, BINS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"streamsep.manifest": json.dumps(said)})
    onnx.save(model, path)
    return path


def make_bank(folder: Path, **models: Any) -> Path:
    """One model a domain, in a new folder. models: see `make_model`."""
    folder.mkdir()
    for domain, sources in DOMAINS.items():
        make_model(folder / f"{domain}-step-fp32.onnx", domain, sources, **models)
    return folder


def engine_of(bank: Path, **settings: Any) -> streamsep.Engine:
    """An engine with such a bank, that begins with its model of noise."""
    return streamsep.load(domain="noise", models={"bank": str(bank), "precision": "fp32"}, **settings)
