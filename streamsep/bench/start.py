"""From nothing to the first sound, in a process of its own: how long it takes, and how much memory it holds then."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamsep.bench.banks import bank_of
from streamsep.bench.machine import memory_mb
from streamsep.realtime.engine import Engine
from streamsep.realtime.options import EngineOptions

STARTS = 3
PROGRAM = """
import time; up_s = time.time()
import streamsep; imported_s = time.time()
import json, sys
from streamsep.bench.start import play_first
print(json.dumps({"up_s": up_s, "imported_s": imported_s} | play_first(**json.loads(sys.argv[1]))))
"""


def first_sound(paths: Sequence[Path], count: int, method: str, sources: int | None) -> dict[str, float | None]:
    """Of a bank of so many models made of these files (see `banks.bank_of`): medians of a few new processes.

    python_s: until the interpreter is up · import_s: `import streamsep` · open_s: models opened, engine made · hop_s:
    the first hop · together_s: all of it · rss_import_mb, rss_mb: memory after the import and at the end, None where
    the system does not tell."""
    how = {"paths": [str(path.resolve()) for path in paths], "count": count, "method": method, "sources": sources}
    starts = [start(how) for _ in range(STARTS)]
    return {
        name: None if starts[0][name] is None else round(statistics.median(each[name] for each in starts), 4)
        for name in starts[0]
    }


def start(how: dict[str, Any]) -> dict[str, Any]:
    """One such process."""
    here = Path(__file__).parents[2]  # `-c` looks there first: it is this streamsep that is imported
    began_s = time.time()  # the one clock that two processes share everywhere
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(how)], cwd=here, capture_output=True, check=True, text=True
    )
    told = json.loads(done.stdout)
    times = [began_s, told.pop("up_s"), told.pop("imported_s"), told.pop("opened_s"), told.pop("heard_s")]
    parts = dict(zip(("python_s", "import_s", "open_s", "hop_s"), np.diff(times).tolist(), strict=True))
    return {**parts, "together_s": times[-1] - began_s, **told}


def play_first(paths: list[str], count: int, method: Any, sources: int | None) -> dict[str, float | None]:
    """Open a bank, make an engine, play a hop; what the clock said then, and the memory before and after."""
    rss_import_mb = memory_mb()
    bank = bank_of([Path(path) for path in paths], count, method, sources)
    front = bank.front_end
    with Engine(bank.separators(), front, EngineOptions(), bank.domains[0], front.sample_rate) as engine:
        opened_s = time.time()
        engine.process(np.zeros(front.hop, np.float32))
        return {
            "opened_s": opened_s, "heard_s": time.time(), "rss_import_mb": rss_import_mb, "rss_mb": memory_mb(),
        }  # fmt: skip
