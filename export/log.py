"""The log of a training: log.csv with a header and every step once, in order, whatever interrupted the run.

Row n is step n, so a run that goes on from a checkpoint keeps as many rows as the checkpoint has steps.
"""

import csv
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLUMNS = ("step", "seconds", "ratio_db", "clustering", "mask", "validation_db")


class Log:
    """Open for the rows of steps from `done` + 1 on; what an interrupted run wrote beyond `done` is dropped."""

    def __init__(self, path: Path, done: int) -> None:
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[1 : 1 + done] if path.is_file() else []
        part = path.with_suffix(".part")
        with open(part, "w", newline="", encoding="utf-8") as file:
            file.write(",".join(COLUMNS) + "\n")
            file.writelines(kept)
        part.replace(path)
        self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, step: int, seconds: float, parts: list[float], validation_db: float | None) -> None:
        """One row, seen by other programs at once. parts: as the columns between seconds and validation_db."""
        row = [str(step), f"{seconds:.1f}", *(f"{part:.6f}" for part in parts)]
        self._file.write(",".join([*row, "" if validation_db is None else f"{validation_db:.4f}"]) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """All rows are on the disk when this returns."""
        os.fsync(self._file.fileno())


def read_log(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns by name, (steps,) each; validation_db is NaN where there was no validation.

    Raises ValueError naming the file, the line and what would be right.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected the log.csv of a training")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        if tuple(header := next(rows, [])) != COLUMNS:
            raise ValueError(f"{path}: expected the header {','.join(COLUMNS)}, got {','.join(header)[:80]!r}")
        table = []
        for row in rows:
            try:
                table.append([float(text or "nan") for text in row])
                if len(row) != len(COLUMNS):
                    raise ValueError
            except ValueError:
                place = f"{path}, line {rows.line_num}"
                raise ValueError(f"{place}: expected {len(COLUMNS)} numbers, got {','.join(row)[:80]!r}") from None
    if not table:
        raise ValueError(f"{path}: no step has been logged yet")
    return dict(zip(COLUMNS, np.array(table).T, strict=True))
