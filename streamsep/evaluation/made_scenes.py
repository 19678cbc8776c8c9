"""Scenes of our own, from the clips of a list of mixtures: what the listed scenes leave out.

Domains that come back (A, B, A); blends of 1 to 3 s in place of cuts; pauses in the middle of a segment; a talker
alone; long recordings that nobody mixed. A pure function of the clips, the split and the seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import AudioError
from streamsep.evaluation.lists import COLUMNS, RATE, in_slots
from streamsep.evaluation.scenes import FADE, Scene, Segment, Sources, clip, faded
from streamsep.evaluation.tables import Row, by_name, finite_number, rows_of, whole_number

SEGMENT_S = 10
BLEND_S = (1.0, 3.0)
PAUSE_S = (1.0, 4.0)
ROOM_DBFS = (-75.0, -55.0)  # of the tone in a pause that is not silent
LEVEL_DBFS = (-34.0, -22.0)  # of everything, as of the mixtures in the list
PEAK = 0.5  # at most, of a part: two of them may overlap
LONG_S = (59, 90)  # an unmixed recording is at least, and is played for at most, so long
SONGS = WALKS = 4  # how many of the unmixed scenes are of a song, and from one recording to another
WALK_S = 35
LONELY = ("music", "environment")  # before and after a talker alone: a domain that is then wrong
KINDS = ("return", "blend", "pause", "alone")
KNOWN = ("path", "split", "group", "role", "seconds")  # of every clip, in manifest.csv


@dataclass(frozen=True)
class Clips:
    """The material of one split."""

    folder: Path
    pairs: Mapping[str, Sequence[tuple[Row, Row]]]  # by domain: the two rows of every mixture
    groups: Mapping[tuple[str, str], Sequence[str]]  # by group and role: paths, as they follow each other
    group_of: Mapping[str, tuple[str, str]]  # by path
    recordings: Sequence[str]  # unmixed and long

    def sound(self, row: Row, samples: int) -> tuple[NDArray[np.float32], list[str]]:
        """A slot of a mixture, made longer: (samples,), and the clips. Where its clip ends, the next of its group
        (the same talker, the same song) goes on, at the same gain."""
        group = self.groups[self.group_of[row["path"]]]
        paths, at, out = [row["path"]], 0, np.zeros(samples, np.float32)
        where = f"{self.folder / 'mixtures.csv'}: mixture {row['mixture']}"
        start, gain = whole_number(where, row, "start"), np.float32(finite_number(where, row, "gain"))
        piece = clip(self.folder / row["path"])[start:]
        if not len(piece):
            raise AudioError(f"{where}: start {start} is not within {row['path']}")
        while at < samples:
            piece = piece[: samples - at]
            out[at : at + len(piece)] = faded(piece * gain)
            at += len(piece)
            if at < samples:
                paths.append(group[(group.index(paths[-1]) + 1) % len(group)])
                piece = clip(self.folder / paths[-1])
        return out, paths

    def mixture(
        self, domain: str, random: np.random.Generator, seconds: float, alone: bool = False
    ) -> tuple[Sources, list[str]]:
        """(2, samples) of some mixture of this domain, as loud as mixtures are, and its clips; alone: of its first
        slot only."""
        pair = self.pairs[domain][int(random.integers(len(self.pairs[domain])))]
        sources = np.zeros((2, round(seconds * RATE)), np.float32)
        paths = []
        for slot, row in enumerate(pair[:1] if alone else pair):
            sources[slot], used = self.sound(row, sources.shape[1])
            paths += used
        total = sources.sum(axis=0)
        level_dbfs = 20 * np.log10(max(_rms(total), 1e-6))
        gain = 10 ** ((np.clip(level_dbfs, *LEVEL_DBFS) - level_dbfs) / 20)
        return sources * np.float32(min(gain, PEAK / max(np.abs(total).max(), 1e-6))), paths


def made(folder: Path, split: str, count: int = 100, seed: int = 0) -> Iterator[Scene]:
    """`count` scenes, as many of every kind, and then every long unmixed recording.

    Raises AudioError when the folder's mixtures.csv or manifest.csv is missing or has nothing of this split, and when
    the split is one that models are trained on."""
    if split not in ("val", "test"):
        raise AudioError(f"split must be 'val' or 'test', got {split!r}: scenes are for measuring, not for training")
    clips = read_clips(folder, split)
    turns = list(permutations(sorted(clips.pairs), 2))
    if not turns:
        raise AudioError(f"{folder / 'mixtures.csv'}: {split}: a change takes two domains, found {list(clips.pairs)}")
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        random = np.random.default_rng([seed, crc32(split.encode()), number])
        pair = turns[number // len(KINDS) % len(turns)]
        yield MAKERS[kind](f"{kind}-{split}-{seed}-{number:03}", clips, pair, random)
    yield from unmixed(clips, split, seed)


def read_clips(folder: Path, split: str) -> Clips:
    """The material of one split: mixtures of mixtures.csv, groups and long recordings of manifest.csv."""
    table, known = folder / "mixtures.csv", folder / "manifest.csv"
    pairs = by_name(rows_of(table, COLUMNS, split=split), "domain")
    groups: dict[tuple[str, str], list[str]] = {}
    recordings = []
    for row in sorted(rows_of(known, KNOWN, split=split), key=lambda row: row["path"]):
        groups.setdefault((row["group"], row["role"]), []).append(row["path"])
        if row["role"] == "noise" and finite_number(f"{known}: {row['path']}", row, "seconds") >= LONG_S[0]:
            recordings.append(row["path"])
    group_of = {path: key for key, paths in groups.items() for path in paths}
    ordered: dict[str, list[tuple[Row, Row]]] = {}
    for domain, found in pairs.items():
        for name, mixture in by_name(found, "mixture").items():
            slots = in_slots(table, name, mixture)
            missing = [row["path"] for row in slots if row["path"] not in group_of]
            if len(slots) != 2 or missing:
                raise AudioError(
                    f"{folder}: {name}: expected two sources, both in manifest.csv with the split {split!r}, got "
                    f"{len(slots)}{''.join(f', and not {path}' for path in missing)}"
                )
            ordered.setdefault(domain, []).append((slots[0], slots[1]))
    return Clips(folder, ordered, groups, group_of, recordings)


# ----------------------------------------------------------------------------------------------------- kinds of scene


def comes_back(name: str, clips: Clips, pair: tuple[str, str], random: np.random.Generator) -> Scene:
    """A, B, and the same A again, where it would have been after a while."""
    first, second = pair
    around, used = clips.mixture(first, random, 2 * SEGMENT_S)
    between, others = clips.mixture(second, random, SEGMENT_S)
    cut = SEGMENT_S * RATE
    return _joined(
        name, [around[:, :cut], between, around[:, cut:]], [{first}, {second}, {first}], [0, 0], used + others
    )


def blends(name: str, clips: Clips, pair: tuple[str, str], random: np.random.Generator) -> Scene:
    """A, B and another A, each blending into the next."""
    parts, used = [], []
    for domain in (*pair, pair[0]):
        sources, paths = clips.mixture(domain, random, SEGMENT_S + BLEND_S[1])
        parts.append(sources)
        used += paths
    overlaps = [round(random.uniform(*BLEND_S) * RATE) for _ in parts[1:]]
    return _joined(name, parts, [{pair[0]}, {pair[1]}, {pair[0]}], overlaps, used)


def pauses(name: str, clips: Clips, pair: tuple[str, str], random: np.random.Generator) -> Scene:
    """A with a pause in its middle, then B with one: silence, or a room that can hardly be heard."""
    parts, used = [], []
    for domain in pair:
        sources, paths = clips.mixture(domain, random, 1.5 * SEGMENT_S)
        pause = round(random.uniform(*PAUSE_S) * RATE)
        start = (sources.shape[1] - pause) // 2
        sources = np.concatenate([_each(sources[:, :start]), _each(sources[:, start:])], axis=1)
        sources = np.insert(sources, [start] * pause, 0, axis=1)
        if random.random() < 0.5:
            sources[:, start : start + pause] = _room(pause, random) / 2  # it belongs to neither
        parts.append(sources)
        used += paths
    return _joined(name, parts, [{pair[0]}, {pair[1]}], [0], used)


def alone(name: str, clips: Clips, pair: tuple[str, str], random: np.random.Generator) -> Scene:
    """A talker alone, between two segments of a domain that has no talkers."""
    lonely = [domain for domain in LONELY if domain in clips.pairs] or [pair[0]]
    around = pair[0] if pair[0] in lonely else lonely[random.integers(len(lonely))]
    talking = [domain for domain in ("speech", "noise") if domain in clips.pairs and domain != around] or [pair[1]]
    parts, used = [], []
    for domain in (around, talking[0], around):
        sources, paths = clips.mixture(domain, random, SEGMENT_S, alone=domain != around)
        parts.append(sources)
        used += paths
    return _joined(name, parts, [{around}, set(talking), {around}], [0, 0], used)


MAKERS = dict(zip(KINDS, (comes_back, blends, pauses, alone), strict=True))


def unmixed(clips: Clips, split: str, seed: int) -> Iterator[Scene]:
    """Every long recording as it is; songs without the singer; walks from one recording to another (a street into a
    bar). Whether the model of one domain or another is right for them, nobody can say."""
    random = np.random.default_rng([seed, crc32(split.encode()), crc32(b"unmixed")])
    sounds: list[tuple[str, NDArray[np.float32], list[str]]] = []
    for path in clips.recordings:
        sounds.append((Path(path).stem, clip(clips.folder / path)[: LONG_S[1] * RATE], [path]))
    songs = (paths for (_, role), paths in clips.groups.items() if role == "accompaniment")
    long_songs = []
    for paths in songs:
        song = np.concatenate([faded(clip(clips.folder / path)) for path in paths])[: LONG_S[1] * RATE]
        if len(song) >= LONG_S[0] * RATE:
            long_songs.append((Path(paths[0]).parent.name, song, list(paths)))
    sounds += islice(long_songs, SONGS)
    for _ in range(WALKS if len(clips.recordings) > 1 else 0):
        away, towards = (clips.recordings[at] for at in random.choice(len(clips.recordings), 2, replace=False))
        parts = [_level(clip(clips.folder / path)[: WALK_S * RATE], random)[None] for path in (away, towards)]
        walk, _ = _overlapped(parts, [round(BLEND_S[1] * RATE)])
        sounds.append((f"{Path(away).stem}-to-{Path(towards).stem}", walk[0], [away, towards]))
    for what, sound, used in sounds:
        sources = np.stack([_level(sound, random), np.zeros(len(sound), np.float32)])
        segment = Segment(0, len(sound), frozenset())
        yield Scene(f"unmixed-{split}-{seed}-{what}", (segment,), sources, tuple(used))


# -------------------------------------------------------------------------------------------------------------- parts


def _joined(
    name: str, parts: Sequence[Sources], domains: Sequence[set[str]], overlaps: Sequence[int], used: Sequence[str]
) -> Scene:
    """Parts one after the other; overlaps: samples for which a part and the next one sound together."""
    sources, starts = _overlapped(parts, overlaps)
    segments = []
    for at, (start, part, right) in enumerate(zip(starts, parts, domains, strict=True)):
        before = overlaps[at - 1] if at else 0
        after = overlaps[at] if at < len(overlaps) else 0
        segments.append(Segment(start + before, start + part.shape[1] - after, frozenset(right)))
    return Scene(name, tuple(segments), sources, tuple(dict.fromkeys(used)))


def _overlapped(parts: Sequence[Sources], overlaps: Sequence[int]) -> tuple[Sources, list[int]]:
    """The sum, and where every part begins. Equal-power fades: what overlaps has nothing in common."""
    starts, end = [], 0
    for part, overlap in zip(parts, (0, *overlaps), strict=True):
        starts.append(end - overlap)
        end = starts[-1] + part.shape[1]
    out = np.zeros((len(parts[0]), end), np.float32)
    for start, part, before, after in zip(starts, parts, (0, *overlaps), (*overlaps, 0), strict=True):
        part = _each(part, 0 if before else FADE, 0 if after else FADE)
        part[:, :before] *= np.sin(np.linspace(0, np.pi / 2, before, dtype=np.float32))
        part[:, part.shape[1] - after :] *= np.cos(np.linspace(0, np.pi / 2, after, dtype=np.float32))
        out[:, start : start + part.shape[1]] += part
    return out, starts


def _each(sources: Sources, fade_in: int = FADE, fade_out: int = FADE) -> Sources:
    """A copy whose ends are faded linearly."""
    out = sources.copy()
    out[:, :fade_in] *= np.linspace(0, 1, fade_in, dtype=np.float32)
    out[:, out.shape[1] - fade_out :] *= np.linspace(1, 0, fade_out, dtype=np.float32)
    return out


def _room(samples: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A very quiet hum and hiss, (samples,): noise with less in it the higher it is."""
    steps = random.standard_normal(samples + 1)
    tone = faded((steps[1:] + steps[:-1]).astype(np.float32))
    return tone * np.float32(10 ** (random.uniform(*ROOM_DBFS) / 20) / max(_rms(tone), 1e-6))


def _level(sound: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """(samples,), as loud as a mixture might be, with its ends faded."""
    gain = min(10 ** (random.uniform(*LEVEL_DBFS) / 20) / max(_rms(sound), 1e-6), PEAK / np.abs(sound).max())
    return faded(sound * np.float32(gain))


def _rms(sound: NDArray[np.float32]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
