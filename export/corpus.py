"""Clips of one role and split as one long int16 array: decoded once, kept in a cache, drawn from at random.

The folder is described by its `manifest.csv`, a row a clip: path (absolute, or relative to the folder), domain,
corpus, group, role, split, seconds, licence, and where a corpus needs them
- minus: a second path, whose sound is taken from the first's: noise is noisy less clean speech, accompaniment the
  mixture less the vocals;
- song: what the parts of one song share. Without it, it is the path less the role: NAME.vocals.opus, NAME.bass.opus.
Decoding, to mono at 16 kHz, is what costs, so it happens once, in parallel, into `runs/cache/`, at 115 MB an hour.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import recordings
from streamsep.evaluation.tables import opened

RATE = 16_000
FULL_SCALE = 32_767
SPLITS = ("train", "val", "test")
COLUMNS = ("path", "corpus", "group", "role", "split", "licence")  # that are needed


class NoClipsError(ValueError):
    """The manifest names no clip of the roles and split that were asked for."""


@dataclass(frozen=True)
class Clip:
    """One recording: where it starts and how long it is in `Clips.samples`, and where it came from."""

    path: str
    group: str
    corpus: str
    licence: str
    song: str
    start: int
    length: int


def decode(path: Path, minus: Path | None = None) -> NDArray[np.int16]:
    """(samples,), mono at 16 kHz, `minus` taken away. Raises ValueError naming the file that cannot be read."""
    samples = recordings.read(path, RATE, minus)
    return np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype(np.int16)


def _decoded(data: Path, rows: list[dict[str, str]], cache: Path) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """All samples in a row, on disk, and each clip's length.

    Taken from the cache as long as the files' names in the manifest, sizes and times of change are the same.
    """
    sources = [(row["path"], row.get("minus") or None) for row in rows]
    key = hashlib.sha256(json.dumps([_fingerprint(data, name) for pair in sources for name in pair]).encode())
    samples_file, lengths_file = (cache / f"{key.hexdigest()[:16]}.{kind}" for kind in ("int16", "lengths"))
    if not _whole(samples_file, lengths_file):
        cache.mkdir(parents=True, exist_ok=True)
        print(f"decoding {len(sources)} clips, once, into {samples_file}", flush=True)
        paths = [(data / path, minus and data / minus) for path, minus in sources]
        with ThreadPoolExecutor() as pool:  # the decoder lets go of the interpreter
            lengths = _write_whole(samples_file, pool.map(lambda pair: decode(*pair), paths))
        _write_whole(lengths_file, [np.array(lengths, np.int64)])  # last: it says the other is whole
    return np.memmap(samples_file, np.int16, "r"), np.fromfile(lengths_file, np.int64)


def _whole(samples_file: Path, lengths_file: Path) -> bool:
    """Whether there are all the samples that the lengths promise: a disk may have lost some."""
    if not (lengths_file.is_file() and samples_file.is_file()):
        return False
    return 2 * int(np.fromfile(lengths_file, np.int64).sum()) == samples_file.stat().st_size > 0


def _fingerprint(data: Path, name: str | None) -> tuple[str, int, int] | None:
    """What changes when the file does. Raises ValueError when there is none."""
    if name is None:
        return None
    try:
        facts = recordings.file_of(data / name).stat()
    except OSError as error:
        raise ValueError(f"{data / name}: {error.strerror}; {data / 'manifest.csv'} names it") from None
    return name, facts.st_size, facts.st_mtime_ns


def _write_whole(path: Path, arrays: Iterable[NDArray[np.int16] | NDArray[np.int64]]) -> list[int]:
    """Write them one after the other, all or nothing; returns their lengths. They are never all in memory."""
    part = path.with_suffix(f"{path.suffix}.{os.getpid()}.part")  # processes that train together may meet here
    try:
        with open(part, "wb") as file:
            lengths = [file.write(array.data) // array.itemsize for array in arrays]
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        return lengths
    finally:
        part.unlink(missing_ok=True)


class Clips:
    """All clips of some roles in one split of a data folder, in memory as int16."""

    def __init__(
        self,
        data: Path,
        split: str,
        roles: tuple[str, ...],
        cache: Path,
        without: tuple[str, ...] = (),
    ) -> None:
        """without: corpora to leave out.

        Raises NoClipsError when the manifest names no such clip, ValueError when one cannot be read or a row lacks
        something, and AudioError when the manifest is no table.
        """
        manifest = data / "manifest.csv"
        if not manifest.is_file():
            raise ValueError(f"{data}: expected a folder with a manifest.csv, found none")
        with opened(manifest) as reader:
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                wanted = ", ".join(COLUMNS)
                raise ValueError(f"{manifest}: expected the columns {wanted}, found no {', '.join(missing)}")
            rows = []
            for row in reader:
                where = f"{manifest}: line {reader.line_num}"
                if missing := [name for name in COLUMNS if not row[name]]:
                    raise ValueError(f"{where}: expected something in every column, found no {', '.join(missing)}")
                if row["split"] not in SPLITS or row["role"] != row["role"].strip():
                    wanted = f"a split of {list(SPLITS)} and a role without spaces around it"
                    raise ValueError(f"{where}: expected {wanted}, got {row['split']!r} and {row['role']!r}")
                if row["split"] == split and row["role"] in roles and row["corpus"] not in without:
                    rows.append(row)
        if not rows:
            raise NoClipsError(
                f"{manifest}: no clip with split {split!r} and role in {roles}"
                + (f", and corpus not in {without}" if without else "")
            )
        self.samples, lengths = _decoded(data, rows, cache)
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.clips = [
            Clip(
                row["path"],
                row["group"],
                row["corpus"],
                row["licence"],
                row.get("song") or row["path"].replace(f".{row['role']}.", "."),
                int(start),
                int(length),
            )
            for row, start, length in zip(rows, starts, lengths, strict=True)
        ]
        self.groups: dict[str, list[Clip]] = {}
        for clip in self.clips:
            self.groups.setdefault(clip.group, []).append(clip)
        self._up_to = np.cumsum(lengths / lengths.sum())  # the share of all sound up to each clip's end
        self._up_to /= self._up_to[-1]

    def __getstate__(self) -> dict[str, Any]:
        """For other processes: the samples are not copied but read from the same file."""
        return vars(self) | {"samples": self.samples.filename}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"samples": np.memmap(state["samples"], np.int16, "r")})

    def draw(self, rng: np.random.Generator) -> Clip:
        """One clip, longer ones more often, so that every second of sound is drawn alike."""
        return self.clips[int(self._up_to.searchsorted(rng.random(), side="right"))]

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
