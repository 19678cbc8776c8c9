"""A report of the benchmark that nobody measured."""

from typing import Any

from streamsep.bench.report import FORMAT
from streamsep.bench.timing import SHARES

STAGES = ("analysis", "graph", "masks", "crossfade", "synthesis", "limiter", "rest")  # of the usual path


def figures(p50_ms: float) -> dict[str, Any]:
    return {"p50_ms": p50_ms, "p99_ms": 2 * p50_ms, "p999_ms": 3 * p50_ms, "max_ms": 4 * p50_ms}


def entry(p50_ms: float, deadline_ms: float) -> dict[str, Any]:
    curve_ms = [p50_ms * (0.5 + index / 6) for index in range(len(SHARES))]
    return {**figures(p50_ms), "hops": 1000, "deadline_ms": deadline_ms, "late": 0, "curve_ms": curve_ms}


def staged(p50_ms: float, deadline_ms: float) -> dict[str, Any]:
    share = round(1 / len(STAGES), 4)
    stages = {name: {**figures(p50_ms * share), "share": share} for name in STAGES}
    return {**entry(p50_ms, deadline_ms), "stages": stages}


def start(factor: float) -> dict[str, float]:
    parts = {"python_s": 0.02 * factor, "import_s": 0.2 * factor, "open_s": 0.1 * factor, "hop_s": 0.001 * factor}
    return {**parts, "together_s": sum(parts.values()), "rss_import_mb": 68.0, "rss_mb": 80.0 * factor}


def made_up(factor: float = 1.0, monitor: bool = True) -> dict[str, Any]:
    """factor: everything that is a time or a size takes so much longer or is so much larger."""
    hop = staged(0.1 * factor, 4.0)
    hops = {
        f"{ms:g}": {"latency_ms": 2 * ms}
        | {
            precision: {"plain": staged(0.1 * factor * slow, ms), "fade": staged(0.2 * factor * slow, ms)}
            for precision, slow in (("int8", 1.0), ("fp32", 2.0))
        }
        for ms in (2.0, 4.0, 8.0)
    }
    looks = {"every_s": 0.5, "look": figures(70 * factor), "whole_look_back": figures(140 * factor)}
    beside = {"hop_without": entry(0.2 * factor, 4.0), "hop_with": entry(0.21 * factor, 4.0)}
    return {
        "format": FORMAT,
        "machine": {
            "cpu": "a <fast> one", "cores": 2, "os": "some", "load_average": 0.1, "measured_on_core": 1, "drift": 1.0,
        },
        "versions": {"python": "3.11", "numpy": "2.4", "onnxruntime": "1.31", "streamsep": "0.1"},
        "settings": {"domain": "auto", "limiter": {"true_peak": False}},
        "model": {"domain": "noise", "version": "1.1", "precision": "int8", "parameters": 10},
        "seconds": 15.0,
        "shares": list(SHARES),
        "graph": {"noise": figures(0.05 * factor)},
        "batch": {"frames": 250, "times_real_time": 100.0 / factor},
        "hop": {"length_ms": 4.0, "latency_ms": 8.0, **hop},
        "hops": hops,
        "channels": {str(count): entry(0.1 * factor * count, 4.0) for count in (1, 2, 4)},
        "rates": {str(rate): {"latency_ms": 8.0, **entry(0.15 * factor, 4.0)} for rate in (16_000, 44_100, 48_000)},
        "catch_up": entry(0.3 * factor, 4.0),
        "memory": {"traced_peak_bytes_per_hop": round(2000 * factor)},
        "file": {"seconds": 15.0, "times_real_time": 25.0 / factor, "auto_times_real_time": None},
        "import_s": 0.2 * factor,
        "start": start(factor),
        "banks": {
            str(size): {"hop": entry(0.1 * factor, 4.0), "look": None, "start": start(factor)}
            for size in (1, 2, 4, 8)
        },
        "monitor": looks | beside | {"share_of_a_core": 0.1 * factor, "rss_mb": 120.0 * factor} if monitor else None,
        "notes": ["Nobody measured it."],
    }  # fmt: skip
