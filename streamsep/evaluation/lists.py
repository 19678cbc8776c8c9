"""Fixed lists of mixtures: `mixtures.csv` beside the clips it names, a row a source.

Columns: mixture, domain, split, slot, path (relative to the list), start and samples (in samples), gain. The mixture
is the sum of its sources; a source shorter than the mixture is followed by silence.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from streamsep.audio import files
from streamsep.errors import AudioError

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


def mixtures(folder: Path, split: str, domain: str) -> Iterator[Mixture]:
    """The mixtures of one split and domain, in the list's order. Raises AudioError when there is no such list."""
    for name, rows in _listed(folder, split, domain):
        yield _read(folder, domain, name, rows)


def count(folder: Path, split: str, domain: str) -> int:
    """How many they are. Raises AudioError when there is no such list."""
    return len(_listed(folder, split, domain))


def mixture(folder: Path, split: str, domain: str, number: int) -> Mixture:
    """One of them, by its place in the list. Raises AudioError when there is no such list, or not so many in it."""
    listed = _listed(folder, split, domain)
    if not 0 <= number < len(listed):
        raise AudioError(f"{folder}: {split} has {len(listed)} mixtures of {domain!r}, asked for number {number}")
    return _read(folder, domain, *listed[number])


def _listed(folder: Path, split: str, domain: str) -> list[tuple[str, list[dict[str, str]]]]:
    """By name of the mixture: its rows, a slot each."""
    table = folder / "mixtures.csv"
    if not table.is_file():
        raise AudioError(f"{folder}: expected a folder with a mixtures.csv and the clips it names, found none")
    with open(table, newline="") as file:
        reader = csv.DictReader(file)
        if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            raise AudioError(f"{table}: expected the columns {', '.join(COLUMNS)}, found no {', '.join(missing)}")
        rows = [row for row in reader if row["split"] == split and row["domain"] == domain]
    if not rows:
        raise AudioError(f"{table}: no mixture with split {split!r} and domain {domain!r}")
    grouped = groupby(rows, key=lambda row: row["mixture"])
    return [(name, sorted(group, key=lambda row: int(row["slot"]))) for name, group in grouped]


def _read(folder: Path, domain: str, name: str, slots: list[dict[str, str]]) -> Mixture:
    """The sounds of one mixture."""
    sources = np.zeros((len(slots), LENGTH), np.float32)
    for source, row in zip(sources, slots, strict=True):
        try:
            start, samples, gain = int(row["start"]), int(row["samples"]), float(row["gain"])
        except ValueError:
            found = ", ".join(f"{column} {row[column]!r}" for column in ("start", "samples", "gain"))
            wanted = "start and samples as whole numbers and gain as a number"
            raise AudioError(f"{folder / 'mixtures.csv'}: mixture {name}: expected {wanted}, got {found}") from None
        piece, rate = files.read(folder / row["path"], stop=start + samples)
        if rate != RATE:
            raise AudioError(f"{folder / row['path']}: expected {RATE} Hz, found {rate} Hz")
        piece = piece[start:, 0] * np.float32(gain)
        source[: len(piece)] = piece
    return Mixture(name, domain, tuple(row["path"] for row in slots), sources)


def joined(listed: Sequence[Mixture], sources: int) -> Iterator[Mixture]:
    """Mixtures of more sources than the list's, one for each of them, in its order.

    To its own sources come those of the mixtures that follow (after the last comes the first), as loud as they are
    there, until there are enough; no two are of clips in one folder, which is one talker or one kind of sound. Raises
    AudioError when the list has not so many folders."""
    for number, mixture in enumerate(listed):
        clips, found = list(mixture.clips), list(mixture.sources)
        folders = {PurePosixPath(clip).parent for clip in clips}
        following = (*listed[number + 1 :], *listed[:number])
        for clip, source in chain.from_iterable(zip(one.clips, one.sources, strict=True) for one in following):
            if len(clips) == sources:
                break
            if (folder := PurePosixPath(clip).parent) not in folders:
                folders.add(folder)
                clips.append(clip)
                found.append(source)
        if len(clips) < sources:
            raise AudioError(
                f"{mixture.name}: found clips of {len(clips)} folders only, {sources} sources need as many"
            )
        yield Mixture(f"{mixture.name}-of-{sources}", mixture.domain, tuple(clips), np.stack(found))
