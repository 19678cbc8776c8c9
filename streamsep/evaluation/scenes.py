"""Scenes: sound that goes from one domain to another, with its true sources. The lists are `scenes.csv` beside the
clips it names, a row a piece.

Columns: scene, split, segment (from 0), domain, slot, path (relative to the list), start and samples (of the piece in
its clip), at (where it begins in the scene), gain. A slot is the sum of its pieces; every piece is faded in and out.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio import files
from streamsep.errors import AudioError
from streamsep.evaluation.lists import RATE

SEGMENT = 15 * RATE  # samples of every segment in the lists
FADE = 320  # samples of linear fade at either end of a piece

Sources = NDArray[np.float32]  # (2, samples); the mixture is their sum


@dataclass(frozen=True)
class Segment:
    """The samples [start, stop) of a scene, in which the domain is known.

    domains: those that are right: one, or several where nothing tells them apart (a talker alone), or none where
    nobody can say (an unmixed recording)."""

    start: int
    stop: int
    domains: frozenset[str]


@dataclass(frozen=True)
class Scene:
    """Segments in the order of time, with gaps where one domain turns into the next."""

    name: str
    segments: tuple[Segment, ...]
    sources: Sources
    clips: tuple[str, ...]  # paths of what it is made of

    @property
    def mixture(self) -> NDArray[np.float32]:
        """(samples,)"""
        total: NDArray[np.float32] = self.sources.sum(axis=0)
        return total


def listed(folder: Path, split: str) -> Iterator[Scene]:
    """The scenes of one split, in the list's order, 15 s a segment.

    Raises AudioError, which names the file and what is wrong, when there is no such list or it does not make sense.
    """
    table = folder / "scenes.csv"
    for name, group in groupby(rows_of(table, split), key=lambda row: row["scene"]):
        pieces = list(group)
        domains = {int(row["segment"]): row["domain"] for row in pieces}
        if sorted(domains) != list(range(len(domains))):
            raise AudioError(f"{table}: {name}: segments must be 0, 1, 2 and so on, got {sorted(domains)}")
        sources = np.zeros((2, SEGMENT * len(domains)), np.float32)
        for row in pieces:
            samples = clip(folder / row["path"])[int(row["start"]) : int(row["start"]) + int(row["samples"])]
            slot, at = int(row["slot"]), int(row["at"])
            if slot not in (0, 1) or len(samples) < 2 * FADE or not 0 <= at <= sources.shape[1] - len(samples):
                raise AudioError(
                    f"{table}: {name}: slot must be 0 or 1 and a piece at least {2 * FADE} samples that lie within "
                    f"the scene's {sources.shape[1]}, got slot {slot} and {len(samples)} samples at {at}"
                )
            sources[slot, at : at + len(samples)] += faded(samples * np.float32(row["gain"]))
        segments = [Segment(SEGMENT * at, SEGMENT * (at + 1), frozenset({domains[at]})) for at in sorted(domains)]
        yield Scene(name, tuple(segments), sources, tuple(dict.fromkeys(row["path"] for row in pieces)))


def rows_of(table: Path, split: str) -> list[dict[str, str]]:
    """The rows of one split. Raises AudioError when there is no such file, or none in it."""
    if not table.is_file():
        raise AudioError(f"{table.parent}: expected a folder with a {table.name} and the clips it names, found none")
    with open(table, newline="") as file:
        found = [row for row in csv.DictReader(file) if row.get("split") == split]
    if not found:
        raise AudioError(f"{table}: nothing in it has the split {split!r}")
    return found


@lru_cache(maxsize=64)
def clip(path: Path) -> NDArray[np.float32]:
    """A whole clip, (samples,) at RATE; not to be written to. Raises AudioError for one that cannot be used."""
    samples, rate = files.read(path)
    if rate != RATE:
        raise AudioError(f"{path}: expected {RATE} Hz, found {rate} Hz")
    return samples[:, 0]


def faded(piece: NDArray[np.float32], fade: int = FADE) -> NDArray[np.float32]:
    """(samples,) -> a copy that comes and goes linearly, within `fade` samples, or half of it if that is less."""
    out = piece.copy()
    fade = min(fade, len(out) // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        out[:fade] *= ramp
        out[-fade:] *= ramp[::-1]
    return out
