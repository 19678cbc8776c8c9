"""The probe is found again wherever it lies in a recording, or it is said that it is not there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.audio.probe import LENGTH_S, TAPS, find, make_probe, sequence

RATES = (8_000, 16_000, 44_100, 48_000)


@pytest.mark.parametrize("order", TAPS)
def test_a_maximum_length_sequence_looks_like_itself_at_no_other_delay(order):
    bits = sequence(order)
    length = 2**order - 1
    assert bits.shape == (length,)
    assert set(bits) == {-1.0, 1.0}
    around = np.fft.irfft(np.abs(np.fft.rfft(bits)) ** 2, length)
    assert around[0] == pytest.approx(length)
    assert around[1:] == pytest.approx(np.full(length - 1, -1.0), abs=1e-6)


@pytest.mark.parametrize("rate", [*RATES, 96_000, 192_000])
def test_a_probe_is_as_loud_as_it_should_be_begins_softly_and_is_short(rate):
    probe = make_probe(rate, -20.0)
    assert LENGTH_S / 4 < len(probe) / rate <= LENGTH_S
    assert np.abs(probe).max() == pytest.approx(0.1)
    assert abs(probe[0]) == abs(probe[-1]) == 0
    assert np.sqrt(np.mean(np.square(probe))) == pytest.approx(0.1, rel=0.06)


def recording(probe, delay, gain, noise_db, length, seed):
    """The probe at some place, and noise that is so much louder than it."""
    samples = np.random.default_rng(seed).normal(0, 10 ** (noise_db / 20) * np.sqrt(np.mean(probe**2)), length)
    samples[delay : delay + len(probe)] += probe
    return (gain * samples).astype(np.float32)


@settings(max_examples=60)
@given(
    rate=st.sampled_from(RATES),
    place=st.floats(0, 1),
    gain=st.floats(1e-3, 10).flatmap(lambda gain: st.sampled_from([gain, -gain])),
    noise_db=st.floats(-80, 10),
    seed=st.integers(0, 999),
)
def test_the_delay_is_found_to_the_sample_through_noise_at_any_gain_and_inverted(rate, place, gain, noise_db, seed):
    probe = make_probe(rate, -20.0)
    length = rate + len(probe)
    delay = round(place * rate)
    echo = find(probe, recording(probe, delay, gain, noise_db, length, seed))
    assert echo.clear
    assert echo.delay == delay


@settings(max_examples=60)
@given(delay=st.integers(0, 16_000), cut=st.floats(0.05, 0.4), noise_db=st.floats(-60, -10), seed=st.integers(0, 999))
def test_a_way_that_lets_only_low_sounds_through_is_as_long_as_its_group_delay(delay, cut, noise_db, seed):
    probe = make_probe(16_000, -20.0)
    half = 32
    low_pass = np.sinc(2 * cut * np.arange(-half, half + 1)) * np.hanning(2 * half + 1)
    heard = np.convolve(recording(probe, delay, 1.0, noise_db, 16_000 + len(probe), seed), low_pass)
    assert find(probe, heard).delay == delay + half


@settings(max_examples=60)
@given(kind=st.sampled_from(["noise", "hum", "clicks"]), loud=st.floats(1e-4, 1), seed=st.integers(0, 999))
def test_where_there_is_no_probe_none_is_found(kind, loud, seed):
    probe = make_probe(16_000, -20.0)
    rng = np.random.default_rng(seed)
    time_s = np.arange(16_000 + len(probe)) / 16_000
    sounds = {
        "noise": rng.normal(0, 1, len(time_s)),
        "hum": np.sin(2 * np.pi * rng.uniform(20, 4000) * time_s),
        "clicks": (rng.uniform(0, 1, len(time_s)) < 1e-3).astype(float),
    }
    assert not find(probe, loud * sounds[kind]).clear


def test_silence_holds_no_probe():
    probe = make_probe(16_000, -20.0)
    assert not find(probe, np.zeros(16_000 + len(probe))).clear
