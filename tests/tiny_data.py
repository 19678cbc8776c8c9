"""A folder like those that models are trained on, half a minute of sound in all, and a recipe to train on it."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import yaml

from export.corpus import RATE
from export.parity import speech_like

ROWS = [
    ("a.wav", "TSP", "talker", "train", "BSD"),
    ("b.wav", "PicovoiceBarista", "talker", "train", "of a corpus the recipe leaves out"),
    ("c.wav", "Street", "noise", "train", "CC0"),
    ("d.wav", "Street", "event", "train", "CC0"),
    ("e.vocals.wav", "MIR-1K", "vocals", "train", "none | for research"),
    ("e.accompaniment.wav", "MIR-1K", "accompaniment", "train", "none | for research"),
    ("f.wav", "Band", "instrument", "train", "MIT"),
    ("i.wav", "AN4", "talker", "train", "BSD"),
    ("j.wav", "Street", "event", "train", "CC0"),
    ("g.wav", "TSP", "talker", "val", "of another split"),
    ("h.wav", "Street", "noise", "val", "of another split"),
]

TINY = {
    "recipe": "noise", "trunk": "lstm", "groups": 1, "hidden": 8, "layers": 1, "dims": 4, "window": 128,
    "synthesis": 64, "hop": 32, "seed": 1, "steps": 3, "batch": 2, "seconds": 0.5, "learning_rate": 1e-3,
    "embedding_loss": "classic", "embedding_weight": 1.0, "embedding_every": 5, "mask_weight": 1.0,
    "validate_every": 3, "patience": 10,
}  # fmt: skip


def make_data(folder: Path) -> Path:
    """Clips and their manifest.csv, without lists of mixtures."""
    folder.mkdir()
    for number, (path, *_) in enumerate(ROWS):
        sf.write(folder / path, speech_like(np.random.default_rng(number), 3.0), RATE)
    with open(folder / "manifest.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "group", "corpus", "role", "split", "licence"])
        table.writerows([path, path, corpus, role, split, licence] for path, corpus, role, split, licence in ROWS)
    return folder


def write_list(data: Path) -> None:
    """A validation list of one mixture for two recipes."""
    with open(data / "mixtures.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mixture", "domain", "split", "slot", "path", "start", "samples", "gain"])
        for domain in ("noise", "environment"):
            slots = ([f"{domain}-0", domain, "val", slot, f"{'gh'[slot]}.wav", 0, 3 * RATE, 1.0] for slot in (0, 1))
            table.writerows(slots)


def write_recipe(folder: Path, **changes: Any) -> None:
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY | changes))
