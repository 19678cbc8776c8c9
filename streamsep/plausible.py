"""Whether an array can be a recording. They come in 16 bits, channels first, with holes: better said than heard."""

import math

import numpy as np

from streamsep.arrays import Block

MOST_CHANNELS = 256
LOUDEST = 32.0  # +30 dB of full scale: louder are samples that somebody has not scaled
HOW_TO_SCALE = "samples of 16 bits are to be divided by 32768"


def complaint(samples: Block, rate: int, start: int = 0) -> str | None:
    """What is wrong with (samples,) or (samples, channels) at `rate` Hz, for a person; None: nothing. start: which
    sample of a longer recording the first one is."""
    if samples.dtype.kind != "f":
        return f"expected floating point samples in [-1, 1], got {samples.dtype}; {HOW_TO_SCALE}"
    if samples.ndim == 2 and samples.shape[1] > MOST_CHANNELS:
        return (
            f"expected (samples, channels) with at most {MOST_CHANNELS} channels, got shape {samples.shape}; if the "
            "channels come first, give samples.T"
        )
    loudest = max(float(samples.max()), -float(samples.min()))
    if not math.isfinite(loudest):
        broken = ~np.isfinite(samples)
        frame, channel = divmod(int(np.argmax(broken)), samples[0].size)
        return (
            f"{int(np.count_nonzero(broken))} of {samples.size} samples are not finite (NaN or infinity), the first "
            f"at sample {start + frame} ({(start + frame) / rate:.3f} s) of channel {channel + 1}; "
            "repair them first, for example by writing 0 in their place"
        )
    if loudest > LOUDEST:
        return f"expected samples in [-1, 1], got some of {loudest:g}; {HOW_TO_SCALE}"
    return None
