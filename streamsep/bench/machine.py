"""Where it was measured: a figure without its machine is no figure."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "onnxruntime")


def machine() -> dict[str, Any]:
    """cpu: model · cores · os · load_average: of the minute before the measurement; None where there is none."""
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {"cpu": cpu_model(), "cores": os.cpu_count(), "os": platform.platform(), "load_average": load}


def versions() -> dict[str, str]:
    """Of Python and of what does the arithmetic."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def cpu_model() -> str:
    """As the processor calls itself, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def memory_mb(process: int | None = None) -> float | None:
    """What a process, this one unless another is named, holds in memory now (resident set), in 10^6 bytes; None where
    the system does not tell."""
    try:
        pages = Path(f"/proc/{process or 'self'}/statm").read_text().split()[1]
    except OSError:
        return None
    return round(int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
