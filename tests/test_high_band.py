"""Above what the models hear: as loud as the masks say, in time, and together with the rest nothing but a delay."""

import numpy as np
import pytest
from fakes import FRONT, Leaky, PassThrough, Shares, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, gains_db, noise, seeds, synthesis_ms

from streamsep.arrays import Array, Masks, Samples, Spectrum
from streamsep.models.subject import hear, lag_of
from streamsep.realtime.high_band import FOLLOW_MS
from streamsep.realtime.masking import linear

other_rates = st.sampled_from([8_000, 11_025, 12_000, 22_050, 44_100, 48_000, 96_000])
NARROW = {"speech": 0.0, "noise": -120.0}


def high(sound: Array, rate: int) -> Array:
    """(..., samples): what of it is above 9 kHz, where the models' band has ended, or at the end of the device's own,
    by Fourier transform."""
    spectrum = np.fft.rfft(sound)
    spectrum[..., : round(min(9000, 0.485 * rate) * sound.shape[-1] / rate)] = 0
    return np.fft.irfft(spectrum, sound.shape[-1])


class Stepping(Shares):
    """All to the first source, and from a hop on all to the second."""

    def __init__(self, at: int) -> None:
        super().__init__({"speech": 1.0, "noise": 0.0})
        self._left = at

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        self._left -= 1
        if self._left < 0:
            self._masks[0], self._masks[1] = 0.0, 1.0
        return self._masks


