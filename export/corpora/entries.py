"""What a layout finds in a corpus, and how it says that something is not where it should be."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DOMAINS = {
    "talker": "speech",
    "noise": "noise",
    "event": "environment",
    "vocals": "music",
    "accompaniment": "music",
    "drums": "music",
    "bass": "music",
    "other": "music",
}  # by role
SOUNDS = (".wav", ".flac")  # corpora come as WAV, and are often kept as FLAC


@dataclass(frozen=True)
class Entry:
    """One clip: a row of manifest.csv (see export/corpus.py for its words)."""

    path: str  # absolute; FILE.mp4#2 is a stream
    corpus: str
    group: str
    role: str
    split: str
    licence: str
    minus: str = ""  # absolute
    song: str = ""


@dataclass(frozen=True)
class Pair:
    """Two clips that a corpus mixes: speech and noise, two talkers, vocals and accompaniment."""

    domain: str
    first: Entry
    second: Entry


@dataclass
class Found:
    """All clips of a corpus, and its own mixtures of the splits val and test."""

    entries: list[Entry] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def add_pair(self, domain: str, first: Entry, second: Entry) -> None:
        """Keep a mixture, unless it is one of the training split."""
        if first.split != "train":
            self.pairs.append(Pair(domain, first, second))


def missing(layout: str, expected: str, folder: Path) -> ValueError:
    """An error that says what was expected in a folder and what is there instead."""
    return ValueError(f"{layout}: expected {expected} in {folder}, found {_contents(folder)}")


def _contents(folder: Path) -> str:
    """What is in a folder, in a few words."""
    if not folder.exists():
        return "no such folder"
    if not folder.is_dir():
        return "that it is a file"
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "nothing"


def base_of(layout: str, folder: Path, places: Sequence[str], needed: Sequence[str]) -> Path:
    """The first of the places below a folder that holds all needed folders.

    Raises ValueError: with what is missing in the place that comes nearest, or with all places when none comes near.
    """
    present = {place: [name for name in needed if (folder / place / name).is_dir()] for place in places}
    nearest = max(places, key=lambda place: len(present[place]))
    if len(present[nearest]) == len(needed):
        return folder / nearest
    if present[nearest]:
        absent = [name for name in needed if name not in present[nearest]]
        raise missing(layout, f"the folders {', '.join(absent)}", folder / nearest)
    where = ", ".join(place for place in places if place != ".")
    expected = f"the folders {', '.join(needed)}" + (f", or these in one of {where}," if where else "")
    raise missing(layout, expected, folder)


def sounds(layout: str, folder: Path, pattern: str = "*") -> list[Path]:
    """The sound files of a folder, sorted, hidden ones left out. pattern: "**/*" for those in folders below too.

    Raises ValueError when there are none.
    """
    found = sorted(
        path for path in folder.glob(pattern) if path.suffix.lower() in SOUNDS and not path.name.startswith(".")
    )
    if not found:
        raise missing(layout, f"sound files ({', '.join(SOUNDS)})", folder)
    return found


def namesakes(layout: str, first: Iterable[Path], folder: Path) -> list[Path]:
    """The files of the same names in another folder. Raises ValueError naming the first that is not there."""
    paths = [folder / path.name for path in first]
    for path in paths:
        if not path.is_file():
            raise missing(layout, path.name, folder)
    return paths


def table(layout: str, path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file. Raises ValueError when it is not there, is no table, empty, or lacks a column."""
    if not path.is_file():
        raise missing(layout, path.name, path.parent)
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            there, rows = reader.fieldnames or (), list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{layout}: {path}: expected a table of comma-separated values ({error})") from None
    if absent := [column for column in columns if column not in there]:
        raise ValueError(f"{layout}: {path}: expected the columns {', '.join(absent)}, found {', '.join(there)}")
    if not rows:
        raise ValueError(f"{layout}: {path}: expected a row for every clip, found none")
    for number, row in enumerate(rows, 1):
        if short := [column for column in columns if row[column] is None]:
            raise ValueError(f"{layout}: {path}: row {number} has no {', '.join(short)}")
    return rows
