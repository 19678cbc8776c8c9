"""Where it was measured: a figure without its machine is no figure."""

import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "onnxruntime")
FRESH_IMPORTS = 3
IMPORT = "import time; began = time.perf_counter(); import streamsep; print(time.perf_counter() - began)"


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


def memory_mb() -> float | None:
    """What this process holds in memory now (resident set), in 10^6 bytes; None where the system does not tell."""
    status = Path("/proc/self/statm")
    if not status.is_file():
        return None
    return round(int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def import_s() -> float:
    """Median time of `import streamsep` in fresh processes, Python's own start not counted, nor the first process."""
    took = [fresh_import_s() for _ in range(1 + FRESH_IMPORTS)]
    return round(statistics.median(took[1:]), 3)


def fresh_import_s() -> float:
    """`import streamsep` in a new process."""
    here = Path(__file__).parents[2]  # `-c` looks there first: it is this streamsep that is imported
    done = subprocess.run([sys.executable, "-c", IMPORT], cwd=here, capture_output=True, check=True, text=True)
    return float(done.stdout)
