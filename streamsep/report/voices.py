"""Who talks in a mixture, and mixtures of other talkers that differ from it in nothing else.

What is known of a clip stands in the manifest.csv beside the lists: path, corpus, group (the talker), sex, role,
split.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamsep.audio import files
from streamsep.evaluation.lists import LENGTH, RATE, Mixture
from streamsep.evaluation.tables import read_clips

UNKNOWN = ("PicovoiceBarista",)  # corpora that do not say who talks
TRIES = 20  # for a stretch in which somebody speaks
SILENT = 1e-4  # root mean square

Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """One clip of a talker."""

    path: str
    corpus: str
    talker: str
    sex: str  # F, M, or empty
    split: str


@lru_cache(maxsize=1)
def voices(folder: Path) -> dict[str, Voice]:
    """By path, in the manifest's order; none where there is no manifest."""
    return {
        path: Voice(path, row["corpus"], row["group"], row.get("sex") or "", row["split"])
        for path, row in read_clips(folder).items()
        if row.get("role") == "talker" and {"corpus", "group", "split"} <= row.keys() and row["corpus"] not in UNKNOWN
    }


def closed(folder: Path, mixture: Mixture, number: int) -> Mixture | None:
    """The mixture once more with talkers that the models were trained on: of the same corpora and sexes, as long and
    as loud. None where there are none.

    The recordings are those of the training too, in other company: there are no others of these talkers."""
    random, found = np.random.default_rng([number, 1]), list[Voice]()
    for clip in mixture.clips:
        here = voices(folder).get(clip)
        if here is None:
            return None
        alike = [
            voice
            for voice in voices(folder).values()
            if (voice.split, voice.corpus, voice.sex) == ("train", here.corpus, here.sex)
            and voice.talker not in {other.talker for other in found}
        ]
        if not alike:
            return None
        found.append(alike[random.integers(len(alike))])
    return spoken(folder, mixture, found, "closed", random)


def same_voice(folder: Path, mixture: Mixture, number: int) -> Mixture | None:
    """The mixture once more, with its first talker in both slots: two stretches, of two clips where there are two.

    None where nobody knows who the talker is."""
    known, random = voices(folder), np.random.default_rng([number, 2])
    first = known.get(mixture.clips[0])
    if first is None:
        return None
    own = [voice for voice in known.values() if (voice.talker, voice.split) == (first.talker, first.split)]
    others = [voice for voice in own if voice != first]
    second = others[random.integers(len(others))] if others else first
    return spoken(folder, mixture, [first, second], "same-voice", random)


def spoken(
    folder: Path, mixture: Mixture, talkers: list[Voice], kind: str, random: np.random.Generator
) -> Mixture | None:
    """The mixture's slots filled by these clips, each as long and as loud as what it replaces; of a clip that is in
    two slots different stretches. None when a clip has no stretch in which somebody speaks."""
    sources = np.zeros((len(talkers), LENGTH), np.float32)
    sounds = {voice.path: _sound(folder, voice) for voice in talkers}
    halves = len(sounds) < len(talkers)
    for slot, (voice, old) in enumerate(zip(talkers, mixture.sources, strict=True)):
        sound, heard = sounds[voice.path], np.flatnonzero(old)
        if halves:
            sound = np.array_split(sound, len(talkers))[slot]
        samples = min(len(sound), int(heard[-1]) + 1 if len(heard) else LENGTH)
        piece = _stretch(sound, samples, random)
        if piece is None:
            return None
        sources[slot, :samples] = piece * (_rms(old[:samples]) / _rms(piece))
    name = f"{mixture.name}-{kind}"
    return Mixture(name, mixture.domain, tuple(voice.path for voice in talkers), sources)


def _sound(folder: Path, voice: Voice) -> Sound:
    """(samples,) of a whole clip."""
    samples, rate = files.read(folder / voice.path)
    return samples[:, 0] if rate == RATE else samples[:0, 0]


def _stretch(sound: Sound, samples: int, random: np.random.Generator) -> Sound | None:
    """So many samples from anywhere in it, with somebody speaking; None: there are none."""
    for _ in range(TRIES):
        start = int(random.integers(len(sound) - samples + 1))
        piece = sound[start : start + samples]
        if _rms(piece) > SILENT:
            return piece
    return None


def _rms(sound: Sound) -> np.float32:
    return np.sqrt(np.square(sound).mean(dtype=np.float32)) if len(sound) else np.float32(0)