@settings(max_examples=30, deadline=None)
@given(data=st.data(), rate=other_rates, channels=channel_counts, seed=seeds, look_ahead=st.integers(0, 3))
def test_the_bands_together_with_unit_gains_are_a_pure_delay(
    data: st.DataObject, rate: int, channels: int, seed: int, look_ahead: int
) -> None:
    sound = noise(seed, rate // 4, channels)
    options = {"synthesis_ms": data.draw(synthesis_ms(FRONT))}
    engine = make_engine(Leaky(look_ahead=look_ahead), rate=rate, channels=channels, **options)
    heard, sources = hear(engine, sound)
    late = engine.latency.samples
    np.testing.assert_allclose(heard[late:], sound[:-late], rtol=0, atol=1e-6)
    np.testing.assert_allclose(sources.sum(0)[late:], sound[:-late], rtol=0, atol=1e-6)
    assert np.abs(heard[:late]).max() < 1e-9
    assert min(np.abs(high(source.T, rate)).max() for source in sources) > 1e-4  # each has some of it


@settings(max_examples=20, deadline=None)
@given(rate=other_rates, seed=seeds, share=st.floats(0, 1), first=gains_db, second=gains_db)
def test_in_the_high_band_every_source_is_as_loud_as_below_it(
    rate: int, seed: int, share: float, first: float, second: float
) -> None:
    sound = noise(seed, rate // 4, peak=0.02)
    separator = Shares({"speech": share, "noise": 1 - share})
    engine = make_engine(separator, rate=rate, gains_db={"speech": first, "noise": second})
    heard, sources = hear(engine, sound)
    late = engine.latency.samples
    gain = share * linear(first) + (1 - share) * linear(second)
    np.testing.assert_allclose(heard[late:], gain * sound[:-late], rtol=0, atol=1e-6)
    np.testing.assert_allclose(sources[0, late:], share * sound[:-late], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_without_it_nothing_is_heard_above_the_models_band_and_all_else_is_the_same(rate: int) -> None:
    sound = noise(0, rate // 2)
    full, narrow = (make_engine(PassThrough(), rate=rate, full_band=on) for on in (True, False))
    assert full.latency == narrow.latency
    with_it, without = (np.hanning(len(sound)) * hear(engine, sound)[0] for engine in (full, narrow))
    assert np.abs(high(without, rate)).max() < 1e-3 * np.abs(high(with_it, rate)).max()
    time = np.arange(rate // 2) / rate
    low = np.sin(2 * np.pi * 3000 * time).astype(np.float32) / 4
    calm = slice(rate // 8, -rate // 8)  # away from where the sine begins
    np.testing.assert_allclose(hear(full, low)[0][calm], hear(narrow, low)[0][calm], rtol=0, atol=1e-3)


def test_a_device_at_the_models_rate_has_none() -> None:
    rate = FRONT.sample_rate
    sound = noise(0, rate)
    gains = {"talker-2": -20.0, "event": -40.0}
    full, narrow = (make_engine(Leaky(), rate=rate, gains_db=gains, full_band=on) for on in (True, False))
    for one, other in zip(hear(full, sound), hear(narrow, sound), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("synthesis_ms", [8, 2])
def test_its_gain_follows_the_masks_within_a_few_hops_without_a_jump(synthesis_ms: int) -> None:
    rate, at = 48_000, 100
    time = np.arange(rate) / rate
    sine = np.sin(2 * np.pi * 12_000 * time + 0.3).astype(np.float32) / 4
    engine = make_engine(Stepping(at), rate=rate, gains_db=NARROW, synthesis_ms=synthesis_ms)
    heard = hear(engine, sine)[0][engine.latency.samples :]
    gain = heard[:, None].reshape(-1, 4) @ (sine[:4] * 8)  # a period is 4 samples
    begin = ((at + 1) * 192 - engine.latency.samples) // 4  # the first samples that came out with the new masks
    assert gain[rate // 50 : begin] == pytest.approx(1, abs=1e-5)
    assert gain[begin + round(10 * FOLLOW_MS) * 12 :] == pytest.approx(0, abs=1e-3)
    falling = np.diff(gain[rate // 50 :])
    assert falling.min() > -0.03
    assert falling.max() < 1e-3


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_bypass_is_the_delayed_input_with_all_its_bands(rate: int) -> None:
    sound = noise(0, rate)
    engine = make_engine(Shares(), rate=rate, gains_db={"speech": -120.0, "noise": -120.0}, fade_ms=40.0)
    late = engine.latency.samples
    assert not hear(engine, sound)[0][rate // 2 :].any()
    engine.bypass(True)
    heard = hear(engine, sound)[0]
    np.testing.assert_allclose(heard[rate // 4 :], sound[rate // 4 - late : -late], rtol=0, atol=1e-6)
    engine.bypass(False)
    assert np.abs(hear(engine, sound)[0][rate // 4 :]).max() < 1e-6


@settings(max_examples=15, deadline=None)
@given(rate=other_rates, seed=seeds, channels=channel_counts, at=st.integers(3000, 4000))
def test_what_is_no_number_is_silence_here_too_and_forgotten(rate: int, seed: int, channels: int, at: int) -> None:
    broken = noise(seed, 9000 * rate // 22_050, channels)
    silent = broken.copy()
    broken[at : at + 2], silent[at : at + 2] = np.nan, 0.0
    engines = [make_engine(Leaky(), rate=rate, channels=channels, gains_db={"talker-2": -20.0}) for _ in range(2)]
    heard, wanted = (hear(engine, sound) for engine, sound in zip(engines, (broken, silent), strict=True))
    assert np.isfinite(heard[0]).all()
    calm = at + 2 + engines[0].latency.samples + rate // 50
    np.testing.assert_array_equal(heard[0][calm:], wanted[0][calm:])
    np.testing.assert_array_equal(heard[1][:, calm:], wanted[1][:, calm:])


@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_after_the_sound_there_is_nothing_to_the_bit(rate: int) -> None:
    engine = make_engine(Leaky(), rate=rate, gains_db={"talker-2": -20.0})
    hear(engine, noise(0, rate // 4))
    tail = engine.latency.samples + (FRONT.window + FRONT.hop) * rate // FRONT.sample_rate + rate // 250
    heard, sources = hear(engine, np.zeros(2 * tail, np.float32))
    assert not heard[tail:].any()
    assert not sources[:, tail:].any()


def test_the_high_band_is_in_time_whatever_is_left_of_the_low_one() -> None:
    rate = 48_000
    sound = np.asarray(high(noise(1, rate), rate), np.float32)
    engine = make_engine(Shares(), rate=rate, gains_db={"noise": -20.0})
    assert lag_of(hear(engine, sound)[0], sound) == engine.latency.samples
