"""What is done to recordings so that a model meets more than was recorded: pure functions of a random generator.

All take and give (samples,) float32 at 16 kHz; none changes the length unless it says so.
"""

from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from scipy.signal import fftconvolve, resample_poly

from export.corpus import RATE

Sound = NDArray[np.float32]
FAINTEST = 1e-4  # RMS of full scale, -80 dB: what is fainter is silence


def rms(samples: Sound) -> float:
    """Root mean square over the parts that are not silent (hops of 10 ms within 40 dB of the loudest)."""
    power = np.square(samples[: len(samples) // 160 * 160].reshape(-1, 160)).mean(-1)
    loud = power[power > 1e-4 * power.max()] if power.size and power.max() > 0 else power
    return float(np.sqrt(loud.mean())) if loud.size else 0.0


def silent_if_faint(samples: Sound) -> Sound:
    """As it is, or nothing where it is what a recorder makes of silence, which would be brought up to full level."""
    return samples if rms(samples) > FAINTEST else np.zeros_like(samples)


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


def another_speed(rng: np.random.Generator, read: Callable[[int], Sound], samples: int, most: float) -> Sound:
    """Half the time at another speed, pitch and all, at most `most` times as fast or as slow; else as it is.

    read: gives as many samples as it is asked for.
    """
    if rng.random() < 0.5:
        return read(samples)
    down = int(np.round(12 * most ** rng.uniform(-1, 1)))
    return faster(read(samples * down // 12 + 1), 12, down, samples)


def pauses(rng: np.random.Generator, samples: Sound) -> Sound:
    """Silence before or after, as in the gaps of a conversation."""
    edge = int(rng.integers(len(samples) // 2))
    out = samples.copy()
    out[:edge] = 0
    return np.roll(out, -edge) if rng.random() < 0.5 else out


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


class Rooms:
    """Responses of rooms: measured ones where the data folder has any under `rir/`, and made ones."""

    LONGEST_S = 0.6
    DIRECT_S = 0.03  # a response whose loudest tap comes later is an effect and not a room

    def __init__(self, data: Path) -> None:
        """data: a folder whose `rir/` may hold FLAC or WAV files, a channel a response, and .npz files with `ir` (of
        shape (..., taps)) and `sr`, all at 16 kHz. Raises ValueError naming the file that cannot be read, whose rate
        is another, or that lacks one of the two."""
        self.measured: list[Sound] = []
        for path in sorted((data / "rir").rglob("*")):
            if path.suffix in (".flac", ".wav"):
                try:
                    taps, rate = sf.read(path, dtype="float32", always_2d=True)
                except sf.LibsndfileError as error:
                    raise ValueError(f"{path}: not a sound file ({error})") from None
                responses = taps.T
            elif path.suffix == ".npz":
                try:
                    with np.load(path) as content:
                        found = dict(content)
                except (ValueError, EOFError, BadZipFile) as error:
                    raise ValueError(f"{path}: expected arrays of NumPy, got {error}") from None
                if not {"ir", "sr"} <= set(found):
                    raise ValueError(f"{path}: expected ir and sr, found {', '.join(found) or 'nothing'}")
                responses, rate = found["ir"].reshape(-1, found["ir"].shape[-1]), int(found["sr"])
            else:
                continue
            if rate != RATE:
                raise ValueError(f"{path}: expected responses at {RATE} Hz, got {rate} Hz")
            few = responses[:: max(1, len(responses) // 16)]  # of hundreds of directions round one head
            self.measured += [cut for response in few if (cut := self._cut(response)) is not None]

    def _cut(self, response: Sound) -> Sound | None:
        """From the direct sound on, which comes out at 1; None when it comes too late to be the direct sound,
        or there is none, or the response is not finite."""
        direct = int(np.abs(response).argmax())
        if direct > self.DIRECT_S * RATE or not response[direct] or not np.isfinite(response).all():
            return None
        cut = response[direct : direct + int(self.LONGEST_S * RATE)].astype(np.float32)
        return cut / np.float32(cut[0])

    def apply(self, rng: np.random.Generator, samples: Sound) -> Sound:
        """In a room: direct sound and reflections, which belong to the source, and no delay."""
        if self.measured and rng.random() < 0.5:
            response = self.measured[rng.integers(len(self.measured))]
            return fftconvolve(samples, response)[: len(samples)].astype(np.float32)
        return room(rng, samples)


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
