"""Training mixtures, made on the fly: a batch is a pure function of (seed, step), so a run can resume anywhere.

Recipes: `noise` (speech at -5 to +10 dB over a noise or an event), `music` (vocals over accompaniment at +-2.5 dB,
from the same song at the same time, or remixed at random). What live sound needs is added to both: levels over 40
dB, spectral tilt, rooms for the talker, and now and then one source alone.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly

from export.corpus import RATE, Clips

Sound = NDArray[np.float32]


def rms(samples: Sound) -> float:
    """Root mean square over the parts that are not silent (hops of 10 ms within 40 dB of the loudest)."""
    power = np.square(samples[: len(samples) // 160 * 160].reshape(-1, 160)).mean(-1)
    loud = power[power > 1e-4 * power.max()] if power.size and power.max() > 0 else power
    return float(np.sqrt(loud.mean())) if loud.size else 0.0


def tilt(rng: np.random.Generator, samples: Sound) -> Sound:
    """A gentle first-order shelf: what another microphone, or a hand before it, does."""
    coefficient = rng.uniform(-0.4, 0.4)
    out = samples.copy()
    out[1:] += np.float32(coefficient) * samples[:-1]
    return out


def colour(rng: np.random.Generator, samples: Sound, most_db: float) -> Sound:
    """Another spectrum: a smooth random curve within +-most_db over the octaves from 30 Hz up."""
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    knots = np.linspace(np.log2(30), np.log2(RATE / 2), 7)
    gains_db = np.interp(np.log2(np.maximum(frequencies, 30)), knots, rng.uniform(-most_db, most_db, len(knots)))
    return np.fft.irfft(np.fft.rfft(samples) * 10 ** (gains_db / 20), len(samples)).astype(np.float32)


def faster(samples: Sound, up: int, down: int, wanted: int) -> Sound:
    """Played down/up times as fast, pitch and all, and cut to the wanted length."""
    return resample_poly(samples, up, down)[:wanted].astype(np.float32)


def synthetic_noise(rng: np.random.Generator, samples: int) -> Sound:
    """Noise of any colour, -9 to +3 dB an octave, whose loudness may swell and fade: wind, engines, surf, hiss."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.fft.rfftfreq(samples, 1 / RATE)
    spectrum *= np.maximum(frequencies, 40) ** (rng.uniform(-9, 3) / 6.02)
    sound = np.fft.irfft(spectrum, samples)
    if rng.random() < 0.5:
        beats = np.interp(np.arange(samples), np.linspace(0, samples, 24), rng.uniform(-18, 0, 24))
        sound *= 10 ** (beats / 20)
    return (0.1 * sound / np.sqrt(np.square(sound).mean())).astype(np.float32)


def pitched_noise(rng: np.random.Generator, samples: int) -> Sound:
    """Something with a pitch that is no voice: a whine, a beep, a creak, a horn, steady or gliding, held or
    struck."""
    time = np.arange(samples) / RATE
    octaves = np.interp(time, np.linspace(0, time[-1], 12), np.cumsum(rng.normal(0, rng.choice([0, 0.03, 0.3]), 12)))
    pitch = 60 * 2 ** (rng.uniform(0, 5.5) + octaves)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    slope = rng.uniform(0, 2)
    sound = np.zeros(samples)
    for partial in range(1, int(rng.choice([1, 2, 6, 12])) + 1):
        audible = partial * pitch < RATE / 2
        sound += audible * rng.uniform(0.2, 1) * partial**-slope * np.sin(partial * phase + rng.uniform(0, 6.28))
    if rng.random() < 0.6:  # struck again and again, or cut into beeps
        period_s = rng.uniform(0.15, 2.0)
        since = (time + rng.uniform(0, period_s)) % period_s
        sound *= (
            np.exp(-since / rng.uniform(0.02, 1.0))
            if rng.random() < 0.5
            else since < period_s * rng.uniform(0.2, 0.8)
        )
    sound += rng.uniform(0, 0.1) * rng.standard_normal(samples)
    return (0.1 * sound / max(np.sqrt(np.square(sound).mean()), 1e-9)).astype(np.float32)


def room(rng: np.random.Generator, samples: Sound) -> Sound:
    """A synthetic small room: direct sound and early reflections, which belong to the talker, with a decaying
    tail."""
    reverberation_s = rng.uniform(0.1, 0.5)
    length = int(reverberation_s * RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: int(0.002 * RATE)] = 0
    tail *= 10 ** (rng.uniform(-12, -2) / 20) / np.sqrt(np.square(tail).sum())
    tail[0] = 1.0
    return fftconvolve(samples, tail)[: len(samples)].astype(np.float32)


