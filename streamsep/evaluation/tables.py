"""The tables beside the clips (mixtures.csv, scenes.csv, manifest.csv): their rows, and the numbers in them.

What is wrong with one raises AudioError, which names the file, the row, the column and what stands there."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from streamsep.errors import AudioError

Row = Mapping[str, str]


def rows_of(table: Path, columns: Sequence[str], **wanted: str) -> list[Row]:
    """The rows that have these values, in the table's order. Raises AudioError when there is no such file, when it or
    a row of it lacks one of the columns, and when no row has these values."""
    if not table.is_file():
        raise AudioError(f"{table.parent}: expected a folder with a {table.name} and the clips it names, found none")
    found: list[Row] = []
    with opened(table) as reader:
        expected = f"expected the columns {', '.join(columns)}, found no"
        if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
            raise AudioError(f"{table}: {expected} {', '.join(missing)}")
        for row in reader:
            if missing := [name for name in columns if row[name] is None]:
                raise AudioError(f"{table}: line {reader.line_num}: {expected} {', '.join(missing)}")
            if all(row[name] == value for name, value in wanted.items()):
                found.append(row)
    if not found:
        said = " and the ".join(f"{name} {value!r}" for name, value in wanted.items())
        raise AudioError(f"{table}: nothing in it has the {said}")
    return found


def by_name(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    """By what stands in this column: its rows, wherever they are in the table."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def whole_number(where: str, row: Row, column: str, least: int = 0, most: int | None = None) -> int:
    """What stands in this column, in [least, most]; where: the file and what the row is of, for the AudioError."""
    text = row[column]
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least or (most is not None and number > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise AudioError(f"{where}: expected {column} to be a whole number {span}, got {column} {text!r}")
    return number


def finite_number(where: str, row: Row, column: str) -> float:
    """What stands in this column, finite; where: as of `whole_number`."""
    text = row[column]
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise AudioError(f"{where}: expected {column} to be a finite number, got {column} {text!r}")
    return found


@lru_cache(maxsize=2)
def read_clips(folder: Path) -> dict[str, Row]:
    """What is known of the clips, by path: the rows of a manifest.csv, of whose columns `path` must be there; none
    where there is no such file."""
    table = folder / "manifest.csv"
    if not table.is_file():
        return {}
    with opened(table) as reader:
        return {row["path"]: row for row in reader if row.get("path")}


@contextmanager
def opened(table: Path) -> Iterator["csv.DictReader[str]"]:
    """To read its rows, with or without a byte order mark. Raises AudioError where it is no such table."""
    with open(table, newline="", encoding="utf-8-sig") as file:
        try:
            yield csv.DictReader(file)
        except (csv.Error, UnicodeDecodeError) as error:
            raise AudioError(f"{table}: expected comma-separated values in UTF-8, got {error}") from None


def groups(folder: Path, clips: Iterable[str]) -> tuple[str, ...]:
    """What each clip is a piece of: "corpus/group" of the manifest.csv, or where that does not know it of the
    mixtures.csv, if that has these columns; it is one talker, song or kind of sound. The clip's own path where nobody
    says.

    Clips of one group pull the mixtures they are in the same way, so this is what intervals are clustered by."""
    known, copies = read_clips(folder), _read_copies(folder)
    return tuple(_group(known.get(clip) or copies.get(clip, {})) or clip for clip in clips)


@lru_cache(maxsize=2)
def _read_copies(folder: Path) -> dict[str, Row]:
    """What a list says itself of the clips in it, by path."""
    table = folder / "mixtures.csv"
    if not table.is_file():
        return {}
    with opened(table) as reader:
        return {row["path"]: row for row in reader if row.get("path") and _group(row)}


def _group(row: Row) -> str:
    """Empty where either part is not there."""
    corpus, group = row.get("corpus"), row.get("group")
    return f"{corpus}/{group}" if corpus and group else ""
