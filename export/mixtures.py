"""Training mixtures, made on the fly: a batch is a pure function of (seed, step), so a run can resume anywhere.

Recipes: `speech` (two talkers within +-6 dB), `noise` (a talker at -6 to +11 dB over a noise or an event), `music`
(vocals within +-3.5 dB of their accompaniment, half the time of one song at one time, else remixed at random),
`environment` (events of two kinds within +-6 dB). Each range is a decibel wider at either end than that of the
papers' mixtures and of the validation lists. What live sound needs is added to all: levels over 40 dB (mixtures of
-52 to -12 dB RMS under full scale), spectral tilt, other speeds, rooms, and now and then one source alone or none.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.augment import (
    Rooms,
    Sound,
    another_speed,
    colour,
    pauses,
    pitched_noise,
    rms,
    silent_if_faint,
    synthetic_noise,
    tilt,
)
from export.corpus import RATE, Clip, Clips, NoClipsError
from streamsep.models.manifest import Corpus

INSTRUMENTS = ("instrument", "other", "drums", "bass")  # roles
UNCLEAN = ("PicovoiceBarista",)  # a third of a clip is speech, and nobody knows whose
PEAK = 0.99  # of full scale, so that no mixture is louder than a recording can be


def clips_if_any(data: Path, split: str, roles: tuple[str, ...], cache: Path) -> Clips | None:
    """None where the data has no such clips: what a corpus does not have is done without."""
    try:
        return Clips(data, split, roles, cache)
    except NoClipsError:
        return None


def corpora_in(mixers: Sequence["Mixer"]) -> tuple[Corpus, ...]:
    """Minutes by corpus and licence of all that these may draw from."""
    clips: dict[str, Clip] = {}  # by path, for recipes share them
    for mixer in mixers:
        for drawn_from in vars(mixer).values():
            if isinstance(drawn_from, Clips):
                clips |= {clip.path: clip for clip in drawn_from.clips}
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    for clip in clips.values():
        seconds[clip.corpus, clip.licence] += clip.length / RATE
    return tuple(
        Corpus(corpus=corpus, minutes=round(total / 60, 2), licence=licence)
        for (corpus, licence), total in sorted(seconds.items())
    )


class Mixer:
    """Shared by the recipes: gains, level, one source alone or none."""

    symmetric = False  # the slots are of one kind and may come out in any order
    snr_db = (-6.0, 6.0)  # of the first source over the second, by `rms`
    level_db = (-52.0, -12.0)  # of the mixture, RMS under full scale; less where its peaks would not fit
    strangers = 0.0  # share of examples with a source of another domain's kind: good to learn from, not to know it by

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """The two raw sources of one example, (samples,) each."""
        raise TypeError(f"{type(self).__name__} is no recipe by itself")

    def example(self, rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
        """(sources, samples) at a random ratio and level."""
        first, second = (silent_if_faint(source) for source in self.pair(rng, samples))
        ratio_db = rng.uniform(*self.snr_db)
        levels = rms(first), rms(second)
        if min(levels) > 0:
            second = second * np.float32(levels[0] / levels[1] * 10 ** (-ratio_db / 20))
        sources = np.stack([first, second])
        alone = rng.random()
        if alone < 0.03:
            sources[0] = 0
        elif alone < 0.06:
            sources[1] = 0
        elif alone < 0.07:
            sources[:] = 0
        mixture = sources.sum(0)
        wanted = 10 ** (rng.uniform(*self.level_db) / 20) / max(float(np.sqrt(np.square(mixture).mean())), 1e-6)
        loudest = PEAK / max(float(np.abs(mixture).max()), 1e-6)
        return (sources * np.float32(min(wanted, loudest))).astype(np.float32)

    def batch(self, seed: int, step: int, examples: range, samples: int) -> NDArray[np.float32]:
        """(examples, sources, samples): some of a step's examples, each with a generator of its own, so that several
        processes can share a batch."""
        return np.stack([self.example(np.random.default_rng([seed, step, i]), samples) for i in examples])


class SpeechMixer(Mixer):
    """Talker | talker."""

    symmetric = True

    def __init__(self, data: Path, split: str, cache: Path) -> None:
        self.talkers = Clips(data, split, ("talker",), cache, without=UNCLEAN)
        self.rooms = Rooms(data)

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """Two people, each at a speed, in a room and before a microphone of their own."""
        first, second = self.talkers.draw_two(rng)
        return self.talker(rng, first, samples), self.talker(rng, second, samples)

    def talker(self, rng: np.random.Generator, clip: Clip, samples: int) -> Sound:
        """One talker, sometimes in a room and with pauses."""
        speech = another_speed(rng, lambda wanted: self.talkers.excerpt(rng, wanted, clip), samples, 1.15)
        if rng.random() < 0.2:
            speech = self.rooms.apply(rng, speech)
        if rng.random() < 0.15:
            speech = pauses(rng, speech)
        if rng.random() < 0.5:
            speech = colour(rng, speech, 6.0)
        return tilt(rng, speech)


class NoiseMixer(Mixer):
    """Speech | noise."""

    snr_db = (-6.0, 11.0)

    def __init__(self, data: Path, split: str, cache: Path) -> None:
        self.talkers = Clips(data, split, ("talker",), cache, without=UNCLEAN)
        self.noises = clips_if_any(data, split, ("noise",), cache)
        self.events = clips_if_any(data, split, ("event",), cache)
        self.instruments = clips_if_any(data, split, ("instrument",), cache)
        recorded = self.noises or self.events
        if recorded is None:
            raise NoClipsError(f"{data / 'manifest.csv'}: no clip with split {split!r} and role noise or event")
        self._recorded = recorded  # there is always this one
        self.rooms = Rooms(data)

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """A talker, sometimes in a room and with pauses, and one or two noises."""
        speech = another_speed(rng, lambda wanted: self.talkers.excerpt(rng, wanted), samples, 1.15)
        if rng.random() < 0.25:
            speech = self.rooms.apply(rng, speech)
        if rng.random() < 0.2:
            speech = pauses(rng, speech)
        if rng.random() < 0.5:
            speech = colour(rng, speech, 6.0)
        noise = self.noise(rng, samples)
        if rng.random() < 0.25:
            other = self.noise(rng, samples)
            noise = noise + other * np.float32(rms(noise) / max(rms(other), 1e-5) * rng.uniform(0.2, 1.0))
        return tilt(rng, speech), noise

    def noise(self, rng: np.random.Generator, samples: int) -> Sound:
        """Something to be rid of. There is little recorded noise, so it is varied: other colours, other speeds,
        babble of many talkers, instruments, and noises that are made."""
        kind = rng.random()
        if kind < 0.08:
            return synthetic_noise(rng, samples)
        if kind < 0.18:
            return self.rooms.apply(rng, pitched_noise(rng, samples))
        if kind < 0.28:
            voices = int(rng.integers(3, 8))
            return colour(rng, np.sum([self.talkers.excerpt(rng, samples) for _ in range(voices)], 0), 6.0)
        clips = self.noises if kind < 0.7 else self.events if kind < 0.94 else self.instruments
        if clips is None:
            clips = self._recorded
        return colour(rng, another_speed(rng, lambda wanted: clips.excerpt(rng, wanted), samples, 1.5), 12.0)


class MusicMixer(Mixer):
    """Vocals | accompaniment."""

    snr_db = (-3.5, 3.5)

    def __init__(self, data: Path, split: str, cache: Path) -> None:
        self.vocals = Clips(data, split, ("vocals",), cache)
        self.accompaniments = Clips(data, split, ("accompaniment",), cache)
        self.instruments = clips_if_any(data, split, INSTRUMENTS, cache)
        partner = {(clip.corpus, clip.song): clip for clip in self.accompaniments.clips}
        self.rooms = Rooms(data)
        self.pairs = [
            (clip, partner[clip.corpus, clip.song])
            for clip in self.vocals.clips
            if (clip.corpus, clip.song) in partner
        ]
        if not self.pairs:
            raise NoClipsError(f"{data}: no song with vocals and accompaniment in split {split!r}")

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """Half the time one song's own pair, else any vocals over any accompaniment."""
        if rng.random() < 0.5:
            vocals, backing = self.song(rng, samples)
        else:
            vocals = another_speed(rng, lambda wanted: self.vocals.excerpt(rng, wanted), samples, 1.2)
            backing = another_speed(rng, lambda wanted: self.accompaniments.excerpt(rng, wanted), samples, 1.2)
            if rng.random() < 0.3:
                vocals = self.rooms.apply(rng, vocals)
            if self.instruments and rng.random() < 0.3:
                extra = self.instruments.excerpt(rng, samples)
                backing = backing + extra * np.float32(rms(backing) / max(rms(extra), 1e-5) * rng.uniform(0.2, 0.8))
        if rng.random() < 0.5:
            vocals = colour(rng, vocals, 6.0)
        if rng.random() < 0.5:
            backing = colour(rng, backing, 6.0)
        return tilt(rng, vocals), tilt(rng, backing)

    def song(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """The same stretch of both parts of one song, at one speed."""
        vocals, accompaniment = self.pairs[rng.integers(len(self.pairs))]
        place = rng.random()

        def read(wanted: int) -> Sound:
            start = int(place * max(1, vocals.length - wanted + 1))
            both = self.vocals.read(vocals, start, wanted), self.accompaniments.read(accompaniment, start, wanted)
            return np.stack(both, -1)

        both = another_speed(rng, read, samples, 1.2)
        return both[:, 0], both[:, 1]


class EnvironmentMixer(Mixer):
    """Event | event."""

    symmetric = True
    strangers = 0.3

    def __init__(self, data: Path, split: str, cache: Path) -> None:
        self.events = Clips(data, split, ("event",), cache)
        self.noises = clips_if_any(data, split, ("noise",), cache)
        self.talkers = clips_if_any(data, split, ("talker",), cache)  # whose voices they are does not matter here
        self.instruments = clips_if_any(data, split, INSTRUMENTS, cache)
        self.rooms = Rooms(data)

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """Two kinds of event; in some a made sound for the second, or a noise, a talker or an instrument: there are
        few events to learn from, and whatever makes the other sound, an event has to be told from it."""
        first, second = self.events.draw_two(rng)
        kind = rng.random()
        others = [clips for clips in (self.noises, self.talkers, self.instruments) if clips]
        if kind < 0.04:
            other = synthetic_noise(rng, samples)
        elif kind < 0.08:
            other = pitched_noise(rng, samples)
        elif kind < 0.08 + self.strangers and others:
            clips = others[rng.integers(len(others))]
            other = self.event(rng, clips, clips.draw(rng), samples)
        else:
            other = self.event(rng, self.events, second, samples)
        return self.event(rng, self.events, first, samples), other

    def event(self, rng: np.random.Generator, clips: Clips, clip: Clip, samples: int) -> Sound:
        """A stretch of one clip, varied, because there are few of each kind."""
        sound = another_speed(rng, lambda wanted: clips.excerpt(rng, wanted, clip), samples, 1.4)
        if rng.random() < 0.2:
            sound = self.rooms.apply(rng, sound)
        return tilt(rng, colour(rng, sound, 9.0) if rng.random() < 0.6 else sound)


RECIPES: dict[str, type[Mixer]] = {
    "speech": SpeechMixer,
    "noise": NoiseMixer,
    "music": MusicMixer,
    "environment": EnvironmentMixer,
}
