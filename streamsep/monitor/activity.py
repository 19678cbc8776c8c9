"""Is there anything to judge? On silence, and on what is too quiet, every model's embeddings are chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamsep.errors import ConfigError

FRAME_S = 0.02


@dataclass(frozen=True)
class ActivityOptions:
    """What counts as sound. Raises ConfigError for a value out of range."""

    floor_dbfs: float = -60.0  # -120 to 0: a frame is active from this level on
    active_share: float = 0.25  # 0 to 1: a look back with a smaller share of active frames is not judged

    def __post_init__(self) -> None:
        if not -120 <= self.floor_dbfs <= 0:
            raise ConfigError(f"floor_dbfs must be between -120 and 0 dBFS, got {self.floor_dbfs}")
        if not 0 <= self.active_share <= 1:
            raise ConfigError(f"active_share must be between 0 and 1, got {self.active_share}")


def levels_dbfs(sound: ArrayLike, rate: int) -> NDArray[np.float64]:
    """The level of every 20 ms: (samples,) -> (frames,), root mean square; 0 dBFS is a square wave at full scale.

    Silence has -inf, and so has a frame with a sample that is not finite. The samples after the last whole frame are
    left out. rate: Hz.

    >>> levels_dbfs(np.repeat([1.0, 0.1, 0.0], 320), 16_000)
    array([  0., -20., -inf])
    """
    length = round(FRAME_S * rate)
    samples = np.asarray(sound, np.float64)
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    with np.errstate(over="ignore", divide="ignore"):
        power = np.square(frames).mean(axis=1)
        return 10 * np.log10(np.where(np.isfinite(power), power, 0.0))


def is_active(levels_dbfs: ArrayLike, options: ActivityOptions) -> bool:
    """Whether a look back can be judged; if not, there is no decision, whatever the models say.

    levels_dbfs: (frames,); of the whole look back: what was not heard yet is silent. NaN counts as silent.

    >>> is_active([-30, -90], ActivityOptions(active_share=0.5)), is_active([], ActivityOptions())
    (True, False)
    """
    levels = np.asarray(levels_dbfs, np.float64)
    active = np.count_nonzero(levels >= options.floor_dbfs)
    return bool(active and active >= options.active_share * len(levels))
