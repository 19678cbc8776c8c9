"""Weights that a training begins with instead of random ones: of another run, or of a released model."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from export.from_onnx import read_model
from export.stages import Stages, own_stage, stages_before


@dataclass(frozen=True)
class Start:
    """Weights by their names in torch, and all that they went through."""

    weights: dict[str, Tensor]
    stages: Stages


def read_start(path: Path) -> Start:
    """The averaged weights of a checkpoint, or those of a released model (DOMAIN-step-fp32.onnx).

    Raises ValueError when the file is neither.
    """
    if path.suffix == ".onnx":
        return Start(*read_model(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        average, own = content["average"], own_stage(content)
    except Exception as error:  # whatever the reader of a file that is none stumbles on
        wanted = "a checkpoint of export.train or a released model's DOMAIN-step-fp32.onnx"
        raise ValueError(f"{path}: expected {wanted}, got {error!r:.200}") from None
    prefix = "module."
    weights = {name.removeprefix(prefix): value for name, value in average.items() if name.startswith(prefix)}
    return Start(weights, [*stages_before(content), own])
