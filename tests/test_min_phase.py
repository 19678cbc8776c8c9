"""The laws of minimum-phase filters: the mask's magnitude, the phase that follows from it, the same in pieces."""

import itertools

import numpy as np
import pytest
from fakes import FRONT
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import front_ends, noise, partitions, rates, seeds

from streamsep.arrays import Array
from streamsep.errors import ConfigError
from streamsep.models.subject import memory_of
from streamsep.realtime import min_phase
from streamsep.realtime.line import Line
from streamsep.realtime.min_phase import EDGE, FEWEST_TAPS, FLOOR, MOST_TAPS, TOP, FadingFilter, MinimumPhase
from streamsep.realtime.stft import FrontEnd

BINS_HZ = np.linspace(0, 8000, FRONT.bins)
tap_counts = st.integers(FEWEST_TAPS, MOST_TAPS)


def filters(masks: Array, rate: int = 16_000, taps: int = 128, front: FrontEnd = FRONT) -> Array:
    """(rows, bins) -> (rows, taps)."""
    return MinimumPhase(len(masks), front, rate, taps).process(masks).copy()


def hilly(seed: int, width_hz: float, rows: int = 3, depth_db: float = 30.0) -> Array:
    """(rows, bins): hills of this width and wider, from 0 dB down to -depth_db."""
    random = np.random.default_rng(seed)
    logs = [
        sum(random.normal() * np.cos(np.pi * BINS_HZ / width_hz / k + random.uniform(0, 6)) for k in (1, 1.7, 3))
        for _ in range(rows)
    ]
    return np.stack([10 ** (depth_db / 20 * (log - log.max()) / np.ptp(log)) for log in logs])


def rough(seed: int, rows: int = 20) -> Array:
    """(rows, bins): each bin for itself, from nothing to all; some bins have nothing at all."""
    random = np.random.default_rng(seed)
    masks = random.uniform(0, 1, (rows, FRONT.bins)) ** random.uniform(0, 6, (rows, 1))
    return masks * (random.random(masks.shape) < 0.9)


def response(taps: Array, rate: int, hz: Array) -> Array:
    """(rows, taps) -> (rows, hz), complex."""
    return taps @ np.exp(-2j * np.pi * np.outer(np.arange(taps.shape[1]), hz) / rate)


# ---------------------------------------------------------------------------------------------------------- the taps


@given(rate=st.integers(8000, 192_000), taps=tap_counts, front=st.one_of(st.just(FRONT), front_ends()))
@settings(max_examples=40, deadline=None)
def test_a_mask_of_ones_is_the_unit_impulse_to_the_bit(rate: int, taps: int, front: FrontEnd) -> None:
    unit = np.zeros((2, taps))
    unit[:, 0] = 1
    np.testing.assert_array_equal(filters(np.ones((2, front.bins)), rate, taps, front), unit)


@given(rate=rates, taps=tap_counts, gain_db=st.floats(-120, 24))
@settings(max_examples=40, deadline=None)
def test_an_even_mask_is_a_gain_and_nothing_else(rate: int, taps: int, gain_db: float) -> None:
    gain = 10 ** (gain_db / 20)
    found = filters(np.full((1, FRONT.bins), gain), rate, taps)[0]
    assert found[0] == pytest.approx(gain, rel=1e-12)
    assert np.abs(found[1:]).max() <= 1e-12 * gain


def test_a_mask_of_nothing_is_silence_to_the_bit() -> None:
    assert not filters(np.zeros((1, FRONT.bins))).any()


@given(
    seed=seeds,
    setup=st.one_of(
        st.tuples(st.sampled_from([8_000, 16_000]), tap_counts),
        st.tuples(st.sampled_from([44_100, 48_000]), st.just(MOST_TAPS)),
    ),
)
@settings(max_examples=40, deadline=None)
def test_the_filter_has_the_magnitude_of_a_mask_that_its_taps_can_follow(seed: int, setup: tuple[int, int]) -> None:
    rate, taps = setup
    masks = hilly(seed, width_hz=6 * rate / taps)
    hz = np.linspace(0, min(rate / 2, 8000 if rate == 16_000 else 4000), 100)  # far from where a mean goes on
    found = np.abs(response(filters(masks, rate, taps), rate, hz))
    wanted = np.stack([np.interp(hz, BINS_HZ, mask) for mask in masks])
    assert np.abs(20 * np.log10(found / wanted)).max() < 3
    assert np.ptp(20 * np.log10(wanted), axis=1).max() > 6


