"""Reports of the benchmark: read from files, and one held against another."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamsep.errors import ConfigError

FORMAT = 1  # of a report; another number when its keys change their meaning
NEEDED = (
    "machine", "versions", "settings", "model", "seconds", "shares", "hop", "hops", "channels", "rates", "graph",
    "batch", "memory", "file", "start", "banks", "monitor", "catch_up", "notes",
)  # fmt: skip
COMPARED = (
    "p50_ms", "p99_ms", "p999_ms", "latency_ms", "python_s", "import_s", "open_s", "together_s", "rss_mb",
    "traced_peak_bytes_per_hop", "share_of_a_core", "times_real_time", "auto_times_real_time",
)  # fmt: skip


def read_report(file: Path) -> dict[str, Any]:
    """A report of `streamsep bench`. Raises ConfigError when the file is missing, or is none."""
    if not file.is_file():
        raise ConfigError(f"{file}: no such report")
    try:
        report = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):  # of JSON, UTF-8 or a number that is none
        raise ConfigError(f"{file}: no report of `streamsep bench`: it is not JSON") from None
    if not isinstance(report, dict) or "hop" not in report:
        raise ConfigError(f"{file}: no report of `streamsep bench`: expected what its --json prints")
    if report.get("format") != FORMAT:
        raise ConfigError(f"{file}: format: expected {FORMAT}, got {report.get('format')!r}; measure anew")
    if missing := [key for key in NEEDED if key not in report]:
        raise ConfigError(f"{file}: no whole report of `streamsep bench`: {missing} are missing")
    return report


def _no_number(name: str) -> float:
    """NaN and the infinities are no JSON."""
    raise ValueError(name)


@dataclass(frozen=True)
class Ratio:
    """A figure of two reports; what: its keys, from the outermost."""

    what: tuple[str, ...]
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """New over old."""
        return self.new / self.old


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What makes two reports hard to compare: key, old value, new value, of the machine, the versions, the settings,
    the model and the length of the measurement."""
    where = ("machine.cpu", "machine.cores", "machine.os", "versions", "settings", "model", "seconds")
    both = dict(leaves(old)), dict(leaves(new))
    keys = dict.fromkeys([*both[0], *both[1]])
    found = []
    for key in keys:
        name = ".".join(key)
        if any(name == part or name.startswith(f"{part}.") for part in where):
            values = both[0].get(key), both[1].get(key)
            if values[0] != values[1]:
                found.append((name, *values))
    return found


def ratios(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Ratio]:
    """Every figure that both reports have, in the order of the new one."""
    before = dict(leaves(old))
    return [
        Ratio(key, before[key], value)
        for key, value in leaves(new)
        if key[-1] in COMPARED and is_number(value) and is_number(before.get(key)) and before[key] > 0
    ]


def is_number(value: object) -> bool:
    """True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no mapping, with its keys from the outermost."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*keys, str(key)))
    else:
        yield keys, value
