"""Model files to things that run. The only importer of ONNX Runtime.

One thread, sequential, no spinning: a hop takes a fraction of a millisecond, and threads that wait for it would only
take the core from the sound card's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from streamsep.arrays import State
from streamsep.errors import ModelError
from streamsep.models.manifest import METADATA_KEY, Manifest, parse_manifest
from streamsep.realtime.bound_model import BoundGraph, BoundModel, Run

WARM_UP_RUNS = 8

Tensor = NDArray[np.float32]


def open_session(path: Path) -> ort.InferenceSession:
    """A session for one thread. Raises ModelError when the file is missing or no ONNX model."""
    if path.is_dir():
        raise ModelError(f"{path}: expected a model file, found a folder; name one of the files in it")
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what fails raises; a line to standard error as well would be the audio side's
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has no common exception of its own
        reason = str(error).splitlines()[0][:200]
        raise ModelError(f"{path}: not a model that ONNX Runtime can open: {reason}") from None


def read_manifest(path: Path, session: ort.InferenceSession | None = None) -> Manifest:
    """The manifest inside a model file. Raises ModelError when there is none or it is not valid."""
    metadata = (session or open_session(path)).get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path}: no manifest: expected JSON under the metadata key {METADATA_KEY!r}")
    return parse_manifest(metadata[METADATA_KEY], str(path))


class Result(NamedTuple):
    """What a graph gives for every frame."""

    name: str
    shape: tuple[int, int]


def result_of(manifest: Manifest) -> Result:
    """Masks (sources, bins) of a step graph, embeddings (bins, dims) of a look-back graph."""
    bins = manifest.front_end.bins
    if manifest.graph == "step":
        return Result("masks", (len(manifest.sources), bins))
    return Result("embeddings", (bins, manifest.embedding_dims))


def check_ports(path: Path, session: ort.InferenceSession, manifest: Manifest) -> None:
    """Raise ModelError unless the graph's inputs and outputs are those its manifest promises."""
    bins, result = manifest.front_end.bins, result_of(manifest)
    wanted_in = {"spectrum": (None, bins, 2), **{f"state.{name}": shape for name, shape in manifest.states.items()}}
    wanted_out = {result.name: (None, *result.shape)} | {
        f"next.{name}": shape for name, shape in manifest.states.items()
    }
    both = ("input", wanted_in, session.get_inputs()), ("output", wanted_out, session.get_outputs())
    for kind, wanted, ports in both:
        found = {port.name: port for port in ports}
        if found.keys() != wanted.keys():
            names = sorted(wanted), sorted(found)
            raise ModelError(f"{path}: {kind}s: the manifest asks for {names[0]}, the graph has {names[1]}")
        for name, shape in wanted.items():
            port = found[name]
            if port.type != "tensor(float)":
                raise ModelError(f"{path}: {kind} {name}: expected float32, the graph has {port.type}")
            fits = len(port.shape) == len(shape) and all(
                want is None or not isinstance(have, int) or have == want
                for want, have in zip(shape, port.shape, strict=True)
            )
            if not fits:
                raise ModelError(f"{path}: {kind} {name}: the manifest asks for {shape}, the graph has {port.shape}")


def open_model(path: Path) -> tuple[Manifest, BoundModel]:
    """A step graph as a separator, warmed up and as new. Raises ModelError for whatever is wrong with the file."""
    manifest, graph = open_graph(path, "step")
    return manifest, BoundModel(manifest.sources, manifest.look_ahead, graph)


def open_graph(path: Path, kind: Literal["step", "look-back"]) -> tuple[Manifest, BoundGraph]:
    """A graph of this kind, bound to run hop by hop, warmed up and as new. Raises ModelError as `open_model`."""
    session = open_session(path)
    manifest = read_manifest(path, session)
    if manifest.graph != kind:
        raise ModelError(f"{path}: graph: expected a {kind!r} graph, got {manifest.graph!r}")
    check_ports(path, session, manifest)
    spectrum = np.zeros((1, manifest.front_end.bins, 2), np.float32)
    result_name, shape = result_of(manifest)
    result = np.zeros((1, *shape), np.float32)
    states = {
        name: (np.zeros(shape, np.float32), np.zeros(shape, np.float32)) for name, shape in manifest.states.items()
    }

    def bound(source: int) -> Run:
        """A run that reads state arrays number `source` and writes the others."""
        binding = session.io_binding()

        def bind(name: str, array: Tensor, put: bool) -> None:
            method = binding.bind_input if put else binding.bind_output
            method(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

        bind("spectrum", spectrum, True)
        bind(result_name, result, False)
        for name, pair in states.items():
            bind(f"state.{name}", pair[source], True)
            bind(f"next.{name}", pair[1 - source], False)
        run = session._sess.run_with_iobinding  # the public method is this plus a check of its arguments
        inner = binding._iobinding
        return lambda: run(inner, None)

    runs = bound(0), bound(1)
    try:
        for turn in range(WARM_UP_RUNS):
            runs[turn % 2]()
    except Exception as error:
        raise ModelError(f"{path}: the graph cannot be run: {str(error).splitlines()[0][:200]}") from None
    for pair in states.values():
        for array in pair:
            array.fill(0)
    return manifest, BoundGraph(spectrum, result, states, runs)


class Batch:
    """A graph run over many frames at once: masks of a step graph, embeddings of a look-back graph."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError for whatever is wrong with the file."""
        self._session = open_session(path)
        self.manifest = read_manifest(path, self._session)
        check_ports(path, self._session, self.manifest)

    def start(self) -> State:
        """The state before the first frame."""
        return {name: np.zeros(shape, np.float32) for name, shape in self.manifest.states.items()}

    def run(self, spectrum: NDArray[np.complexfloating], state: State) -> tuple[Tensor, State]:
        """(frames, bins), state -> masks (frames, sources, bins) or embeddings (frames, bins, dims), next state."""
        frames = np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)
        feed = {"spectrum": frames, **{f"state.{name}": array for name, array in state.items()}}
        names: Sequence[str] = [port.name for port in self._session.get_outputs()]
        outputs = dict(zip(names, self._session.run(names, feed), strict=True))
        following = {name: outputs[f"next.{name}"] for name in state}
        return outputs[result_of(self.manifest).name], following