@given(seed=seeds, rate=rates, taps=tap_counts)
@settings(max_examples=30, deadline=None)
def test_its_phase_is_the_one_that_follows_from_its_magnitude(seed: int, rate: int, taps: int) -> None:
    """The definition: the cepstrum of the whole response, phase and all, has nothing at negative times."""
    size = 64 * MOST_TAPS
    for found in filters(hilly(seed, width_hz=4 * rate / taps), rate, taps):
        cepstrum = np.fft.irfft(np.log(np.abs(np.fft.rfft(found, size))))
        cepstrum[1 : size // 2] *= 2
        cepstrum[size // 2 + 1 :] = 0
        least_late = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))
        assert np.linalg.norm(least_late[:taps] - found) < 1e-3 * np.linalg.norm(found)


@given(seed=seeds, rate=st.sampled_from([32_000, 44_100, 48_000, 96_000, 192_000]))
@settings(max_examples=20, deadline=None)
def test_above_the_models_band_the_mean_of_its_top_goes_on(seed: int, rate: int) -> None:
    masks = hilly(seed, width_hz=1500)
    top = (BINS_HZ >= TOP * 8000) & (BINS_HZ < EDGE * 8000)
    wanted = np.exp(np.log(masks[:, top]).mean(axis=1))
    taps = filters(masks, rate, MOST_TAPS)
    found = np.abs(response(taps, rate, np.linspace(8000 + 2 * rate / MOST_TAPS, rate / 2, 50)))
    assert np.abs(20 * np.log10(found / wanted[:, None])).max() < 1.5
    beyond = masks.copy()
    beyond[:, BINS_HZ >= EDGE * 8000] *= 0.5  # nobody listens to what the resampler folds there
    np.testing.assert_allclose(filters(beyond, rate, MOST_TAPS), taps, atol=1e-12)


@given(seed=seeds, rate=rates, taps=tap_counts)
@settings(max_examples=30, deadline=None)
def test_a_hole_is_never_deeper_than_the_floor(seed: int, rate: int, taps: int) -> None:
    masks = rough(seed)
    floored = np.maximum(masks, FLOOR * masks.max(axis=1, keepdims=True))
    np.testing.assert_allclose(filters(masks, rate, taps), filters(floored, rate, taps), rtol=0, atol=1e-12)
    assert (floored != masks).any()


@given(seed=seeds, rate=rates, taps=tap_counts)
@settings(max_examples=20, deadline=None)
def test_the_transform_is_long_enough(seed: int, rate: int, taps: int) -> None:
    masks = rough(seed)
    found = filters(masks, rate, taps)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(min_phase, "OVERSIZE", 64)
        exact = filters(masks, rate, taps)
    assert np.linalg.norm(found - exact, axis=1).max() < 1e-4 * np.linalg.norm(exact, axis=1).min()


def test_a_window_without_a_bin_to_go_on_from_is_refused() -> None:
    with pytest.raises(ConfigError, match="window: 4 samples are too few"):
        MinimumPhase(1, FrontEnd(16_000, 4, 4, 2), 48_000, 64)
    MinimumPhase(1, FrontEnd(16_000, 4, 4, 2), 16_000, 64)


@pytest.mark.parametrize("taps", [FEWEST_TAPS - 1, MOST_TAPS + 1, 0, -64])
def test_too_few_and_too_many_taps_are_refused(taps: int) -> None:
    with pytest.raises(ConfigError, match=f"taps: must be from 64 to 256, got {taps}"):
        MinimumPhase(1, FRONT, 16_000, taps)


# -------------------------------------------------------------------------------------------------------- the filter


