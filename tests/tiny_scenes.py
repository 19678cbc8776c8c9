"""A folder like those that scenes are made from, with the two lists; two minutes of sound in all."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamsep.audio import files
from streamsep.evaluation.lists import RATE

CLIPS = {  # seconds, group, role, split
    "voice-0.wav": (4, "ann", "talker", "val"),
    "voice-1.wav": (5, "bob", "talker", "val"),
    "voice-2.wav": (3, "bob", "talker", "val"),
    "song-0.vocals.wav": (6, "song", "vocals", "val"),
    "song-0.accompaniment.wav": (6, "song", "accompaniment", "val"),
    "street.wav": (61, "street", "noise", "val"),
    "bar.wav": (60, "bar", "noise", "val"),
    "known.wav": (3, "ann", "talker", "train"),
}
MIXTURES = [
    ["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"],
    ["s", "speech", "val", 0, "voice-0.wav", 800, 4 * RATE, 0.4],
    ["s", "speech", "val", 1, "voice-1.wav", 0, 5 * RATE, 0.3],
    ["n", "noise", "val", 0, "voice-1.wav", 0, 5 * RATE, 0.5],
    ["n", "noise", "val", 1, "street.wav", 16_000, 5 * RATE, 0.3],
    ["m", "music", "val", 0, "song-0.vocals.wav", 0, 5 * RATE, 0.4],
    ["m", "music", "val", 1, "song-0.accompaniment.wav", 0, 5 * RATE, 0.4],
]
PIECES: list[list[Any]] = [
    ["scene", "split", "segment", "domain", "slot", "path", "start", "samples", "at", "gain"],
    ["one", "val", 0, "noise", 0, "voice-0.wav", 100, 3 * RATE, 0, 0.37],
    ["one", "val", 0, "noise", 0, "voice-0.wav", 0, 2 * RATE, 3 * RATE - 50, 0.9],
    ["one", "val", 0, "noise", 1, "street.wav", 777, 15 * RATE, 0, 1.21],
    ["one", "val", 1, "music", 0, "song-0.vocals.wav", 0, 5 * RATE, 16 * RATE, 0.5],
    ["two", "val", 0, "speech", 0, "voice-1.wav", 0, 5 * RATE, 0, 0.5],
    ["two", "val", 0, "speech", 1, "voice-0.wav", 5, 4 * RATE, 9, 0.5],
]


def make_scenes(folder: Path) -> Path:
    """Clips, manifest.csv, mixtures.csv and scenes.csv."""
    for number, (path, (seconds, *_)) in enumerate(CLIPS.items()):
        files.write(folder / path, 0.1 * np.random.default_rng(number).standard_normal(seconds * RATE), RATE)
    rows = [[path, seconds, group, role, split] for path, (seconds, group, role, split) in CLIPS.items()]
    write_table(folder / "manifest.csv", [["path", "seconds", "group", "role", "split"], *rows])
    write_table(folder / "mixtures.csv", MIXTURES)
    write_table(folder / "scenes.csv", PIECES)
    return folder


def write_table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)
