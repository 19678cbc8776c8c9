"""A bank: every domain's separator, all with one front end: a switch is a fade between masks on one spectrum."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streamsep.config import Method
from streamsep.errors import ConfigError, ModelError
from streamsep.models.clustered import open_clustered
from streamsep.models.loader import Batch, open_model
from streamsep.models.manifest import Manifest
from streamsep.realtime.contract import Separator
from streamsep.realtime.stft import FrontEnd

GRAPHS: dict[Method, str] = {"masks": "step", "clusters": "look-back"}  # the graph that a method runs
# What all graphs of one model say alike, but for the domain, which a bank may call otherwise.
OF_A_MODEL = "version", "front_end", "look_ahead", "sources", "symmetric", "embedding_dims", "states"
ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class BankModel:
    """One domain's model: what it says of itself, its sources as many as are run, where it is, its separator."""

    manifest: Manifest
    path: Path
    separator: Separator


@dataclass(frozen=True)
class Bank:
    """Models by domain, alphabetically; all share `front_end`."""

    models: dict[str, BankModel]
    front_end: FrontEnd

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains there are."""
        return tuple(self.models)

    def separators(self) -> dict[str, Separator]:
        """The separators by domain."""
        return {domain: model.separator for domain, model in self.models.items()}


def look_back_beside(path: Path) -> Path:
    """Where the look-back graph of a step graph's model is: named the same but for -look-back. Of a look-back graph,
    that graph itself.

    >>> look_back_beside(Path("foot-steps-step-int8.onnx")).name
    'foot-steps-look-back-int8.onnx'
    """
    return path.with_name(re.sub(r"-step(-\w+)?\.onnx$", r"-look-back\1.onnx", path.name))


def look_back_graphs(bank: Bank) -> dict[str, Path]:
    """The graphs that the monitor runs, by domain: those beside the step graphs, of the same precision.

    Raises ModelError when one is missing."""
    paths = {}
    for domain, model in bank.models.items():
        path = look_back_beside(model.path)
        if not path.is_file():
            raise ModelError(f"{path}: no such file; to choose by itself the bank needs it beside {model.path.name}")
        paths[domain] = path
    return paths


def open_look_backs(bank: Bank) -> dict[str, Batch]:
    """The same, opened. Raises ModelError also when one is no look-back graph, or not of the model whose step graph
    is beside it: it could not hand its state over, or would judge another network than the one that is heard."""
    opened = {}
    for domain, path in look_back_graphs(bank).items():
        graph, model = Batch(path), bank.models[domain]
        if graph.manifest.graph != "look-back":
            raise ModelError(f"{path}: graph: expected look-back, got {graph.manifest.graph}")
        if path != model.path:
            for field in OF_A_MODEL:
                wanted, found = getattr(model.manifest, field), getattr(graph.manifest, field)
                if wanted != found:
                    raise ModelError(f"{path}: {field}: expected {wanted} as in {model.path.name}, got {found}")
        opened[domain] = graph
    return opened


def bank_folder(bank: str) -> Path:
    """Folder of a bank: "zoo" is the one that is shipped, anything else a path. Raises ModelError when it is none."""
    folder = ZOO if bank == "zoo" else Path(bank)
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder of models; models.bank is 'zoo' or a folder of .onnx files")
    return folder


def precisions_in(bank: str, method: Method = "masks") -> list[str]:
    """The precisions in which there are models for this method. Raises ModelError when there is no such folder."""
    folder = bank_folder(bank)
    return [each for each in ("int8", "fp32") if any(folder.glob(f"*-{GRAPHS[method]}-{each}.onnx"))]


def open_bank(
    bank: str = "zoo",
    precision: str = "int8",
    method: Method = "masks",
    sources: int | None = None,
) -> Bank:
    """Open every graph of this precision, `*-step-PRECISION.onnx` or, to cluster, `*-look-back-PRECISION.onnx`.

    The arguments are the settings under `models`. Raises ModelError when there is none, or they disagree; ConfigError
    when they cannot give so many sources."""
    folder = bank_folder(bank)
    ending = f"-{GRAPHS[method]}-{precision}.onnx"
    paths = sorted(folder.glob(f"*{ending}"))
    if not paths:
        raise ModelError(f"{folder}: no model here: expected files named DOMAIN{ending}")
    return make_bank(paths, method, sources)


def make_bank(paths: Iterable[Path], method: Method = "masks", sources: int | None = None) -> Bank:
    """Open these model files as one bank. Raises ModelError naming the field and both values when two disagree, and
    ConfigError when they cannot give so many sources."""
    models: dict[str, BankModel] = {}
    for path in paths:
        manifest, separator = open_separator(path, method, sources)
        if manifest.domain in models:
            other = models[manifest.domain].path.name
            raise ModelError(f"domain: {path.name} and {other} are both {manifest.domain!r}")
        models[manifest.domain] = BankModel(manifest, path, separator)
    if not models:
        raise ModelError("a bank needs at least one model")
    if sources is not None and not any(model.manifest.alike for model in models.values()):
        raise ConfigError(
            f"models.sources: got {sources}, but only sources of one role can be of any number, and this bank has "
            f"{sorted(models)}, whose roles differ"
        )
    first = next(iter(models.values()))
    for model in models.values():
        for field in ("sample_rate", "window", "synthesis_window", "hop", "embedding_dims"):
            values = getattr(first.manifest, field), getattr(model.manifest, field)
            if values[0] != values[1]:
                raise ModelError(
                    f"{field}: {first.path.name} has {values[0]}, {model.path.name} has {values[1]}; "
                    "the models of one bank must share their front end"
                )
    return Bank(dict(sorted(models.items())), first.manifest.front_end)


def open_separator(path: Path, method: Method, sources: int | None) -> tuple[Manifest, Separator]:
    """One model file as a separator, with as many sources as asked for where they are all of one role."""
    if method == "clusters":
        return open_clustered(path, sources)
    manifest, separator = open_model(path)
    if manifest.alike and sources not in (None, len(manifest.sources)):
        raise ConfigError(
            f"models.sources: {path} has masks for {len(manifest.sources)} sources, got {sources}; another number "
            "needs models.method: clusters"
        )
    return manifest, separator