class Played:
    """A filter on its own line: sound by blocks, other taps at every hop."""

    def __init__(self, taps: Array, hop: int, channels: int) -> None:
        """taps: (hops, rows, taps)."""
        _, rows, length = taps.shape
        self._taps, self._hop, self._at = taps, hop, 0
        self._line = Line(channels, length - 1, hop, run=length)
        self._filter = FadingFilter(rows, channels, length, hop)
        self._filter.be(taps[0])

    def process(self, block: Array) -> Array:
        """(channels, samples) -> (rows, channels, samples)."""
        heard = [np.zeros((self._taps.shape[1], *block.shape))[:, :, :0]]
        while block.shape[1]:
            if self._at % self._hop == 0:
                self._filter.aim(self._taps[self._at // self._hop])
            piece = block[:, : self._hop - self._at % self._hop]
            self._line.extend(piece.shape[1])[:] = piece
            heard.append(self._filter.process(self._line, piece.shape[1]).copy())
            self._at += piece.shape[1]
            block = block[:, piece.shape[1] :]
        return np.concatenate(heard, axis=2)


def slow_and_obvious(taps: Array, hop: int, sound: Array) -> Array:
    """(hops, rows, taps), (channels, samples) -> (rows, channels, samples)."""
    _, rows, length = taps.shape
    padded = np.pad(sound, ((0, 0), (length - 1, 0)))
    out = np.zeros((rows, *sound.shape))
    for n in range(sound.shape[1]):
        hop_number, place = divmod(n, hop)
        weight = 0.5 - 0.5 * np.cos(np.pi * min(1, (place + 1) / (hop // 2 + 1)))
        now = taps[hop_number] * weight + taps[max(0, hop_number - 1)] * (1 - weight)
        out[:, :, n] = now @ padded[:, n : n + length][:, ::-1].T
    return out


@given(
    data=st.data(),
    seed=seeds,
    rows=st.integers(1, 3),
    channels=st.integers(1, 2),
    hop=st.integers(2, 200),
    length=tap_counts,
)
@settings(max_examples=40, deadline=None)
def test_any_partition_gives_the_same_samples_to_the_bit(
    data: st.DataObject, seed: int, rows: int, channels: int, hop: int, length: int
) -> None:
    taps = np.random.default_rng(seed).normal(size=(9, rows, length))
    sound = np.atleast_2d(noise(seed, 9 * hop, channels).T).astype(np.float64)
    whole = Played(taps, hop, channels).process(sound)
    np.testing.assert_allclose(whole, slow_and_obvious(taps, hop, sound), atol=1e-12 * length)
    player, at, pieces = Played(taps, hop, channels), 0, []
    for size in data.draw(partitions(9 * hop)):
        pieces.append(player.process(sound[:, at : at + size]))
        at += size
    np.testing.assert_array_equal(np.concatenate(pieces, axis=2), whole)


@given(seed=seeds, hop=st.integers(2, 200), length=tap_counts)
@settings(max_examples=20, deadline=None)
def test_fading_into_itself_changes_nothing(seed: int, hop: int, length: int) -> None:
    taps = np.random.default_rng(seed).normal(size=(1, 1, length)).repeat(8, axis=0)
    sound = np.random.default_rng(seed).normal(size=(1, 8 * hop))
    steady = FadingFilter(1, 1, length, 8 * hop)
    steady.be(taps[0])
    line = Line(1, length - 1, 8 * hop, run=length)
    line.extend(8 * hop)[:] = sound
    np.testing.assert_array_equal(Played(taps, hop, 1).process(sound), steady.process(line, 8 * hop))


@given(seed=seeds, length=tap_counts, after=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_silence_is_silent_as_soon_as_the_taps_are_past_the_sound(seed: int, length: int, after: int) -> None:
    taps = np.random.default_rng(seed).normal(size=(12, 1, length))
    sound = np.zeros((1, 12 * 64))
    sound[:, after : after + 50] = 1
    heard = Played(taps, 64, 1).process(sound)[0, 0]
    assert not heard[:after].any()
    assert heard[after]
    assert not heard[after + 50 + length - 1 :].any()


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (48_000, 2)])
def test_a_hop_takes_next_to_no_memory_and_keeps_none(rate: int, channels: int) -> None:
    hop, rows = 64 * rate // 16_000, 3
    design, line = MinimumPhase(rows, FRONT, rate, MOST_TAPS), Line(channels, MOST_TAPS - 1, hop, run=MOST_TAPS)
    through = FadingFilter(rows, channels, MOST_TAPS, hop)
    masks = itertools.cycle(rough(0, 30).reshape(10, rows, -1))
    sound = np.random.default_rng(0).normal(size=(channels, hop))

    def run() -> None:
        through.aim(design.process(next(masks)))
        line.extend(hop)[:] = sound
        through.process(line, hop)

    memory = memory_of(run, 500)
    assert memory.peak < 4096
    assert memory.kept < 1024
