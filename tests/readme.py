"""The tables of what a command of live sound prints with --json, as a test can hold them against what it prints."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "streamsep" / "live" / "README.md"
VARYING = ("terms", "terms_ms")  # whose keys depend on the devices; the README has other tables of them


def documented(command: str) -> dict[str, str]:
    """Key -> the row it is in, of the table with this in its head; a key within another's object is "other.key"."""
    lines = README.read_text(encoding="utf-8").splitlines()
    (start,) = (
        number for number, line in enumerate(lines) if line.startswith(f"| in `streamsep {command} --json` |")
    )
    rows: dict[str, str] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows |= dict.fromkeys(re.findall(r"`([^`]+)`", line.split("|")[1]), line)
    return rows


def check(printed: dict[str, Any], command: str, absent: Collection[str] = ()) -> None:
    """Every key that was printed is in the table, and no others but those absent this time."""
    rows = documented(command)
    found: set[str] = set()

    def see(value: Any, path: str) -> None:
        if path not in rows:
            assert isinstance(value, dict), f"{path} is not in the table of {command}"
            for key, inner in value.items():
                see(inner, f"{path}.{key}")
            return
        found.add(path)
        if path.rpartition(".")[2] not in VARYING:
            inside = value if isinstance(value, list) else [value]
            for key in {key for one in inside if isinstance(one, dict) for key in one}:
                assert f"`{key}`" in rows[path], f"{path}: {key} is not in its row"

    for key, value in printed.items():
        see(value, key)
    assert set(rows) - found == set(absent)
