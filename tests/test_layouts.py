"""What a layout reads of names and tables that not every copy of a corpus has."""

import csv
from pathlib import Path

import pytest
from corpus_trees import TREES

from export.corpora.__main__ import find


def test_a_ratio_in_the_name_of_a_wsj0_mixture_may_be_tiny(tmp_path: Path) -> None:
    TREES["wsj0-2mix"](tmp_path)
    base = tmp_path / "2speakers/wav8k/min/tr"
    for slot in ("s1", "s2"):
        first = min((base / slot).iterdir())
        first.rename(first.with_name("20na010x_5.1234e-05_01xo031a_-5.1234e-05.wav"))
    groups = [entry.group for entry in find("wsj0-2mix", tmp_path).entries]
    assert {"WSJ0-20n", "WSJ0-01x"} <= set(groups)


def test_what_is_only_in_the_background_of_urbansound_is_not_measured(tmp_path: Path) -> None:
    TREES["urbansound8k"](tmp_path)
    meta = tmp_path / "metadata/UrbanSound8K.csv"
    with open(meta, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["salience"] = "2" if row["class"] == "siren" else "1"
    write_rows(meta, rows)
    kept = [(entry.group, entry.split) for entry in find("urbansound8k", tmp_path).entries]
    assert kept.count(("siren", "train")) == kept.count(("dog_bark", "train")) == 8
    assert {split for group, split in kept if group == "siren"} == {"train"}
    assert {split for group, split in kept if group == "dog_bark"} == {"train", "val", "test"}
    write_rows(meta, [rows[0] | {"salience": "3"}, *rows[1:]])
    with pytest.raises(ValueError, match=r"UrbanSound8K\.csv: salience: expected 1 or 2, found '3'"):
        find("urbansound8k", tmp_path)


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with open(path, "w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
