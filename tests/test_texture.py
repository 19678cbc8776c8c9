"""What a sound is like by itself: the same at any level, and other for sounds that differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamsep.monitor.mel import mel_bands
from streamsep.monitor.texture import BANDS, PREFIX, texture

RATE = 16_000
Sound = NDArray[np.float32]


def noise(seed: int, samples: int = RATE) -> Sound:
    return np.random.default_rng(seed).normal(size=samples).astype(np.float32) * np.float32(0.1)


def tone(hertz: float) -> Sound:
    """Harmonics of a pitch, over a little noise."""
    time = np.arange(RATE) / RATE
    return noise(1) * np.float32(0.01) + sum(
        np.sin(2 * np.pi * hertz * number * time) / number for number in range(1, 20)
    ).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(-60, 20))
def test_it_does_not_depend_on_the_level(seed: int, level_db: float) -> None:
    quiet, loud = noise(seed), noise(seed) * np.float32(10 ** (level_db / 20))
    assert texture(loud, RATE) == pytest.approx(texture(quiet, RATE), rel=1e-4, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([8_000, 16_000, 48_000]))
def test_it_always_has_the_same_names_and_finite_values(seed: int, rate: int) -> None:
    sound = noise(seed, rate)
    sound[seed % rate] = [np.nan, np.inf, 1e30][seed % 3]
    found = texture(sound, rate)
    assert list(found) == list(texture(noise(0), RATE))
    assert all(name.startswith(PREFIX) for name in found)
    assert np.isfinite(list(found.values())).all()


def test_of_silence_and_of_next_to_nothing_there_is_none() -> None:
    assert texture(np.zeros(RATE, np.float32), RATE) == {}
    assert texture(noise(0, 100), RATE) == {}


@pytest.mark.parametrize("hertz", [100.0, 220.0, 440.0])
def test_a_pitch_is_found_where_it_is_and_held(hertz: float) -> None:
    found, other = texture(tone(hertz), RATE), texture(noise(0), RATE)
    assert found["texture_octave"] == pytest.approx(np.log2(hertz), abs=0.03)
    assert found["texture_held"] > 0.95 > other["texture_held"]
    assert found["texture_pitched"] > other["texture_pitched"]
    assert found["texture_flat"] < other["texture_flat"]


def test_what_swings_swings() -> None:
    steady, gate = noise(0), (np.arange(RATE) // 2000 % 2).astype(np.float32)
    swinging = texture(steady * gate, RATE)
    still = texture(steady, RATE)
    assert all(swinging[f"texture_swing_{band}"] > 3 * still[f"texture_swing_{band}"] for band in range(BANDS))
    assert swinging["texture_level_95"] - swinging["texture_level_5"] > 5


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 600), st.integers(4_000, 192_000), st.integers(1, 40), st.integers(0, 1))
def test_every_band_is_a_mean_of_some_bins(bins: int, rate: int, bands: int, lowest: int) -> None:
    weights = mel_bands(bins, rate, bands, lowest)
    assert weights.shape == (bands, bins)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)


@pytest.mark.parametrize(("bins", "rate"), [(257, RATE), (129, 8_000)])
def test_together_the_bands_leave_nothing_out(bins: int, rate: int) -> None:
    assert (mel_bands(bins, rate, BANDS, 1)[:, 2:-1].sum(axis=0) > 0).all()
