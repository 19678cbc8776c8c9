"""What is known of the clips that mixtures are made of: a manifest.csv beside the lists, if there is one."""

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

Clip = Mapping[str, str]  # a row of manifest.csv; of its columns `path` must be there


@lru_cache(maxsize=2)
def read_clips(folder: Path) -> dict[str, Clip]:
    """By path; none where there is no manifest.csv."""
    table = folder / "manifest.csv"
    if not table.is_file():
        return {}
    with open(table, newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file) if row.get("path")}


def subgroup(slot: int, roles: Sequence[str], clips: Sequence[Clip | None]) -> str:
    """What kind of source the one in this slot is, among those of its domain: its role where they differ, "same sex"
    or "different sex" where all are talkers of known sex; otherwise "".

    >>> subgroup(1, ("vocals", "accompaniment"), [None, None])
    'accompaniment'
    >>> subgroup(0, ("talker", "talker"), [{"sex": "f"}, {"sex": "m"}]), subgroup(0, ("event", "event"), [{}, {}])
    ('different sex', '')
    """
    if len(set(roles)) > 1:
        return roles[slot]
    sexes = [clip.get("sex") if clip else None for clip in clips]
    if not all(sexes):
        return ""
    return "same sex" if len(set(sexes)) == 1 else "different sex"
