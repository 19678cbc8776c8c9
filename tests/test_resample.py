"""The laws of the resamplers: exact delay, clean bands, and the same bits at any time and in any company."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep.arrays import Samples
from streamsep.errors import ConfigError
from streamsep.realtime.resample import Downsampler, HopSchedule, Upsampler, branches, low_pass

MODEL_RATE = 16000
HOP = 64
SLOWER = [8000, 11025, 12000]
FASTER = [22050, 32000, 44100, 48000, 96000, 192000]
PEAK_RATES = [8000, 11025, 22050, 32000, 44100, 48000, 96000, 192000]

rates = st.sampled_from(SLOWER + FASTER)
hops = st.sampled_from([1, 7, 32, 64, 100])
seeds = st.integers(0, 2**32 - 1)


def device_samples(schedule: HopSchedule, hops: int) -> int:
    return sum(schedule.length(t) for t in range(hops))


def run_down(down: Downsampler, schedule: HopSchedule, samples: Samples, hops: int) -> Samples:
    """(lanes, samples of `hops` hops) -> (lanes, hops * hop)."""
    ends = np.cumsum([schedule.length(t) for t in range(hops)])
    return np.concatenate([down.process(piece).copy() for piece in np.split(samples, ends, axis=1)[:hops]], axis=1)


def run_up(up: Upsampler, schedule: HopSchedule, samples: Samples) -> Samples:
    """(lanes, whole hops) -> (lanes, samples of as many hops)."""
    pieces = np.split(samples, samples.shape[1] // schedule.hop, axis=1)
    return np.concatenate([up.process(piece).copy() for piece in pieces], axis=1)


def there_and_back(schedule: HopSchedule, samples: Samples, hops: int) -> tuple[Samples, int]:
    """Through both, with the extra ticks that make the delay whole; and that delay in device samples."""
    down = Downsampler(len(samples), schedule)
    up = Upsampler(len(samples), schedule, -(down.delay_ticks + schedule.filter_ticks) % schedule.up)
    delay, rest = divmod(down.delay_ticks + up.delay_ticks, schedule.up)
    assert rest == 0
    return run_up(up, schedule, run_down(down, schedule, samples, hops)), delay


def sines(frequencies: Samples, rate: int, count: int, phase: float = 0.0) -> Samples:
    """(sines,) in Hz -> (1, count): their sum, each of amplitude 1."""
    angles = 2 * np.pi * np.outer(frequencies, np.arange(count)) / rate + phase
    return np.asarray(np.sin(angles).sum(axis=0, keepdims=True))


def decibels(ratio: float) -> float:
    return 20 * math.log10(max(ratio, 1e-20))


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


@given(rate=st.integers(80, 1920), model=st.sampled_from([8000, 16000, 48000]), hop=hops, t=st.integers(0, 10**7))
def test_a_hop_is_as_long_as_from_its_beginning_to_the_next(rate: int, model: int, hop: int, t: int) -> None:
    schedule = HopSchedule(rate * 100, model, hop)
    ratio = Fraction(hop * rate * 100, model)
    assert schedule.length(t) == math.ceil((t + 1) * ratio) - math.ceil(t * ratio)
    assert schedule.longest - 1 <= schedule.length(t) <= schedule.longest == schedule.length(0)
    assert schedule.lead(t) == (math.ceil(t * ratio) - t * ratio) * schedule.up
    assert Fraction(schedule.down, schedule.up) == Fraction(rate * 100, model)


@given(rate=rates, hop=hops, count=st.integers(0, 300))
def test_the_lengths_add_up_to_the_beginning_of_the_next_hop(rate: int, hop: int, count: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, hop)
    assert device_samples(schedule, count) == math.ceil(Fraction(count * hop * rate, MODEL_RATE))


@pytest.mark.parametrize(
    ("rate", "model_rate", "hop"),
    [
        (7999, 16000, 64),
        (192001, 16000, 64),
        (16000, 4000, 64),
        (44101, 16000, 64),
        (48000, 16000, 0),
        (48000, 16000, 16001),
        (48000.0, 16000, 64),
        (48000, 16000, 64.5),
        ("48000", 16000, 64),
        (float("nan"), 16000, 64),
    ],
)
def test_rates_and_hops_that_make_no_sense_are_refused(rate: int, model_rate: int, hop: int) -> None:
    with pytest.raises(ConfigError):
        HopSchedule(rate, model_rate, hop)


def test_equal_rates_and_impossible_delays_are_refused() -> None:
    equal, unequal = HopSchedule(16000, 16000, 64), HopSchedule(48000, 16000, 64)
    assert equal.length(3) == 64
    with pytest.raises(ConfigError, match="nothing to resample"):
        Downsampler(1, equal)
    with pytest.raises(ConfigError, match="nothing to resample"):
        Upsampler(1, equal, 0)
    for extra in (-1, 0.5):
        with pytest.raises(ConfigError, match="extra_ticks"):
            Upsampler(1, unequal, extra)  # type: ignore[arg-type]


def weighted_sums(samples: Samples, prototype: Samples, spacing: int, ticks: list[int]) -> Samples:
    """The slow, obvious resampler: (inputs,), inputs `spacing` ticks apart -> (len(ticks),).

    The weights of an output are those of every input it could hear, so that silence before the first one counts too.
    """
    sums = []
    for tick in ticks:
        ages = tick - spacing * np.arange(len(samples))
        seen = (ages >= 0) & (ages < len(prototype))
        sums.append(prototype[ages[seen]] @ samples[seen] / prototype[tick % spacing :: spacing].sum())
    return np.array(sums)


@settings(max_examples=40, deadline=None)
@given(rate=rates, hop=hops, extra=st.integers(0, 700), seed=seeds)
def test_both_resamplers_equal_the_weighted_sums_they_stand_for(rate: int, hop: int, extra: int, seed: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, hop)
    count = -(-200 // hop)
    random = np.random.default_rng(seed)

    down = Downsampler(1, schedule)
    sound = random.standard_normal((1, device_samples(schedule, count)))
    ticks = [k * schedule.down for k in range(count * hop)]
    expected = weighted_sums(sound[0], low_pass(schedule, down.delay_ticks), schedule.up, ticks)
    np.testing.assert_allclose(run_down(down, schedule, sound, count)[0], expected, rtol=0, atol=1e-13)

    up = Upsampler(1, schedule, extra)
    assert up.delay_ticks == down.delay_ticks + extra
    sound = random.standard_normal((1, count * hop))
    ticks = [n * schedule.up for n in range(device_samples(schedule, count))]
    expected = weighted_sums(sound[0], low_pass(schedule, up.delay_ticks), schedule.down, ticks)
    np.testing.assert_allclose(run_up(up, schedule, sound)[0], expected, rtol=0, atol=1e-13)


@settings(max_examples=60, deadline=None)
@given(rate=st.sampled_from(PEAK_RATES), at=st.integers(0, 400))
def test_an_impulse_comes_back_after_exactly_the_declared_delay(rate: int, at: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    count = 8 + math.ceil(at / schedule.length(1))
    sound = np.zeros((1, device_samples(schedule, count)))
    sound[0, at] = 1
    back, delay = there_and_back(schedule, sound, count)
    assert int(np.argmax(np.abs(back[0]))) == at + delay


@pytest.mark.parametrize("rate", SLOWER + FASTER)
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_what_both_rates_can_carry_comes_back_unchanged(rate: int, seed: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    count = 40
    random = np.random.default_rng(seed)
    frequencies = random.uniform(20, 0.8 * min(rate, MODEL_RATE) / 2, 10)
    sound = sines(frequencies, rate, device_samples(schedule, count), random.uniform(0, 6))
    back, delay = there_and_back(schedule, sound, count)
    settled = 2 * delay
    wanted = sound[:, settled : sound.shape[1] - delay]
    assert decibels(rms(back[:, settled + delay :] - wanted) / rms(wanted)) <= -60


@settings(max_examples=100, deadline=None)
@given(rate=st.sampled_from(FASTER), place=st.floats(0, 1), phase=st.floats(0, 6))
def test_the_downsampler_stops_what_the_model_cannot_carry(rate: int, place: float, phase: float) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    lowest, highest = 1.125 * MODEL_RATE / 2, rate / 2
    frequency = np.array([lowest + place * (highest - lowest)])
    sound = sines(frequency, rate, device_samples(schedule, 10), phase)
    below = run_down(Downsampler(1, schedule), schedule, sound, 10)[:, 2 * HOP :]
    assert decibels(float(np.abs(below).max())) <= -60


@settings(max_examples=100, deadline=None)
@given(rate=st.sampled_from(SLOWER), place=st.floats(0, 1), phase=st.floats(0, 6))
def test_the_upsampler_stops_what_a_slower_device_cannot_carry(rate: int, place: float, phase: float) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    lowest, highest = 1.125 * rate / 2, MODEL_RATE / 2
    sound = sines(np.array([lowest + place * (highest - lowest)]), MODEL_RATE, 10 * HOP, phase)
    below = run_up(Upsampler(1, schedule, 0), schedule, sound)[:, 2 * HOP :]
    assert decibels(float(np.abs(below).max())) <= -60


def without(frequency: float, rate: int, samples: Samples) -> Samples:
    """What is left of (samples,) when the best-fitting sine of that frequency is taken away."""
    angle = 2 * np.pi * frequency / rate * np.arange(len(samples))
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(samples - basis @ np.linalg.lstsq(basis, samples)[0])


@settings(max_examples=100, deadline=None)
@given(rate=rates, place=st.floats(0.01, 0.875), phase=st.floats(0, 6), share=st.floats(0, 1, exclude_max=True))
def test_going_to_the_faster_side_leaves_no_images(rate: int, place: float, phase: float, share: float) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    slow, fast = sorted((rate, MODEL_RATE))
    frequency = place * slow / 2
    sound = sines(np.array([frequency]), slow, device_samples(schedule, 24) if rate == slow else 24 * HOP, phase)
    if rate == fast:
        above = run_up(Upsampler(1, schedule, int(share * schedule.up)), schedule, sound)[0]
    else:
        above = run_down(Downsampler(1, schedule), schedule, sound, 24)[0]
    settled = above[len(above) // 4 :]
    assert decibels(rms(without(frequency, fast, settled)) / rms(settled)) <= -60


@pytest.mark.parametrize("rate", SLOWER + FASTER)
def test_a_constant_stays_the_same_constant_in_every_phase(rate: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    for phases in (schedule.up, schedule.down):
        rows = branches(low_pass(schedule, schedule.filter_ticks), phases)
        assert len(rows) == phases
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-14)
    below = run_down(Downsampler(1, schedule), schedule, np.ones((1, device_samples(schedule, 20))), 20)
    above = run_up(Upsampler(1, schedule, 0), schedule, np.ones((1, 20 * HOP)))
    np.testing.assert_allclose(below[:, 2 * HOP :], 1, rtol=0, atol=1e-13)
    np.testing.assert_allclose(above[:, above.shape[1] // 10 :], 1, rtol=0, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(rate=rates, hop=hops, seed=seeds, before=st.integers(1, 7))
def test_reset_means_new_to_the_bit(rate: int, hop: int, seed: int, before: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, hop)
    random = np.random.default_rng(seed)
    device = random.standard_normal((2, device_samples(schedule, 9)))
    model = random.standard_normal((2, 9 * hop))
    down, up = Downsampler(2, schedule), Upsampler(2, schedule, 0)
    run_down(down, schedule, 1e9 * device, before)
    run_up(up, schedule, 1e9 * model[:, : before * hop])
    down.reset()
    up.reset()
    new_down, new_up = Downsampler(2, schedule), Upsampler(2, schedule, 0)
    assert np.array_equal(run_down(down, schedule, device, 9), run_down(new_down, schedule, device, 9))
    assert np.array_equal(run_up(up, schedule, model), run_up(new_up, schedule, model))


@settings(max_examples=30, deadline=None)
@given(rate=rates, hop=hops, lanes=st.integers(2, 5), seed=seeds)
def test_a_lane_sounds_the_same_alone_and_in_company(rate: int, hop: int, lanes: int, seed: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, hop)
    random = np.random.default_rng(seed)
    device = random.standard_normal((lanes, device_samples(schedule, 9)))
    model = random.standard_normal((lanes, 9 * hop))
    below = run_down(Downsampler(lanes, schedule), schedule, device, 9)
    above = run_up(Upsampler(lanes, schedule, 0), schedule, model)
    for lane in range(lanes):
        alone = slice(lane, lane + 1)
        assert np.array_equal(below[alone], run_down(Downsampler(1, schedule), schedule, device[alone], 9))
        assert np.array_equal(above[alone], run_up(Upsampler(1, schedule, 0), schedule, model[alone]))


@settings(max_examples=30, deadline=None)
@given(rate=rates, hop=hops, skipped=st.integers(1, 7), seed=seeds)
def test_skipped_hops_are_hops_of_silence(rate: int, hop: int, skipped: int, seed: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, hop)
    random = np.random.default_rng(seed)
    silent, skipping = Upsampler(1, schedule, 0), Upsampler(1, schedule, 0)
    run_up(silent, schedule, np.zeros((1, (1 + skipped) * hop)))
    skipping.process(random.standard_normal((1, hop)))
    for _ in range(skipped):
        skipping.skip()
    model = random.standard_normal((1, 9 * hop))
    assert np.array_equal(run_up(silent, schedule, model), run_up(skipping, schedule, model))


@settings(max_examples=20, deadline=None)
@given(rate=rates, hop=hops)
def test_the_end_of_a_hop_waits_for_no_later_sample(rate: int, hop: int) -> None:
    """The last output of a hop hears the newest input at or before its own tick: nothing is held back."""
    schedule = HopSchedule(rate, MODEL_RATE, hop)
    down, up = Downsampler(1, schedule), Upsampler(1, schedule, 0)
    newest_seen = (hop - 1) * schedule.down // schedule.up
    sound = np.zeros((1, schedule.length(0)))
    sound[0, newest_seen] = 1
    assert down.process(sound)[0, -1] != 0
    newest_seen = (schedule.length(0) - 1) * schedule.up // schedule.down
    sound = np.zeros((1, hop))
    sound[0, newest_seen] = 1
    assert up.process(sound)[0, -1] != 0


@pytest.mark.parametrize("rate", SLOWER + FASTER)
@pytest.mark.parametrize("lanes", [1, 2])
def test_processing_makes_no_arrays(rate: int, lanes: int) -> None:
    schedule = HopSchedule(rate, MODEL_RATE, HOP)
    down, up = Downsampler(lanes, schedule), Upsampler(lanes, schedule, 0)
    device = np.ones((lanes, schedule.longest))
    model = np.ones((lanes, HOP))

    def hop(index: int) -> None:
        down.process(device[:, : schedule.length(index)])
        up.process(model)

    for index in range(20):
        hop(index)
    tracemalloc.start()
    try:
        for index in range(20, 40):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            hop(index)
            assert tracemalloc.get_traced_memory()[1] - before < 2048
    finally:
        tracemalloc.stop()
