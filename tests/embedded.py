"""Embeddings that are known: clusters drawn at random, and a look-back graph that knows bins by their pitch."""

import json
from pathlib import Path

import numpy as np
import onnx
from graphs import BINS, MANIFEST
from onnx import TensorProto, helper, numpy_helper

from streamsep.arrays import Array, Block

BANDS = np.minimum(np.arange(BINS) * 3 // BINS, 2)  # low, middle, high
THREE = {2: [[1, 0, 0], [0, 0.6, 0.6]], 3: np.eye(3).tolist()}


def unit(array: Array) -> Array:
    """The same directions, norm 1, in float32."""
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def clusters(random: np.random.Generator, means: Array, hops: int, present: Array) -> tuple[Array, Array]:
    """(hops, bins, dims) and who owns each bin (hops, bins): tight clusters about these means, of those present."""
    owners = random.choice(np.flatnonzero(present), size=(hops, BINS))
    return unit(means[owners] + 0.1 * random.normal(size=(hops, BINS, means.shape[1]))), owners


def make_bands(
    path: Path, domain: str = "talkers", sources: tuple[str, ...] = ("talker", "talker"), **said: object
) -> Path:
    """A look-back graph that knows every bin by its third of the spectrum, whatever it hears."""
    manifest = {key: value for key, value in MANIFEST.items() if key != "states"} | {
        "graph": "look-back", "domain": domain, "sources": sources, "embedding_dims": 3, "centres": THREE,
    } | said  # fmt: skip
    nodes = [
        helper.make_node("Mul", ["spectrum", "nothing"], ["silence"]),
        helper.make_node("ReduceSum", ["silence", "last"], ["zeros"], keepdims=1),
        helper.make_node("Add", ["zeros", "bands"], ["embeddings"]),
    ]
    constants = {
        "nothing": np.float32([0]), "last": np.array([2]), "bands": np.eye(3, dtype=np.float32)[BANDS][None]
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        domain,
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["frames", BINS, 2])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["frames", BINS, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"streamsep.manifest": json.dumps(manifest)})
    onnx.save(model, path)
    return path


def bands(seed: int, count: int) -> Block:
    """(3, count): noise in the low, the middle and the high third of the spectrum."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    third = np.minimum(np.arange(len(spectrum)) * 3 // len(spectrum), 2)
    sound = np.stack([np.fft.irfft(np.where(third == band, spectrum, 0), count) for band in range(3)])
    return (0.2 * sound / np.abs(sound).max()).astype(np.float32)
