"""A folder like those that models are trained on, half a minute of sound in all."""

import csv
from pathlib import Path

import numpy as np
import soundfile as sf

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
