"""mixtures.csv for the splits val and test: of the mixtures that corpora have, or where they have none, drawn ones.

streamsep.evaluation.lists reads mono at 16 kHz. Clips that are that already are named where they lie; of all others
(another rate, stereo, stems, a difference of two) the stretches in use are copied, so that a list stays small.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from export.augment import FAINTEST, rms
from export.corpora.entries import Entry, Pair
from export.corpus import FULL_SCALE, RATE, decode
from export.recordings import Form
from streamsep.evaluation.lists import LENGTH

MOST = {"val": 80, "test": 200}  # mixtures of one domain
DRAWN = {
    "speech": (("talker",), ("talker",), (-5.0, 5.0)),
    "noise": (("talker",), ("noise", "event"), (-5.0, 10.0)),
    "environment": (("event",), ("event",), (-5.0, 5.0)),
}  # roles of the two slots, and the level of the first over the second in dB
DRAWN_DBFS = -28.0  # level of the first
SEED = 1
PEAK = 0.7  # of a mixture: what is louder is turned down, so that no limiter has to
Sound = NDArray[np.int16]
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Slot:
    """One source of a listed mixture: a stretch of a clip, from `start` on, both at 16 kHz."""

    entry: Entry
    start: int
    sound: Sound
    gain: float


@dataclass(frozen=True)
class Listed:
    """One mixture of a list."""

    name: str
    domain: str
    split: str
    slots: tuple[Slot, Slot]


def listed(entries: Sequence[Entry], pairs: Sequence[Pair]) -> Iterator[Listed]:
    """All lists, domain by domain, split by split. Raises ValueError naming a file that cannot be read."""
    for split, most in MOST.items():
        own = {pair.domain for pair in pairs if pair.first.split == split}
        for domain in sorted(own | DRAWN.keys()):
            if domain in own:
                of_both = [pair for pair in pairs if (pair.domain, pair.first.split) == (domain, split)]
                mixtures = _as_published(of_both, most)
            else:
                mixtures = _drawn(domain, [entry for entry in entries if entry.split == split], most)
            for number, slots in enumerate(mixtures):
                yield Listed(f"{domain}-{split}-{number:03}", domain, split, _turned_down(*slots))


def write_lists(mixtures: Iterator[Listed], forms: dict[str, Form], folder: Path) -> dict[tuple[str, str], int]:
    """Write mixtures.csv and the copies it needs under lists/; returns the number of mixtures by domain and split."""
    rows: list[list[object]] = []
    counts: dict[tuple[str, str], int] = {}
    names: dict[Entry, str] = {}
    copies: dict[str, list[Sound]] = {}
    for mixture in mixtures:
        counts[mixture.domain, mixture.split] = counts.get((mixture.domain, mixture.split), 0) + 1
        for number, slot in enumerate(mixture.slots):
            entry, path, start = slot.entry, slot.entry.path, slot.start
            if (forms[path].rate, forms[path].channels) != (RATE, 1) or entry.minus or "#" in path:
                path = names.setdefault(entry, f"lists/{len(names):03}-{entry.role}.flac")
                pieces = copies.setdefault(path, [])
                start = sum(map(len, pieces))
                pieces.append(slot.sound)
            said = entry.corpus, entry.group  # of a copy the manifest does not know what it is a piece of
            rows.append(
                [mixture.name, mixture.domain, mixture.split, number, path, start, len(slot.sound), slot.gain, *said]
            )
    if not rows:
        return counts
    with open(folder / "mixtures.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["mixture", "domain", "split", "slot", "path", "start", "samples", "gain", "corpus", "group"])
        table.writerows(rows)
    (folder / "lists").mkdir()
    for path, pieces in copies.items():
        sf.write(folder / path, np.concatenate(pieces), RATE, subtype="PCM_16")
    return counts


def _as_published(pairs: list[Pair], most: int) -> Iterator[tuple[Slot, Slot]]:
    """Mixtures evenly spaced over all; of few long ones several stretches each. All at the corpus' own levels."""
    pairs = _evenly(pairs, most)
    for pair in pairs:
        first, second = (decode(Path(entry.path), _minus(entry)) for entry in (pair.first, pair.second))
        places = [start for start in _stretches(first, second) if _heard(first, start) and _heard(second, start)]
        for start in _evenly(places, max(1, most // len(pairs))):
            stop = start + LENGTH
            yield Slot(pair.first, start, first[start:stop], 1.0), Slot(pair.second, start, second[start:stop], 1.0)


def _drawn(domain: str, entries: list[Entry], most: int) -> Iterator[tuple[Slot, Slot]]:
    """Two clips of different groups, at a ratio within the domain's bounds: no more mixtures than there are clips,
    none where there are no two."""
    first_roles, second_roles, bounds_db = DRAWN[domain]
    firsts = [entry for entry in entries if entry.role in first_roles]
    seconds = [entry for entry in entries if entry.role in second_roles]
    if not firsts or len({entry.group for entry in firsts + seconds}) < 2 or not seconds:
        return
    rng = np.random.default_rng(SEED)
    most, found = min(most, len({*firsts, *seconds})), 0
    for _ in range(10 * most):  # some clips are silence
        first = firsts[rng.integers(len(firsts))]
        second = seconds[rng.integers(len(seconds))]
        if first.group == second.group:
            continue
        slots = []
        for entry, dbfs in ((first, DRAWN_DBFS), (second, DRAWN_DBFS - rng.uniform(*bounds_db))):
            sound = decode(Path(entry.path), _minus(entry))
            places = [start for start in _stretches(sound) if _heard(sound, start)]
            if places:
                start = places[rng.integers(len(places))]
                piece = sound[start : start + LENGTH]
                slots.append(Slot(entry, start, piece, 10 ** (dbfs / 20) / rms(_floats(piece))))
        if len(slots) == 2:
            yield slots[0], slots[1]
            found += 1
        if found == most:
            return


def _turned_down(first: Slot, second: Slot) -> tuple[Slot, Slot]:
    """The same mixture, with a peak of at most PEAK."""
    mixture = np.zeros(max(len(first.sound), len(second.sound)), np.float32)
    for slot in (first, second):
        mixture[: len(slot.sound)] += slot.gain * _floats(slot.sound)
    scale = min(1.0, PEAK / float(np.abs(mixture).max()))
    return replace(first, gain=round(first.gain * scale, 6)), replace(second, gain=round(second.gain * scale, 6))


def _stretches(*sounds: Sound) -> range:
    """Where the stretches of full length start, one after the other; 0 alone for what is shorter than that."""
    return range(0, max(1, min(map(len, sounds)) - LENGTH + 1), LENGTH)


def _heard(sound: Sound, start: int) -> bool:
    """Whether there is anything in a stretch: silence has no SI-SDR."""
    return rms(_floats(sound[start : start + LENGTH])) > FAINTEST


def _floats(sound: Sound) -> NDArray[np.float32]:
    """Full scale +-1."""
    return sound.astype(np.float32) / np.float32(FULL_SCALE)


def _minus(entry: Entry) -> Path | None:
    """What is to be taken from an entry's sound."""
    return Path(entry.minus) if entry.minus else None


def _evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """At most so many, from first to last in equal steps."""
    return [things[number * len(things) // most] for number in range(most)] if len(things) > most else list(things)
