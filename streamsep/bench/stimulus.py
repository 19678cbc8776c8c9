"""Sound to measure with. Silence is no load: it takes short cuts, and its small numbers take detours."""

import numpy as np

from streamsep.arrays import Block

SYLLABLES_HZ = 4.0
LEVELS_DB = (-14.0, -30.0, -8.0, -46.0, -20.0)  # one a second: a voice near and far; the loudest meets the limiter


def lively_noise(seconds: float, rate: int, channels: int, seed: int = 0) -> Block:
    """(samples, channels): dull noise, in syllables, each second at another level."""
    samples = max(1, round(seconds * rate))
    rng = np.random.default_rng(seed)
    time_s = np.arange(samples) / rate
    white = rng.standard_normal((samples + 1, channels))
    dull = white[1:] + 0.95 * white[:-1]
    dull /= np.sqrt(np.mean(np.square(dull)))
    syllables = 0.05 + np.sin(np.pi * SYLLABLES_HZ * time_s) ** 2
    level = 10 ** (np.take(LEVELS_DB, time_s.astype(np.intp), mode="wrap") / 20)
    return (dull * (syllables * level)[:, None]).astype(np.float32)


def as_blocks(samples: Block, length: int) -> Block:
    """(samples, channels) -> (blocks, length, channels), or (blocks, length) for one channel; the rest is lost."""
    blocks = len(samples) // length
    cut = samples[: blocks * length].reshape(blocks, length, -1)
    return cut[:, :, 0] if cut.shape[2] == 1 else cut
