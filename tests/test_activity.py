"""What is silent or too quiet is not judged."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import noise, seeds

from streamsep.errors import ConfigError
from streamsep.monitor.activity import ActivityOptions, is_active, levels_dbfs

RATE = 16_000
FRAME = RATE // 50
options = st.builds(ActivityOptions, floor_dbfs=st.floats(-120, 0), active_share=st.floats(0, 1))


@given(seeds, st.integers(1, 20), st.floats(-80, 40))
def test_a_level_is_that_of_the_sound_in_its_frame(seed: int, frames: int, gain_db: float) -> None:
    sound = noise(seed, frames * FRAME + 17)
    levels = levels_dbfs(sound * 10 ** (gain_db / 20), RATE)
    assert len(levels) == frames
    for level, frame in zip(levels, np.split(sound[: frames * FRAME].astype(np.float64), frames), strict=True):
        assert level == pytest.approx(20 * math.log10(np.sqrt(np.mean(frame**2))) + gain_db, abs=1e-4)


@given(st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e200]), options)
def test_silence_and_what_is_no_sound_are_never_active(sample: float, wanted: ActivityOptions) -> None:
    levels = levels_dbfs(np.full(5 * FRAME, sample), RATE)
    assert np.all(levels == -np.inf)
    assert not is_active(levels, wanted)
    assert not is_active(np.full(5, np.nan), wanted)
    assert not is_active([], wanted)


@given(st.lists(st.floats(-150, 20), min_size=1), options, st.floats(0, 60))
def test_it_takes_the_share_of_frames_from_the_floor_on_and_louder_is_never_less(
    levels: list[float], wanted: ActivityOptions, louder_db: float
) -> None:
    active = [level >= wanted.floor_dbfs for level in levels]
    assert is_active(levels, wanted) == (any(active) and sum(active) >= wanted.active_share * len(levels))
    assert is_active(np.add(levels, louder_db), wanted) >= is_active(levels, wanted)


def test_a_pause_within_speech_is_judged_and_speech_that_has_just_begun_is_not() -> None:
    speech, silence = noise(0, RATE), np.zeros(RATE, np.float32)
    assert is_active(levels_dbfs(np.concatenate([speech, silence]), RATE), ActivityOptions())
    assert not is_active(levels_dbfs(np.concatenate([silence, speech[: RATE // 5]]), RATE), ActivityOptions())
    assert not is_active(levels_dbfs(speech * 1e-4, RATE), ActivityOptions())


@pytest.mark.parametrize(("name", "value"), [("floor_dbfs", 1), ("floor_dbfs", math.nan), ("active_share", 1.1)])
def test_options_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be between .* and .*, got {value}"):
        ActivityOptions(**{name: value})