class Mixer:
    """Shared by the recipes: gains, level, one source alone."""

    roles: tuple[str, ...] = ()
    snr_db = (-5.0, 5.0)

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """The two raw sources of one example, (samples,) each."""
        raise TypeError(f"{type(self).__name__} is no recipe by itself")

    def example(self, rng: np.random.Generator, samples: int) -> NDArray[np.float32]:
        """(sources, samples) at a random ratio and level."""
        first, second = self.pair(rng, samples)
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
        level = np.sqrt(np.square(sources.sum(0)).mean())
        wanted = 10 ** (rng.uniform(-48, -12) / 20)
        return (sources * np.float32(wanted / max(level, 1e-6))).astype(np.float32)

    def batch(self, seed: int, step: int, size: int, samples: int) -> NDArray[np.float32]:
        """(batch, sources, samples)."""
        rng = np.random.default_rng([seed, step])
        return np.stack([self.example(rng, samples) for _ in range(size)])


class NoiseMixer(Mixer):
    """Speech | noise."""

    roles = ("speech", "noise")
    snr_db = (-6.0, 11.0)

    def __init__(self, data: Path, split: str, cache: Path) -> None:
        clean = ("LibriSpeech", "AN4", "EmoDB", "TSP", "VCTK", "CMU-ARCTIC")  # as clean as the lists' talkers
        self.talkers = Clips(data, split, ("talker",), cache, clean)
        self.noises = Clips(data, split, ("noise",), cache)
        self.events = Clips(data, split, ("event",), cache)
        self.instruments = Clips(data, split, ("instrument",), cache)

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """A talker, sometimes in a room and with pauses, and one or two noises."""
        speech = self.talkers.excerpt(rng, samples)
        if rng.random() < 0.25:
            speech = room(rng, speech)
        if rng.random() < 0.2:  # silence before or after, as in the gaps of a conversation
            edge = int(rng.integers(samples // 2))
            speech[:edge] = 0
            if rng.random() < 0.5:
                speech = np.roll(speech, -edge)
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
            return room(rng, pitched_noise(rng, samples))
        if kind < 0.28:
            voices = int(rng.integers(3, 8))
            return colour(rng, np.sum([self.talkers.excerpt(rng, samples) for _ in range(voices)], 0), 6.0)
        clips = self.noises if kind < 0.7 else self.events if kind < 0.94 else self.instruments
        if rng.random() < 0.5:
            return colour(rng, clips.excerpt(rng, samples), 12.0)
        up, down = ((2, 3), (3, 4), (4, 5), (5, 4), (4, 3), (3, 2))[rng.integers(6)]
        return colour(rng, faster(clips.excerpt(rng, samples * down // up + 1), up, down, samples), 12.0)


class MusicMixer(Mixer):
    """Vocals | accompaniment."""

    roles = ("vocals", "accompaniment")
    snr_db = (-3.5, 3.5)

    def __init__(self, data: Path, split: str, cache: Path) -> None:
        self.vocals = Clips(data, split, ("vocals",), cache, ("MIR-1K",))
        self.accompaniments = Clips(data, split, ("accompaniment",), cache, ("MIR-1K",))
        self.instruments = Clips(data, split, ("instrument", "other", "drums", "bass"), cache)
        partner = {clip.path: clip for clip in self.accompaniments.clips}
        self.pairs = [
            (clip, partner[other])
            for clip in self.vocals.clips
            if (other := clip.path.replace(".vocals.", ".accompaniment.")) in partner
        ]
        if not self.pairs:
            raise ValueError(f"{data}: no NAME.vocals beside NAME.accompaniment in split {split!r}")

    def pair(self, rng: np.random.Generator, samples: int) -> tuple[Sound, Sound]:
        """Half the time one song's own pair, else any vocals over any accompaniment."""
        if rng.random() < 0.5:
            vocals, accompaniment = self.pairs[rng.integers(len(self.pairs))]
            start = int(rng.integers(max(1, vocals.length - samples + 1)))
            return (
                tilt(rng, self.vocals.read(vocals, start, samples)),
                tilt(rng, self.accompaniments.read(accompaniment, start, samples)),
            )
        vocals_sound = self.vocals.excerpt(rng, samples)
        if rng.random() < 0.3:
            vocals_sound = room(rng, vocals_sound)
        backing = self.accompaniments.excerpt(rng, samples)
        if rng.random() < 0.3:
            extra = self.instruments.excerpt(rng, samples)
            backing = backing + extra * np.float32(rms(backing) / max(rms(extra), 1e-5) * rng.uniform(0.2, 0.8))
        return tilt(rng, vocals_sound), tilt(rng, backing)


RECIPES: dict[str, type[NoiseMixer] | type[MusicMixer]] = {"noise": NoiseMixer, "music": MusicMixer}
