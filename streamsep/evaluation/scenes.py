"""Scenes: sound that goes from one domain to another, with its true sources. The lists are `scenes.csv` beside the
clips it names, a row a piece.

Columns: scene, split, segment (from 0), domain, slot, path (relative to the list), start and samples (of the piece in
its clip), at (where it begins in the scene), gain. A slot is the sum of its pieces; every piece is faded in and out.
The rows of a scene may stand anywhere in the list.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio import files
from streamsep.errors import AudioError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.tables import Row, by_name, finite_number, rows_of, whole_number

COLUMNS = ("scene", "split", "segment", "domain", "slot", "path", "start", "samples", "at", "gain")
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
    for name, pieces in by_name(rows_of(table, COLUMNS, split=split), "scene").items():
        where = f"{table}: {name}"
        domains = _domains(where, pieces)
        sources = np.zeros((2, SEGMENT * len(domains)), np.float32)
        for row in pieces:
            start, length = whole_number(where, row, "start"), whole_number(where, row, "samples")
            slot, at = whole_number(where, row, "slot"), whole_number(where, row, "at")
            gain, whole = np.float32(finite_number(where, row, "gain")), clip(folder / row["path"])
            if start >= len(whole):
                raise AudioError(f"{where}: start {start} is not within {row['path']}, of {len(whole)} samples")
            samples = whole[start : start + length]
            if slot > 1 or len(samples) < 2 * FADE or at > sources.shape[1] - len(samples):
                raise AudioError(
                    f"{where}: slot must be 0 or 1 and a piece at least {2 * FADE} samples that lie within "
                    f"the scene's {sources.shape[1]}, got slot {slot} and {len(samples)} samples at {at}"
                )
            sources[slot, at : at + len(samples)] += faded(samples * gain)
        segments = [Segment(SEGMENT * at, SEGMENT * (at + 1), frozenset({of})) for at, of in enumerate(domains)]
        yield Scene(name, tuple(segments), sources, tuple(dict.fromkeys(row["path"] for row in pieces)))


def _domains(where: str, pieces: Sequence[Row]) -> list[str]:
    """Of every segment. Raises AudioError unless they are 0, 1, 2 and so on, and each is of one domain."""
    domains: dict[int, str] = {}
    for row in pieces:
        segment = whole_number(where, row, "segment")
        if domains.setdefault(segment, row["domain"]) != row["domain"]:
            both = f"{domains[segment]!r} and {row['domain']!r}"
            raise AudioError(f"{where}: expected one domain in segment {segment}, got domain {both}")
    if sorted(domains) != list(range(len(domains))):
        raise AudioError(f"{where}: segments must be 0, 1, 2 and so on, got {sorted(domains)}")
    return [domains[at] for at in range(len(domains))]


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
