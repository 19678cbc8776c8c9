"""Clips of one role and split as one long int16 array: decoded once, kept in a cache, drawn from at random.

The folder is described by its `manifest.csv` (path, domain, corpus, group, role, split, seconds, licence);
everything is mono at one sample rate. Decoding is what costs, so it happens once, in parallel, into `runs/cache/`.
"""

import csv
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

RATE = 16_000
FULL_SCALE = 32_767


@dataclass(frozen=True)
class Clip:
    """One recording: where it starts and how long it is in `Clips.samples`, and where it came from."""

    path: str
    group: str
    corpus: str
    licence: str
    start: int
    length: int


def decode(path: Path) -> NDArray[np.int16]:
    """(samples,), as int16. Raises ValueError when the file is not mono at 16 kHz."""
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    if rate != RATE or samples.shape[1] != 1:
        raise ValueError(f"{path}: expected mono at {RATE} Hz, got {samples.shape[1]} channels at {rate} Hz")
    return np.round(np.clip(samples[:, 0], -1, 1) * FULL_SCALE).astype(np.int16)


class Clips:
    """All clips of some roles in one split of a data folder, in memory as int16."""

    def __init__(
        self, data: Path, split: str, roles: tuple[str, ...], cache: Path, corpora: tuple[str, ...] = ()
    ) -> None:
        """corpora: only these, all when empty. Raises ValueError when the manifest names no such clip."""
        manifest = data / "manifest.csv"
        if not manifest.is_file():
            raise ValueError(f"{data}: expected a folder with a manifest.csv, found none")
        with open(manifest, newline="") as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if row["split"] == split and row["role"] in roles and (not corpora or row["corpus"] in corpora)
            ]
        if not rows:
            raise ValueError(
                f"{manifest}: no clip with split {split!r} and role in {roles}, corpus in {corpora or 'any'}"
            )
        key = hashlib.sha256(json.dumps([row["path"] for row in rows]).encode()).hexdigest()[:16]
        samples_file, lengths_file = cache / f"{key}.npy", cache / f"{key}.lengths.npy"
        if not lengths_file.is_file():
            cache.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor() as pool:  # the decoder lets go of the interpreter
                decoded = list(pool.map(decode, [data / row["path"] for row in rows]))
            np.save(samples_file, np.concatenate(decoded))
            np.save(lengths_file, np.array([len(clip) for clip in decoded]))  # last: it says the other is whole
        self.samples: NDArray[np.int16] = np.load(samples_file, mmap_mode="r")
        lengths = np.load(lengths_file)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.clips = [
            Clip(row["path"], row["group"], row["corpus"], row["licence"], int(start), int(length))
            for row, start, length in zip(rows, starts, lengths, strict=True)
        ]
        self.groups: dict[str, list[Clip]] = {}
        for clip in self.clips:
            self.groups.setdefault(clip.group, []).append(clip)
        self._probability = lengths / lengths.sum()

    def draw(self, rng: np.random.Generator) -> Clip:
        """One clip, longer ones more often, so that every second of sound is drawn alike."""
        return self.clips[rng.choice(len(self.clips), p=self._probability)]

    def draw_two(self, rng: np.random.Generator) -> tuple[Clip, Clip]:
        """Two clips of different groups: two talkers, two kinds of event. Raises ValueError when all are of one."""
        if len(self.groups) < 2:
            raise ValueError(f"two different groups are needed, all clips are of {next(iter(self.groups))!r}")
        first = second = self.draw(rng)
        while second.group == first.group:
            second = self.draw(rng)
        return first, second

    def read(self, clip: Clip, start: int, samples: int) -> NDArray[np.float32]:
        """(samples,) from `start` on, silence past the clip's end."""
        out = np.zeros(samples, np.float32)
        piece = self.samples[clip.start + start : clip.start + min(start + samples, clip.length)]
        out[: len(piece)] = piece
        out /= FULL_SCALE
        return out

    def excerpt(self, rng: np.random.Generator, samples: int, clip: Clip | None = None) -> NDArray[np.float32]:
        """(samples,) of sound: a random stretch of a clip, a random one by default; a short clip is followed by
        others of its group until it is full."""
        clip = clip or self.draw(rng)
        if clip.length >= samples:
            return self.read(clip, int(rng.integers(clip.length - samples + 1)), samples)
        out = self.read(clip, 0, samples)
        rest = samples - clip.length
        gap = int(rng.integers(0, min(rest, RATE // 4) + 1))
        if rest - gap > 0:
            kin = self.groups[clip.group]
            out[clip.length + gap :] = self.excerpt(rng, rest - gap, kin[rng.integers(len(kin))])
        return out
