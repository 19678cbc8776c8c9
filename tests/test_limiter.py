"""The laws of the limiter: the ceiling holds, quiet sound passes to the bit, the same in pieces, no new arrays."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.signal import firwin, resample_poly

from streamsep.errors import ConfigError
from streamsep.realtime.limiter import (
    HELD,
    RAMP,
    TAPS,
    Limiter,
    float_ceiling,
    interpolator,
    slide,
    slide_weight,
)

MOST = 200  # samples in one call

seeds = st.integers(0, 2**32 - 1)
lengths = st.lists(st.integers(1, MOST), min_size=1, max_size=8)
gains = st.floats(-6, 12).map(lambda exponent: 10.0**exponent)


@st.composite
def setups(draw: st.DrawFn, true_peak: bool | None = None) -> dict[str, Any]:
    """Arguments of a Limiter, over all it allows that matters."""
    rate = draw(st.integers(8000, 96000))
    true_peak = draw(st.booleans()) if true_peak is None else true_peak
    look_ahead = draw(st.integers(HELD + RAMP if true_peak else 0, 300))
    return {
        "channels": draw(st.integers(1, 3)),
        "rate": rate,
        "max_samples": MOST,
        "ceiling_db": draw(st.floats(-40, 0)),
        "release_ms": draw(st.floats(1, 300)),
        "look_ahead_ms": min(look_ahead * 1000 / rate, 100),
        "true_peak": true_peak,
    }


@st.composite
def sounds(draw: st.DrawFn, channels: int) -> np.ndarray:
    """(channels, samples): pieces of noise, tones, clicks and steps, each at a level of its own."""
    random = np.random.default_rng(draw(seeds))
    pieces = []
    kinds = st.sampled_from(["noise", "tone", "clicks", "step", "silence"])
    for kind in draw(st.lists(kinds, min_size=1, max_size=5)):
        shape = (channels, draw(st.integers(1, 600)))
        phases = random.uniform(0, np.pi) * np.arange(shape[1]) + random.uniform(0, 6, (channels, 1))
        piece = {
            "noise": random.standard_normal(shape),
            "tone": np.sin(phases),
            "clicks": random.standard_normal(shape) * (random.random(shape) < 0.02),
            "step": np.full(shape, random.choice([-1.0, 1.0])),
            "silence": np.zeros(shape),
        }[kind]
        pieces.append(piece * draw(gains))
    return np.concatenate(pieces, axis=1)


def play(limiter: Limiter, sound: np.ndarray, lengths: list[int]) -> np.ndarray:
    """What comes out when `sound` goes in by calls of `lengths`, again and again."""
    out, at, call = [], 0, 0
    while at < sound.shape[1]:
        samples = lengths[call % len(lengths)]
        out.append(limiter.process(sound[:, at : at + samples]).copy())
        at, call = at + samples, call + 1
    return np.concatenate(out, axis=1)


def delayed(sound: np.ndarray, samples: int) -> np.ndarray:
    """`sound`, as long as it was, `samples` later."""
    return np.pad(sound, ((0, 0), (samples, 0)))[:, : sound.shape[1]]


def slow(sound: np.ndarray, setup: dict[str, Any]) -> np.ndarray:
    """The limiter without true peak, sample by sample, as obvious as it can be."""
    ceiling = float_ceiling(setup["ceiling_db"])
    look_ahead = round(setup["look_ahead_ms"] * setup["rate"] / 1000)
    decay = math.exp(-1000 / (setup["release_ms"] * setup["rate"]))
    width = look_ahead + 1
    power = 2 ** int(math.log2(width))
    weights = np.zeros(width)
    weights[:power] += 1
    weights[width - power :] += 1
    levels = np.abs(sound).max(axis=0)
    envelope = 0.0
    gains = [1.0] * look_ahead
    out = np.zeros_like(sound)
    late = delayed(sound, look_ahead)
    for n in range(sound.shape[1]):
        envelope = max(levels[max(n - look_ahead, 0) : n + 1].max(), decay * envelope)
        gains.append(ceiling / max(envelope, ceiling))
        out[:, n] = late[:, n] * np.average(gains[-width:], weights=weights)
    return np.clip(out, -ceiling, ceiling)


@given(st.data(), setups(), lengths)
@settings(deadline=None, max_examples=150)
def test_no_sample_is_above_the_ceiling_whatever_comes_in(data, setup, lengths):
    sound = data.draw(sounds(setup["channels"]))
    out = play(Limiter(**setup), sound, lengths)
    assert out.shape == sound.shape
    for heard in (out, out.astype(np.float32).astype(np.float64)):
        assert np.abs(heard).max() <= 10 ** (setup["ceiling_db"] / 20)


@given(setups(), seeds)
@settings(deadline=None, max_examples=30)
def test_the_ceiling_holds_for_the_largest_float32_too(setup, seed):
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (setup["channels"], 1000))
    out = play(Limiter(**setup), signs * float(np.finfo(np.float32).max), [64])
    assert np.all(np.isfinite(out))
    assert np.abs(out).max() <= 10 ** (setup["ceiling_db"] / 20)


@given(st.floats(-60, 0))
def test_the_ceiling_is_a_float32_and_not_above_the_one_asked_for(ceiling_db):
    ceiling = float_ceiling(ceiling_db)
    exact = 10 ** (ceiling_db / 20)
    above = float(np.nextafter(np.float32(ceiling), np.float32(2)))
    assert float(np.float32(ceiling)) == ceiling <= exact < above


@given(setups(), lengths, seeds)
@settings(deadline=None)
def test_below_the_ceiling_only_the_delay_is_there(setup, lengths, seed):
    limiter = Limiter(**setup)
    sound = np.random.default_rng(seed).uniform(-1, 1, (setup["channels"], 2000))
    if setup["true_peak"]:
        sound *= float_ceiling(setup["ceiling_db"]) / np.abs(interpolator()).sum(axis=1).max()
    else:
        sound = np.where(np.abs(sound) > 0.99, np.sign(sound), sound) * float_ceiling(setup["ceiling_db"])
    assert np.array_equal(play(limiter, sound, lengths), delayed(sound, limiter.latency))
    assert limiter.limited == 0


@given(setups(), lengths, seeds, st.floats(0, 12))
@settings(deadline=None, max_examples=50)
def test_once_released_only_the_delay_is_there(setup, lengths, seed, exponent):
    setup["release_ms"] = min(setup["release_ms"], 5000 * 1000 / setup["rate"] / 30)  # over within 5,000 samples
    limiter = Limiter(**setup)
    random = np.random.default_rng(seed)
    quiet = random.uniform(-1, 1, (setup["channels"], 8000)) * float_ceiling(setup["ceiling_db"]) * 0.3
    sound = quiet.copy()
    sound[:, :500] *= 10 * 10**exponent
    out = play(limiter, sound, lengths)
    assert limiter.limited > 0
    assert np.array_equal(out[:, -1000:], delayed(sound, limiter.latency)[:, -1000:])


@given(st.data(), setups(), lengths, lengths)
@settings(deadline=None, max_examples=150)
def test_the_same_in_pieces_to_the_bit(data, setup, some, others):
    sound = data.draw(sounds(setup["channels"]))
    if data.draw(st.booleans(), "only just above the ceiling"):
        sound *= 1.0005 * float_ceiling(setup["ceiling_db"]) / max(np.abs(sound).max(), 1e-9)
    assert np.array_equal(play(Limiter(**setup), sound, some), play(Limiter(**setup), sound, others))


@given(st.data(), setups(true_peak=False), lengths)
@settings(deadline=None, max_examples=50)
def test_it_is_what_the_slow_and_obvious_limiter_is(data, setup, lengths):
    sound = data.draw(sounds(setup["channels"]))
    expected = slow(sound, setup)
    assert np.allclose(play(Limiter(**setup), sound, lengths), expected, rtol=1e-9, atol=1e-13)


@given(setups(), lengths, seeds, gains)
@settings(deadline=None)
def test_the_gain_is_one_for_all_channels(setup, lengths, seed, gain):
    setup["channels"] = 2
    random = np.random.default_rng(seed)
    sound = random.standard_normal((1, 1500)) * gain * [[1.0], [random.uniform(-1, 1)]]
    left, right = play(Limiter(**setup), sound, lengths)
    loud, soft = delayed(sound, Limiter(**setup).latency)
    assert np.allclose(left * (soft / gain), right * (loud / gain), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("look_ahead_ms", [0, 2])
def test_the_gain_recovers_by_8_7_db_in_the_release_time(look_ahead_ms):
    rate, release_ms = 48000, 20.0
    limiter = Limiter(1, rate, MOST, release_ms=release_ms, look_ahead_ms=look_ahead_ms)
    sound = np.full((1, rate), 1e-3)
    sound[0, 1000] = 100.0
    gain = play(limiter, sound, [192])[0] / 1e-3
    start, release = 1000 + 2 * limiter.latency + 10, round(release_ms * rate / 1000)
    rise_db = 20 * np.log10(gain[start + release] / gain[start])
    assert rise_db == pytest.approx(20 * math.log10(math.e), abs=0.02)


@given(st.integers(1, 300), st.floats(1, 12))
@settings(deadline=None)
def test_with_look_ahead_the_gain_arrives_on_a_ramp(look_ahead, exponent):
    limiter = Limiter(1, 48000, MOST, look_ahead_ms=look_ahead / 48)
    assert limiter.latency == look_ahead
    sound = np.full((1, 1500), 1e-3)
    sound[0, 700] = 10**exponent
    gain = play(limiter, sound, [64])[0] / delayed(sound, look_ahead)[0].clip(1e-3)
    fall = -np.diff(gain[look_ahead : 701 + look_ahead])
    assert gain[699] == 1
    assert fall.max() <= 2 / look_ahead
    assert gain[700 + look_ahead] * sound[0, 700] <= float_ceiling(-1) * (1 + 1e-12)


@given(st.integers(HELD + RAMP, 300))
@settings(deadline=None, max_examples=30)
def test_the_gain_of_a_true_peak_is_held_over_its_neighbours(look_ahead):
    limiter = Limiter(1, 48000, MOST, release_ms=1, look_ahead_ms=look_ahead / 48, true_peak=True)
    sound = np.full((1, 1500), 1e-3)
    sound[0, 700] = 100.0
    gain = (play(limiter, sound, [64])[0] / delayed(sound, limiter.latency)[0].clip(1e-3))[limiter.latency :]
    least = float_ceiling(-1) / 100
    assert np.allclose(gain[700 - HELD : 701 + HELD], least, rtol=1e-9, atol=0)
    assert gain[700 - HELD - 1] > least * (1 + 1e-6)
    assert gain[700 + HELD + 1] > least * (1 + 1e-6)


@given(setups(true_peak=False), lengths, seeds)
@settings(deadline=None)
def test_up_to_the_first_peak_only_the_delay_is_there(setup, lengths, seed):
    limiter = Limiter(**setup)
    ceiling = float_ceiling(setup["ceiling_db"])
    random = np.random.default_rng(seed)
    sound = np.minimum(random.uniform(0, 2, (setup["channels"], 1000)), 1) * ceiling  # half of it just at the ceiling
    sound[:, 700] = 10 * ceiling
    assert np.array_equal(play(limiter, sound, lengths)[:, :700], delayed(sound, limiter.latency)[:, :700])


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=100), st.integers(1, 60))
def test_sliding_by_doubling_sees_every_neighbour(tail, length):
    values = np.concatenate([np.zeros(length - 1), tail])
    scratch = np.zeros((2, values.size))
    windows = np.lib.stride_tricks.sliding_window_view(values, length)
    assert np.array_equal(slide(np.maximum, values, length, scratch), windows.max(axis=1))
    assert np.array_equal(slide(np.add, np.ones_like(values), length, scratch), [slide_weight(length)] * len(tail))


def hostile(rate_fraction: float, phase: float, seed: int, kind: str, level: float) -> np.ndarray:
    """(1, 4000): sounds whose curve goes well above their samples."""
    random = np.random.default_rng(seed)
    time = np.arange(4000)
    tone = np.sin(2 * np.pi * (rate_fraction * time + phase))
    sound = {
        "tone": tone,
        "bursts": np.where(time // 500 % 2, tone, 0.8 / level * np.sin(np.pi / 2 * time + np.pi / 4)),
        "noise": random.standard_normal(4000),
        "signs": random.choice([-1.0, 1.0], 4000),
        "clicks": random.standard_normal(4000) * (random.random(4000) < 0.02),
        "matched": np.where(time // 40 % 3 == 1, np.sign(np.sinc(time % 40 - 19.5)), 0.0),
    }[kind]
    return sound[None] * level


@given(
    setups(true_peak=True),
    st.sampled_from([1 / 4, 1 / 3, 1 / 6, 1 / 8, 0.2, 0.249, 0.4, 0.45, 0.5]) | st.floats(0, 0.5),
    st.sampled_from([1 / 8, 0, 1 / 4]) | st.floats(0, 1),
    seeds,
    st.sampled_from(["tone", "bursts", "noise", "signs", "clicks", "matched"]),
    st.sampled_from([1.0, 1.4, 3.0, 1e12]) | gains,
)
@settings(deadline=None, max_examples=200)
def test_the_true_peak_is_at_most_a_third_of_a_decibel_above_the_ceiling(setup, fraction, phase, seed, kind, level):
    setup["channels"] = 1
    limiter = Limiter(**setup)
    out = play(limiter, np.pad(hostile(fraction, phase, seed, kind, level), ((0, 0), (0, 400))), [64, 176, 177])
    over_db = 20 * np.log10(np.abs(resample_poly(out[0], 4, 1)).max() + 1e-300) - setup["ceiling_db"]
    assert over_db <= 0.3


def test_a_quarter_rate_tone_is_limited_only_when_true_peaks_are():
    # The samples of the tone reach -3.2 dB, its curve -0.2 dB.
    tone = 0.98 * np.sin(np.pi / 2 * np.arange(4800) + np.pi / 4)[None]
    plain, true = Limiter(1, 48000, MOST, look_ahead_ms=1), Limiter(1, 48000, MOST, look_ahead_ms=1, true_peak=True)
    assert np.array_equal(play(plain, tone, [64]), delayed(tone, plain.latency))
    assert true.latency == plain.latency + TAPS // 2
    steady = np.abs(resample_poly(play(true, tone, [64])[0], 4, 1))[4000:-4000].max()
    assert 20 * math.log10(steady) == pytest.approx(-1, abs=0.05)


@pytest.mark.parametrize("phase", [1, 2])
def test_no_sound_at_all_hides_a_third_of_a_decibel_from_the_interpolator(phase):
    """The most that resample_poly can see of a sound in which the interpolator sees 1, by linear programming."""
    samples = 48
    seen = [np.pad(taps, (at, samples - TAPS - at)) for at in range(samples - TAPS + 1) for taps in interpolator()]
    meter = 4 * firwin(2 * 40 + 1, 1 / 4, window=("kaiser", 5.0))[phase::4]
    asked = np.pad(meter, (14, samples - 14 - meter.size))
    bounds = np.concatenate([seen, np.negative(seen)])
    worst = linprog(-asked, A_ub=bounds, b_ub=np.ones(len(bounds)), bounds=(-1, 1))
    assert worst.success
    assert 20 * math.log10(-worst.fun) <= 0.3


@given(st.data(), setups(), lengths)
@settings(deadline=None, max_examples=50)
def test_reset_means_new(data, setup, lengths):
    sound = data.draw(sounds(setup["channels"]))
    used, new = Limiter(**setup), Limiter(**setup)
    play(used, data.draw(sounds(setup["channels"])), lengths)
    used.reset()
    assert used.limited == 0
    assert np.array_equal(play(used, sound, lengths), play(new, sound, lengths))
    assert used.limited == new.limited


@given(setups(), lengths)
@settings(deadline=None)
def test_silence_in_silence_out(setup, lengths):
    limiter = Limiter(**setup)
    assert not play(limiter, np.zeros((setup["channels"], 1000)), lengths).any()
    assert limiter.limited == 0


@given(st.data(), setups(), lengths)
@settings(deadline=None, max_examples=50)
def test_what_comes_in_is_not_changed(data, setup, lengths):
    sound = data.draw(sounds(setup["channels"]))
    kept = sound.copy()
    play(Limiter(**setup), sound, lengths)
    assert np.array_equal(sound, kept)


def test_it_counts_the_calls_that_reduced_the_gain():
    limiter = Limiter(1, 48000, 64, release_ms=1)
    quiet, loud = np.full((1, 64), 0.1), np.full((1, 64), 1.0)
    for samples, limited in [(quiet, 0), (loud, 1), (loud, 2), (quiet, 3), (quiet, 3), (quiet, 3)]:
        limiter.process(samples)
        assert limiter.limited == limited


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("level", [1e-3, 0.5, 10.0])
@pytest.mark.parametrize(("look_ahead_ms", "true_peak"), [(0, False), (5, False), (5, True)])
def test_a_call_makes_no_arrays(channels, level, look_ahead_ms, true_peak):
    limiter = Limiter(channels, 48000, MOST, look_ahead_ms=look_ahead_ms, true_peak=true_peak)
    sound = np.random.default_rng(1).uniform(-level, level, (channels, 3 * MOST))
    calls = [sound[:, 3 : 3 + samples] for samples in (MOST, 64, 176, 177)] * 30
    for samples in calls:
        limiter.process(samples)
    tracemalloc.start()
    try:
        for samples in calls:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            limiter.process(samples)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < 1536
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"channels": 0}, "channels=0"),
        ({"rate": 0}, "rate=0"),
        ({"max_samples": 0}, "max_samples=0"),
        ({"ceiling_db": 0.1}, "ceiling_db"),
        ({"ceiling_db": math.nan}, "ceiling_db"),
        ({"release_ms": 0}, "release_ms"),
        ({"release_ms": math.inf}, "release_ms"),
        ({"look_ahead_ms": -1}, "look_ahead_ms"),
        ({"true_peak": True}, "look_ahead_ms of at least 1.0,"),
    ],
)
def test_what_it_cannot_do_it_refuses_by_name(wrong, says):
    with pytest.raises(ConfigError, match=says):
        Limiter(**{"channels": 1, "rate": 16000, "max_samples": 64} | wrong)


@given(st.integers(8000, 96000))
def test_the_look_ahead_it_asks_for_is_enough(rate):
    with pytest.raises(ConfigError) as refusal:
        Limiter(1, rate, 64, true_peak=True)
    asked = float(str(refusal.value).split("at least ")[1].split(",")[0])
    assert Limiter(1, rate, 64, look_ahead_ms=asked, true_peak=True).latency >= HELD + RAMP + TAPS // 2
