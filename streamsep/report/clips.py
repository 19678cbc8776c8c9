"""What is known of the clips that mixtures are made of, in the rows of studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamsep.evaluation.tables import groups

Clip = Mapping[str, str]  # a row of manifest.csv


def with_groups(folder: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, and in each that names its "clips" the "groups" that they are pieces of (`tables.groups`).

    They are not kept with the rows, so that nothing has to be measured again to know more of a clip."""
    return [row | {"groups": list(groups(folder, row["clips"]))} if "clips" in row else row for row in rows]


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
