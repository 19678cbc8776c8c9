"""What a sound is like by itself, whatever a model makes of it: how its bands swing, whether it has a pitch and how
that moves, how it changes from frame to frame. Talkers, singers, machines and full rooms differ in this.

A few dozen numbers that do not depend on the level, each neither good nor bad. They do not say how well a model fits;
beside the confidence and the mean embedding of all models they help to tell the domains apart.
"""

import math

import numpy as np
from numpy.typing import NDArray

from streamsep.monitor.mel import mel_bands

WINDOW_S, HOP_S = 0.032, 0.008
BANDS = 24
LOWEST_BIN = 1  # of the bands; bin 0 is a microphone's offset
FLOOR = 1e-6  # of the mean power: what is 60 dB below it is as good as silent
LOWEST_HZ, HIGHEST_HZ = 64.0, 533.0  # of a pitch
TINY = 1e-20
PREFIX = "texture_"  # of the names
LEVELS = (0.05, 0.25, 0.75, 0.95)  # quantiles
PITCHES = (0.1, 0.5, 0.9)
GLIDES_OCTAVES = (0.02, 0.1)  # a pitch that moves by less between two frames is held, or glides

Floats = NDArray[np.float64]


def texture(samples: NDArray[np.float32], rate: int) -> dict[str, float]:
    """(samples,) at `rate` Hz -> values by name, each beginning with PREFIX. Nothing where there are less than two
    frames, or nothing but silence.

    swing: standard deviation of each band's level over time. pitched: the highest peak of a frame's cepstrum (Noll
    1967), its mean, deviation and quantiles. glide, held, gliding, octave, roaming: of that peak's place from frame
    to frame. flux: how much of a frame's magnitude is elsewhere in the next one. flat: the spectral flatness. level:
    quantiles of the loudness over time. Levels are natural logarithms of power.
    """
    window, hop = round(WINDOW_S * rate), round(HOP_S * rate)
    clean = np.nan_to_num(np.asarray(samples, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if len(clean) < window + hop:
        return {}
    frames = np.lib.stride_tricks.sliding_window_view(clean, window)[::hop] * np.hanning(window)
    magnitudes = np.abs(np.fft.rfft(frames))
    power = np.square(magnitudes)
    mean_power = float(power.mean())
    if mean_power <= TINY:
        return {}
    power /= mean_power
    levels = np.log(power @ mel_bands(window // 2 + 1, rate, BANDS, LOWEST_BIN).T + FLOOR)
    levels -= levels.mean(axis=0)
    found = {f"swing_{band}": float(value) for band, value in enumerate(levels.std(axis=0))}
    found |= _pitch(np.log(power + FLOOR), rate)
    shares = magnitudes / np.maximum(magnitudes.sum(axis=1, keepdims=True), TINY)
    flux = np.abs(np.diff(shares, axis=0)).sum(axis=1)
    flat = np.log(power + FLOOR).mean(axis=1) - np.log(power.mean(axis=1) + FLOOR)
    loudness = np.quantile(levels.mean(axis=1), LEVELS)
    found |= {"flux": float(flux.mean()), "flux_swing": float(flux.std())}
    found |= {"flat": float(flat.mean()), "flat_swing": float(flat.std())}
    found |= {f"level_{round(100 * share)}": float(value) for share, value in zip(LEVELS, loudness, strict=True)}
    return {PREFIX + name: value for name, value in found.items()}


def _pitch(log_power: Floats, rate: int) -> dict[str, float]:
    """(frames, bins) -> what the highest peaks of the cepstra say."""
    shortest = math.ceil(rate / HIGHEST_HZ)
    cepstra = np.fft.irfft(log_power)[:, shortest : math.ceil(rate / LOWEST_HZ)]
    heights, octaves = cepstra.max(axis=1), np.log2(rate / (cepstra.argmax(axis=1) + shortest))
    moves, clear = np.abs(np.diff(octaves)), heights >= np.median(heights)
    found = {"pitched": float(heights.mean()), "pitched_swing": float(heights.std())}
    quantiles = np.quantile(heights, PITCHES)
    found |= {f"pitched_{round(100 * share)}": float(value) for share, value in zip(PITCHES, quantiles, strict=True)}
    held, gliding = (float(np.mean(moves < most)) for most in GLIDES_OCTAVES)
    found |= {"glide": float(np.median(moves)), "held": held, "gliding": gliding}
    return found | {"octave": float(np.median(octaves)), "roaming": float(octaves[clear].std())}
