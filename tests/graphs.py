"""Recurrent model files, made by hand: a leaky mean of every bin's power, and masks or embeddings from it."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BINS = 257
MANIFEST = {
    "format": 1, "domain": "noise", "version": "0.1", "graph": "step", "precision": "fp32", "sample_rate": 16000,
    "window": 512, "synthesis_window": 128, "hop": 64, "sources": ["speech", "noise"], "embedding_dims": 2,
    "states": {"mean": [1, BINS]}, "licence": "MIT",
}  # fmt: skip
CENTRES = {2: [[0.9, 0.2], [0.2, 0.9]], 3: [[0.9, 0.2], [0.2, 0.9], [0.6, 0.6]]}  # of embeddings on a quarter circle


def make_graph(
    path: Path,
    kind: str = "step",
    seeing: bool = False,
    stuck: bool = False,
    frames: int | str = "frames",
    double: bool = False,
    rename: dict[str, str] | None = None,
    shapes: dict[str, list[int | str]] | None = None,
    metadata: str | None = "",
    **manifest: object,
) -> Path:
    """Write one. seeing: it takes later frames into account. stuck: it runs with five frames only. double: one port
    is float64. rename, shapes: of ports, so that they are wrong. metadata: instead of the manifest's JSON, None for
    none at all. manifest: fields that differ."""
    said = json.dumps(MANIFEST | {"graph": kind} | manifest) if metadata == "" else metadata
    result = "masks" if kind == "step" else "embeddings"
    nodes = [
        helper.make_node("Mul", ["spectrum", "spectrum"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "last"], ["power"], keepdims=0),
        helper.make_node("Unsqueeze", ["power", "middle"], ["sequence"]),
        helper.make_node("Unsqueeze", ["state.mean", "middle"], ["before"]),
        helper.make_node(
            "RNN",
            ["sequence", "new", "old", "", "", "before"],
            ["all", "after"],
            hidden_size=BINS,
            activations=["Relu"],
        ),
        helper.make_node("Squeeze", ["after", "middle"], ["next.mean"]),
        helper.make_node("Squeeze", ["all", "inner"], ["mean"]),
        helper.make_node("Add", ["power", "hiss"], ["present"]),
        helper.make_node("Add", ["present", "mean"], ["sum"]),
        helper.make_node("Div", ["present", "sum"], ["blind" if seeing or stuck else "first"]),
    ]
    if seeing:
        nodes += [
            helper.make_node("ReduceMean", ["blind"], ["average"], axes=[0]),
            helper.make_node("Mul", ["blind", "average"], ["first"]),
        ]
    if stuck:
        nodes += [helper.make_node("Reshape", ["blind", "five"], ["first"])]
    nodes += [helper.make_node("Sub", ["one", "first"], ["second"])]
    parts, axis = ["first", "second"], 1
    if kind != "step":
        nodes += [helper.make_node("Sqrt", [part], [f"{part}_root"]) for part in parts]
        parts, axis = ["first_root", "second_root"], 2
    slots = [f"{part}_slot" for part in parts]
    nodes += [
        helper.make_node("Unsqueeze", [part, "middle" if axis == 1 else "last"], [f"{part}_slot"]) for part in parts
    ]
    nodes += [helper.make_node("Concat", slots, [result], axis=axis)]
    eye = np.eye(BINS, dtype=np.float32)[None]
    constants = {
        "last": np.array([2]), "middle": np.array([1]), "inner": np.array([1, 2]), "one": np.float32([1.0]),
        "hiss": np.float32([1e-12]), "new": 0.1 * eye, "old": 0.9 * eye, "five": np.array([5, BINS]),
    }  # fmt: skip
    ports: dict[str, list[int | str]] = {
        "spectrum": [frames, BINS, 2], "state.mean": [1, BINS], "next.mean": [1, BINS],
        result: [frames, 2, BINS] if kind == "step" else [frames, BINS, 2],
    } | (shapes or {})  # fmt: skip
    names = {name: (rename or {}).get(name, name) for name in ports}
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]

    def port(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(names[name], TensorProto.FLOAT, ports[name])

    graph = helper.make_graph(
        nodes,
        "made-by-hand",
        [port("spectrum"), port("state.mean")],
        [port(result), port("next.mean")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if double:
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
        model.graph.node.insert(0, helper.make_node("Cast", ["spectrum"], ["single"], to=TensorProto.FLOAT))
        model.graph.node[1].input[:] = ["single", "single"]
    if said is not None:
        helper.set_model_props(model, {"streamsep.manifest": said})
    onnx.save(model, path)
    return path
