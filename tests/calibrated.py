"""Small banks whose models promise what a test wants them to."""

from pathlib import Path
from typing import Any

from graphs import make_graph

ROLES = {"music": ["vocals", "accompaniment"], "noise": ["speech", "noise"]}


def promising(offset_db: float, **features: float) -> dict[str, Any]:
    """A calibration: offset and so many dB for each of the measures."""
    own = {
        "features": [[name] for name in features], "centre": [0.0] * len(features), "scale": [1.0] * len(features),
        "weights": list(features.values()), "offset_db": offset_db, "lowest_db": -20.0, "highest_db": 20.0,
        "error_db": 1.0,
    }  # fmt: skip
    return {"own": own}


def make_calibrated_bank(folder: Path, **calibrations: dict[str, Any] | None) -> Path:
    folder.mkdir(exist_ok=True)
    for domain, calibration in calibrations.items():
        for kind in ("step", "look-back"):
            said = {"calibration": calibration} if kind == "look-back" else {}
            path = folder / f"{domain}-{kind}-fp32.onnx"
            make_graph(path, kind, domain=domain, sources=ROLES[domain], **said)
    return folder
