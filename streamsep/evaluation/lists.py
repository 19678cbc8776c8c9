"""Fixed lists of mixtures: `mixtures.csv` beside the clips it names, a row a source.

Columns: mixture, domain, split, slot (from 0), path (relative to the list), start and samples (in samples), gain; and
if the manifest.csv does not say it, corpus and group, what the clip is a piece of (see `tables.groups`). The mixture
is the sum of its sources; a source shorter than the mixture is followed by silence. The rows of a mixture may stand
anywhere in the list.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from streamsep.audio import files
from streamsep.errors import AudioError
from streamsep.evaluation.tables import Row, by_name, finite_number, groups, rows_of, whole_number

RATE = 16_000
LENGTH = 5 * RATE  # samples of every mixture in the lists
COLUMNS = ("mixture", "domain", "split", "slot", "path", "start", "samples", "gain")


@dataclass(frozen=True)
class Mixture:
    """One mixture with its true sources."""

    name: str
    domain: str
    clips: tuple[str, ...]  # path of the clip in each slot
    sources: NDArray[np.float32]  # (sources, samples); the mixture is their sum
    groups: tuple[str, ...] = ()  # what each clip is a piece of (see `tables.groups`); none: nobody says

    @property
    def pieces_of(self) -> tuple[str, ...]:
        """What each clip is a piece of: a talker, a song, a kind of sound; where nobody says, the clip itself."""
        return self.groups or self.clips


def mixtures(folder: Path, split: str, domain: str) -> Iterator[Mixture]:
    """The mixtures of one split and domain, in the list's order. Raises AudioError when there is no such list, or
    something in it makes no sense."""
    for name, slots in _listed(folder, split, domain):
        yield _read(folder, domain, name, slots)


def count(folder: Path, split: str, domain: str) -> int:
    """How many they are. Raises AudioError when there is no such list."""
    return len(_listed(folder, split, domain))


def mixture(folder: Path, split: str, domain: str, place: int) -> Mixture:
    """One of them, by its place in the list. Raises AudioError when there is no such list, or not so many in it."""
    listed = _listed(folder, split, domain)
    if not 0 <= place < len(listed):
        raise AudioError(f"{folder}: {split} has {len(listed)} mixtures of {domain!r}, asked for number {place}")
    return _read(folder, domain, *listed[place])


def _listed(folder: Path, split: str, domain: str) -> list[tuple[str, list[Row]]]:
    """By name of the mixture: its rows, a slot each."""
    table = folder / "mixtures.csv"
    rows = rows_of(table, COLUMNS, split=split, domain=domain)
    return [(name, in_slots(table, name, of)) for name, of in by_name(rows, "mixture").items()]


def in_slots(table: Path, name: str, rows: Sequence[Row]) -> list[Row]:
    """The rows of one mixture, ordered by slot. Raises AudioError unless they are two or more, a slot each."""
    where = f"{table}: mixture {name}"
    slots = [whole_number(where, row, "slot") for row in rows]
    if len(rows) < 2 or sorted(slots) != list(range(len(rows))):
        found = ", ".join(map(str, slots))
        raise AudioError(f"{where}: expected a row for each slot, 0, 1 and so on, two or more, got slot {found}")
    return sorted(rows, key=lambda row: int(row["slot"]))


def _read(folder: Path, domain: str, name: str, slots: Sequence[Row]) -> Mixture:
    """The sounds of one mixture."""
    where = f"{folder / 'mixtures.csv'}: mixture {name}"
    sources = np.zeros((len(slots), LENGTH), np.float32)
    for source, row in zip(sources, slots, strict=True):
        start, samples = whole_number(where, row, "start"), whole_number(where, row, "samples", 1, LENGTH)
        gain = np.float32(finite_number(where, row, "gain"))
        piece, rate = files.read(folder / row["path"], stop=start + samples)
        if rate != RATE:
            raise AudioError(f"{folder / row['path']}: expected {RATE} Hz, found {rate} Hz")
        if start >= len(piece):
            raise AudioError(f"{where}: start {start} is not within {row['path']}, which has {len(piece)} samples")
        piece = piece[start:, 0] * gain
        source[: len(piece)] = piece
    clips = tuple(row["path"] for row in slots)
    return Mixture(name, domain, clips, sources, groups(folder, clips))


def joined(listed: Sequence[Mixture], sources: int) -> Iterator[Mixture]:
    """Mixtures of more sources than the list's, one for each of them, in its order.

    To its own sources come those of the mixtures that follow (after the last comes the first), as loud as they are
    there, until there are enough; no two are of clips in one folder, which is one talker or one kind of sound. Raises
    AudioError when the list has not so many folders."""
    for number, mixture in enumerate(listed):
        clips, of, found = list(mixture.clips), list(mixture.pieces_of), list(mixture.sources)
        folders = {PurePosixPath(clip).parent for clip in clips}
        following = (*listed[number + 1 :], *listed[:number])
        every = (zip(one.clips, one.pieces_of, one.sources, strict=True) for one in following)
        for clip, group, source in chain.from_iterable(every):
            if len(clips) == sources:
                break
            if (folder := PurePosixPath(clip).parent) not in folders:
                folders.add(folder)
                clips.append(clip)
                of.append(group)
                found.append(source)
        if len(clips) < sources:
            raise AudioError(
                f"{mixture.name}: found clips of {len(clips)} folders only, {sources} sources need as many"
            )
        name = f"{mixture.name}-of-{sources}"
        yield Mixture(name, mixture.domain, tuple(clips), np.stack(found), tuple(of))
