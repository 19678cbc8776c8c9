"""A loudspeaker and a microphone in one room, and sounds that a room may hold."""

from collections.abc import Callable

import numpy as np
from fakes import PassThrough, make_engine
from played import Moment, never_late

from streamsep.arrays import Array
from streamsep.audio.callback import Callback
from streamsep.realtime.howl import HowlGuard

RATE = 16_000
BLOCK = 64


def resonance(hz: float, width_hz: float = 60.0) -> Array:
    """(samples,): an impulse response with one peak, of 1."""
    time = np.arange(round(0.1 * RATE)) / RATE
    response = np.exp(-np.pi * width_hz * time) * np.sin(2 * np.pi * hz * time)
    return response / np.abs(np.fft.rfft(response, 2**15)).max()


def room(seed: int, decay_s: float = 0.25) -> Array:
    """(samples,): diffuse, as a small loudspeaker plays it; its highest peak is 1."""
    count = round(decay_s * RATE)
    response = np.random.default_rng(seed).normal(size=count) * 10 ** (-3 * np.arange(count) / count)
    hz = np.fft.rfftfreq(2 * count, 1 / RATE)
    speaker = (1j * hz / 200 / (1 + 1j * hz / 200)) ** 3 / (1 + 1j * hz / 5000) ** 2
    response = np.fft.irfft(np.fft.rfft(response, 2 * count) * speaker)[:count]
    return response / np.abs(np.fft.rfft(response, 2**16)).max()


def guarded(guard: HowlGuard | None) -> Callback:
    """The callback of live sound around an engine that changes nothing but the delay."""
    return never_late(Callback(make_engine(PassThrough(), rate=RATE), guard))


def play_in_a_loop(
    callback: Callback, near: Array, response: Array, delay_s: float, gain_db: Callable[[float], float]
) -> Array:
    """near: (samples,), what the microphone hears besides the loudspeaker. delay_s: of the devices and the air.
    gain_db: of the loop's highest peak, by time in s. Returns what was heard."""
    delay = max(BLOCK, round(delay_s * RATE))
    heard = np.zeros(len(near) // BLOCK * BLOCK)
    fed = np.zeros(len(heard) + delay + len(response) + BLOCK)
    size = 1 << (len(response) + BLOCK).bit_length()
    spectrum = np.fft.rfft(response, size)
    out = np.zeros((BLOCK, 1), np.float32)
    for at in range(0, len(heard), BLOCK):
        block = (near[at : at + BLOCK] + fed[at : at + BLOCK]).astype(np.float32)[:, None]
        callback(block, out, BLOCK, Moment(), None)  # type: ignore[arg-type]
        heard[at : at + BLOCK] = out[:, 0]
        echo = np.fft.irfft(np.fft.rfft(out[:, 0], size) * spectrum)[: len(response) + BLOCK - 1]
        fed[at + delay : at + delay + len(echo)] += 10 ** (gain_db(at / RATE) / 20) * echo
    return heard


def loudness(sound: Array, seconds: float = 0.05) -> Array:
    """dB of full scale, RMS of every so many seconds."""
    count = round(seconds * RATE)
    pieces = sound[: len(sound) // count * count].reshape(-1, count)
    return 10 * np.log10(np.mean(pieces**2, axis=1) + 1e-12)


# ---------------------------------------------------------------------------------------- sounds, one channel, ±1


def swept(hz: Array) -> Array:
    """A sine of this frequency at every sample."""
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE)


def sung(hz: float, seconds: float) -> Array:
    """A vowel with vibrato: harmonics under two formants."""
    time = np.arange(round(seconds * RATE)) / RATE
    pitch = hz * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * time))
    sound = np.zeros(len(time))
    for harmonic in range(1, int(0.45 * RATE / hz)):
        at = harmonic * hz
        weight = 1 / (1 + ((at - 600) / 150) ** 2) + 0.5 / (1 + ((at - 1100) / 200) ** 2)
        sound += weight * swept(harmonic * pitch)
    return sound / np.abs(sound).max()


def notes(attack_s: float, seconds: float, hz: tuple[float, ...] = (440.0, 659.0, 523.0, 880.0)) -> Array:
    """Pure tones, one after the other, half a second each, that begin within `attack_s`."""
    count = round(0.5 * RATE)
    time = np.arange(count) / RATE
    shape = np.minimum(1, time / attack_s) * np.minimum(1, (time[-1] - time) / 0.05)
    sound = [shape * np.sin(2 * np.pi * hz[number % len(hz)] * time) for number in range(round(2 * seconds))]
    return np.concatenate(sound)


def siren(seconds: float) -> Array:
    """Up and down, again and again."""
    time = np.arange(round(seconds * RATE)) / RATE
    return swept(900 * 2 ** (0.6 * np.sin(2 * np.pi * time / 3)))
