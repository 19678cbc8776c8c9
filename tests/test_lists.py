"""Lists of mixtures that cannot be read say where and why."""

import csv
from pathlib import Path

import pytest
from tiny_data import make_data, write_list

from streamsep.errors import AudioError
from streamsep.evaluation.lists import mixtures


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("gain", None, "expected the columns mixture, .*, found no gain"),
        ("start", "0.0", "mixture noise-0: expected start .* start '0.0'"),
        ("samples", "", "samples ''"),
        ("gain", "loud", "gain 'loud'"),
    ],
)
def test_a_list_that_cannot_be_read_says_where(tmp_path: Path, column: str, value: str | None, said: str) -> None:
    data = make_data(tmp_path / "data")
    write_list(data)
    with open(data / "mixtures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if value is None:
            del row[column]
        else:
            row[column] = value
    with open(data / "mixtures.csv", "w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    with pytest.raises(AudioError, match=rf"mixtures\.csv: .*{said}"):
        list(mixtures(data, "val", "noise"))
