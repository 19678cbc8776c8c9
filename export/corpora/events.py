"""Corpora of things that happen, sorted by class; neither has mixtures of its own."""

from pathlib import Path

from export.corpora.entries import Entry, Found, missing, table

FOREGROUND = {"1": True, "2": False}  # by salience


def urbansound8k(folder: Path) -> Found:
    """metadata/UrbanSound8K.csv and audio/fold1 … fold10; fold 10 is test, fold 9 val. A group is a class.

    No recording is in two folds (the corpus' own rule). Clips of val and test in which the class is only heard in the
    background (salience 2) are left out: what is in the foreground there would be counted as a mistake.
    """
    layout, found = "urbansound8k", Found()
    meta = folder / "metadata" / "UrbanSound8K.csv"
    for row in table(layout, meta, ("slice_file_name", "fold", "class", "salience")):
        split = _split(f"{layout}: {meta}", row["fold"], folds=10, val=9, test=10)
        if row["salience"] not in FOREGROUND:
            raise ValueError(f"{layout}: {meta}: salience: expected 1 or 2, found {row['salience']!r}")
        if split != "train" and not FOREGROUND[row["salience"]]:
            continue
        path = folder / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
        if not path.is_file():
            raise missing(layout, f"{path.name}, which {meta} names,", path.parent)
        found.entries.append(Entry(str(path), "UrbanSound8K", row["class"], "event", split, "CC BY-NC 3.0"))
    return found


def esc_50(folder: Path) -> Found:
    """meta/esc50.csv and audio/; fold 4 is test, as for the shipped models, fold 5 val. A group is a class.

    No recording is in two folds (the corpus' own rule). Clips that the table marks as ESC-10 are CC BY.
    """
    layout, found = "esc-50", Found()
    meta = folder / "meta" / "esc50.csv"
    for row in table(layout, meta, ("filename", "fold", "category", "esc10")):
        split = _split(f"{layout}: {meta}", row["fold"], folds=5, val=5, test=4)
        path = folder / "audio" / row["filename"]
        if not path.is_file():
            raise missing(layout, f"{path.name}, which {meta} names,", path.parent)
        licence = "CC BY 3.0 (ESC-10)" if row["esc10"].lower() == "true" else "CC BY-NC 3.0"
        found.entries.append(Entry(str(path), "ESC-50", row["category"], "event", split, licence))
    return found


def _split(where: str, fold: str, folds: int, val: int, test: int) -> str:
    """The split of a fold. Raises ValueError for what is none."""
    if fold not in map(str, range(1, folds + 1)):
        raise ValueError(f"{where}: fold: expected 1 to {folds}, found {fold!r}")
    return {str(val): "val", str(test): "test"}.get(fold, "train")
