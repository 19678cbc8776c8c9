"""A bank: every domain's separator, all with one front end: a switch is a fade between masks on one spectrum."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streamsep.errors import ModelError
from streamsep.models.loader import open_model
from streamsep.models.manifest import Manifest
from streamsep.realtime.bound_model import BoundModel
from streamsep.realtime.stft import FrontEnd

ZOO = Path(__file__).parent / "zoo"


@dataclass(frozen=True)
class BankModel:
    """One domain's model: what it says of itself, where it is, and the separator that runs it."""

    manifest: Manifest
    path: Path
    separator: BoundModel


@dataclass(frozen=True)
class Bank:
    """Models by domain, alphabetically; all share `front_end`."""

    models: dict[str, BankModel]
    front_end: FrontEnd

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains there are."""
        return tuple(self.models)

    def separators(self) -> dict[str, BoundModel]:
        """The separators by domain."""
        return {domain: model.separator for domain, model in self.models.items()}


def bank_folder(bank: str) -> Path:
    """Folder of a bank: "zoo" is the one that is shipped, anything else a path. Raises ModelError when it is none."""
    folder = ZOO if bank == "zoo" else Path(bank)
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder of models; models.bank is 'zoo' or a folder of .onnx files")
    return folder


def open_bank(bank: str = "zoo", precision: str = "int8") -> Bank:
    """Open every step graph of this precision, `*-step-PRECISION.onnx`. Raises ModelError when there is none, or they
    disagree."""
    folder = bank_folder(bank)
    paths = sorted(folder.glob(f"*-step-{precision}.onnx"))
    if not paths:
        raise ModelError(f"{folder}: no model here: expected files named DOMAIN-step-{precision}.onnx")
    return make_bank(paths)


def make_bank(paths: Iterable[Path]) -> Bank:
    """Open these model files as one bank. Raises ModelError naming the field and both values when two disagree."""
    models: dict[str, BankModel] = {}
    for path in paths:
        manifest, separator = open_model(path)
        if manifest.domain in models:
            other = models[manifest.domain].path.name
            raise ModelError(f"domain: {path.name} and {other} are both {manifest.domain!r}")
        models[manifest.domain] = BankModel(manifest, path, separator)
    if not models:
        raise ModelError("a bank needs at least one model")
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
