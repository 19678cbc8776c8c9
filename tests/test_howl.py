"""The howling guard: a loop is caught and held, and what only sounds like one is left alone."""

import math

import acoustics
import numpy as np
import pytest
from acoustics import BLOCK, RATE, guarded, loudness, notes, play_in_a_loop, resonance, room, siren, sung, swept
from fakes import Leaky, make_engine
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from strategies import noise, partitions

from streamsep.arrays import Array
from streamsep.errors import ConfigError
from streamsep.models.subject import memory_of
from streamsep.realtime.howl import DUCK, HOLD_S, NOBODY, RISING_DB_S, TRIAL_S, HowlGuard
from streamsep.realtime.tones import HOP_S, Tones, power, rises

CLOSED_S = 1.0  # when the loop is closed
TIME = np.arange(4 * RATE) / RATE
CEILING = 10 ** (-1 / 20)
LOUD_DB = -8.0  # a howl at the ceiling has -4


def closing(gain_db: float):
    return lambda time_s: gain_db if time_s >= CLOSED_S else -20.0


def through(guard: HowlGuard, sound: Array, block: int = BLOCK) -> Array:
    """(samples,) -> (samples,): no loop."""
    heard = sound.astype(np.float32)[:, None]
    for at in range(0, len(heard), block):
        guard.process(heard[at : at + block])
    return heard[:, 0]


# ------------------------------------------------------------------------------------------------------------ loops


@settings(max_examples=10, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    delay_ms=st.floats(2, 60),
    gain_db=st.floats(1.5, 9),
    hz=st.floats(200, 5000),
    near_db=st.floats(-60, -24),
    seed=st.integers(0, 99),
)
def test_a_loop_that_howls_is_caught_and_not_loud_for_long(delay_ms, gain_db, hz, near_db, seed):
    near = 10 ** (near_db / 20) * noise(seed, 8 * RATE, peak=1.0)
    guard, loud_s = HowlGuard(RATE, 1), []
    for callback in (guarded(None), guarded(guard)):
        heard = play_in_a_loop(callback, near, resonance(hz), delay_ms / 1000, closing(gain_db))
        assert np.max(np.abs(heard)) <= CEILING
        loud_s.append(0.05 * np.sum(loudness(heard[round(CLOSED_S * RATE) :]) > LOUD_DB))
    assume(loud_s[0] > 3)  # a narrow resonance between two modes of the loop does not howl
    assert guard.howls >= 1
    assert guard.tone_hz == 0 or abs(guard.tone_hz - hz) < 100
    assert loud_s[1] < 1.5


@pytest.mark.parametrize(("gain_db", "delay_ms", "seed"), [(3.0, 20, 0), (6.0, 45, 1), (10.0, 30, 2)])
def test_without_the_guard_a_room_howls_for_ever_and_with_it_for_a_moment(gain_db, delay_ms, seed):
    near = 0.05 * noise(seed, 10 * RATE, peak=1.0)
    loud = {}
    for guard in (None, HowlGuard(RATE, 1)):
        heard = play_in_a_loop(guarded(guard), near, room(seed), delay_ms / 1000, closing(gain_db))
        loud[guard is not None] = 0.05 * np.sum(loudness(heard[round(CLOSED_S * RATE) :]) > LOUD_DB)
    assert loud[False] > 5.0
    assert loud[True] < 1.5


@pytest.mark.parametrize(("rate", "hz"), [(44_100, 12_000), (48_000, 17_000), (96_000, 19_000)])
@pytest.mark.parametrize("near_db", [-50, -26])
def test_a_howl_is_caught_as_high_as_it_can_be_heard(monkeypatch, rate, hz, near_db):
    monkeypatch.setattr(acoustics, "RATE", rate)
    monkeypatch.setattr(acoustics, "BLOCK", rate // 250)
    near = 10 ** (near_db / 20) * noise(1, 5 * rate, peak=1.0)
    guard = HowlGuard(rate, 1)
    heard = play_in_a_loop(guarded(guard), near, resonance(hz, 300.0), 0.02, closing(6.0))
    assert guard.howls >= 1
    assert guard.tone_hz == 0 or abs(guard.tone_hz - hz) < 300
    assert 0.05 * np.sum(loudness(heard[rate:]) > LOUD_DB) < 1.5


def test_a_start_from_below_finds_a_loop_before_it_is_loud():
    guard = HowlGuard(RATE, 1, start_db=-30)
    near = 0.02 * noise(3, 8 * RATE, peak=1.0)
    heard = play_in_a_loop(guarded(guard), near, room(3), 0.03, lambda time_s: 12.0)
    assert guard.howls >= 1
    assert 0.05 * np.sum(loudness(heard) > LOUD_DB) < 0.5


# ---------------------------------------------------------------------------------------------------------- no loops


HARMLESS = {
    "silence": np.zeros(2 * RATE),
    "a constant tone": 0.5 * np.sin(2 * np.pi * 1000 * TIME),
    "a constant tone just below the ceiling": 0.87 * np.sin(2 * np.pi * 1000 * TIME),
    "a sung vowel": 0.7 * sung(220, 4),
    "a vowel sung louder and louder": sung(196, 4) * np.linspace(0.001, 0.9, 4 * RATE),
    "plucked notes": 0.8 * notes(0.005, 4),
    "bowed notes": 0.8 * notes(0.15, 4),
    "a siren": 0.8 * siren(6),
    "a sweep": 0.8 * swept(100 * 70.0 ** (TIME / TIME[-1])),
    "a sweep that grows": swept(200 * 10.0 ** (TIME / TIME[-1])) * 10 ** (TIME - 4),
    "noise": 0.3 * noise(5, 4 * RATE, peak=1.0),
    "noise that grows": noise(6, 4 * RATE, peak=1.0) * 10 ** (TIME - 4),
    "a hum under noise": 0.3 * np.sin(2 * np.pi * 100 * TIME) + 0.1 * noise(7, 4 * RATE, peak=1.0),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_not_howl_passes_to_the_bit(name):
    sound, guard = HARMLESS[name], HowlGuard(RATE, 1)
    np.testing.assert_array_equal(through(guard, sound), sound.astype(np.float32))
    assert (guard.trials, guard.howls, guard.gain) == (0, 0, 1.0)


@pytest.mark.parametrize("loud_s", [20, 60])
@pytest.mark.parametrize("name", ["a constant tone", "noise"])
def test_talk_after_long_loud_sound_is_no_howl(name, loud_s):
    loud = at_the_ceiling(1.9 * np.tile(HARMLESS[name], math.ceil(loud_s * RATE / len(HARMLESS[name]))))
    time_s = np.arange(20 * RATE) / RATE
    talk = 0.05 * noise(8, 20 * RATE, peak=1.0) * np.clip(np.sin(2 * np.pi * 0.7 * time_s), 0, 1)
    guard = HowlGuard(RATE, 1)
    through(guard, loud)
    howls, heard = guard.howls, through(guard, talk)
    assert guard.howls == howls
    np.testing.assert_array_equal(heard[RATE:], talk[RATE:].astype(np.float32))


def test_a_tone_that_grows_without_a_loop_is_let_go_after_its_trial_and_not_tried_again():
    level_db = np.minimum(-50 + 30 * TIME, -6)
    sound = 10 ** (level_db / 20) * np.sin(2 * np.pi * 1500 * TIME)
    guard = HowlGuard(RATE, 1)
    heard = through(guard, sound)
    assert (guard.trials, guard.howls) == (1, 0)
    ducked_s = np.sum(loudness(heard, 0.01) < loudness(sound, 0.01) - 3) * 0.01
    assert 0.5 * TRIAL_S < ducked_s < TRIAL_S + 0.1
    np.testing.assert_array_equal(heard[-RATE:], sound[-RATE:].astype(np.float32))


def test_what_was_let_go_may_be_suspected_again_once_it_has_faded():
    swell = 10 ** (np.minimum(-50 + 30 * TIME, -6) / 20) * np.sin(2 * np.pi * 1500 * TIME)
    guard = HowlGuard(RATE, 1)
    through(guard, np.concatenate([swell, np.zeros(RATE), swell]))
    assert (guard.trials, guard._cleared != NOBODY) == (2, True)


def at_the_ceiling(sound: Array) -> Array:
    """As a limiter would leave it that cannot get it down: every 10 ms there is a sample at the ceiling."""
    limited = np.clip(sound, -CEILING, CEILING)
    limited[:: RATE // 100] = CEILING
    return limited


@pytest.mark.parametrize("name", ["a constant tone", "noise", "a sung vowel"])
def test_what_stays_at_the_ceiling_is_tried_once_and_let_go(name):
    sound, guard = at_the_ceiling(1.9 * np.tile(HARMLESS[name], 2)), HowlGuard(RATE, 1)
    heard = through(guard, sound)
    assert (guard.trials, guard.howls, guard.gain) == (1, 0, 1.0)
    np.testing.assert_array_equal(heard[-RATE:], sound[-RATE:].astype(np.float32))


# ------------------------------------------------------------------------------------------------------ what it does


class Feeding:
    """A tone that grows by `slope` dB/s where the guard lets it, and dies away where it does not."""

    def __init__(self, guard: HowlGuard, slope: float, least_gain: float) -> None:
        self._guard, self._slope, self._least = guard, slope, least_gain
        self._level, self._phase = 1e-3, 0.0
        self.heard: list[Array] = []

    def play(self, seconds: float) -> Array:
        for _ in range(round(seconds * RATE / BLOCK)):
            feeds = self._guard.gain > self._least
            self._level *= 10 ** ((self._slope if feeds else -400) * BLOCK / RATE / 20)
            self._level = min(max(self._level, 1e-4), 0.89)
            phases = self._phase + 2 * np.pi * 1230 / RATE * np.arange(BLOCK)
            self._phase = phases[-1] + 2 * np.pi * 1230 / RATE
            block = (self._level * np.sin(phases)).astype(np.float32)[:, None]
            self._guard.process(block)
            self.heard.append(block[:, 0])
        return np.concatenate(self.heard)


def test_howling_again_and_again_is_ducked_for_longer_and_held_lower():
    guard = HowlGuard(RATE, 1)
    loop = Feeding(guard, slope=60, least_gain=10 ** (-14 / 20))
    silences, bounds = [], []
    for number in range(1, 4):
        while guard.howls < number:
            loop.play(0.1)
        before = len(loop.heard)
        while guard.gain < 1.01 * DUCK:
            loop.play(BLOCK / RATE)
        silences.append((len(loop.heard) - before) * BLOCK / RATE)
        bounds.append(guard._bound)
    assert abs(guard.tone_hz - 1230) < 25
    assert silences[0] > HOLD_S / 2
    assert np.all(np.diff(silences) > HOLD_S / 2)
    assert np.all(np.diff(20 * np.log10(bounds)) < -4)
    loop.play(15)
    assert guard.howls == 3  # it was brought below where it feeds
    assert 10 ** (-20 / 20) < guard.gain < 10 ** (-14 / 20)  # and creeps up


def test_the_gain_moves_without_a_step():
    guard = HowlGuard(RATE, 1)
    loop = Feeding(guard, slope=60, least_gain=0.5)
    heard = loop.play(8)
    assert guard.howls >= 1
    steepest = 2 * np.pi * 1230 / RATE + 0.5 * np.pi / (HOP_S * RATE)  # of the tone, and of the raised cosine
    assert np.max(np.abs(np.diff(heard))) < 0.9 * steepest


def test_it_begins_as_low_as_it_is_told_and_rises_steadily():
    guard = HowlGuard(RATE, 2, start_db=-30)
    heard = np.full((5 * RATE, 2), 0.5, np.float32)
    guard.process(heard)
    heard *= 2
    level_db = 20 * np.log10(heard[:, 0])
    assert level_db[0] == pytest.approx(-30, abs=0.01)
    assert np.all(np.diff(heard[:, 0]) >= 0)
    assert level_db[RATE] == pytest.approx(-30 + RISING_DB_S, abs=0.5)
    assert np.all(heard[4 * RATE :] == 1)
    np.testing.assert_array_equal(heard[:, 0], heard[:, 1])


@given(st.data())
@settings(max_examples=10, deadline=None)
def test_any_partition_gives_the_same_samples(data):
    count = 2 * RATE
    tone = 10 ** (np.minimum(-45 + 40 * TIME[:count], -3) / 20) * np.sin(2 * np.pi * 700 * TIME[:count])
    sound = np.stack([tone, -tone], axis=1).astype(np.float32)
    whole, pieces = sound.copy(), sound.copy()
    guard, other, at = HowlGuard(RATE, 2, start_db=-6), HowlGuard(RATE, 2, start_db=-6), 0
    guard.process(whole)
    for size in data.draw(partitions(count)):
        other.process(pieces[at : at + size])
        at += size
    assert guard.trials == other.trials == 1
    np.testing.assert_array_equal(pieces, whole)


def test_opposite_channels_do_not_hide_a_tone_from_it():
    tones = Tones(RATE, 2)
    tone = np.sin(2 * np.pi * 2000 * TIME)
    for at in range(0, RATE, tones.hop):
        tones.observe(np.stack([tone, -tone])[:, at : at + tones.hop])
    assert abs(tones.loudest * tones.bin_hz - 2000) < tones.bin_hz
    assert tones.level(tones.loudest) == pytest.approx(2, rel=0.05)
    assert tones.stands_out(tones.loudest)
    tones.look_back(tones.loudest)
    assert tones.even(40) > 0.9999


@given(slope=st.floats(0.05, 10), span=st.integers(1, 28), bend=st.floats(0, 3), level=st.floats(-120, 0))
def test_a_rise_is_one_that_is_steep_enough_and_straight(slope, span, bend, level):
    steps = slope * np.array([1.0, 1.0 + bend, 1.0])
    decibels = level + np.concatenate([[0], np.cumsum(np.repeat(steps, span))])
    steepest, least = span * slope * (1 + bend), span * slope
    if min(abs(least - 3), abs(steepest - 2 * least)) > 1e-6:
        assert rises(power(1) ** decibels, span) == (least > 3 and steepest < 2 * least)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (48_000, 2), (96_000, 1), (8_000, 1)])
def test_it_takes_next_to_no_memory_and_keeps_none_at_any_rate(rate, channels):
    guard = HowlGuard(rate, channels)
    time = np.arange(2 * rate) / rate
    tone = 10 ** (np.minimum(-45 + 40 * time, -3) / 20) * np.sin(2 * np.pi * 700 * time)
    sound = np.repeat(tone.astype(np.float32)[:, None], channels, axis=1)
    blocks = [sound[at : at + 128] for at in range(0, len(sound) - 128, 128)]
    turn = iter(blocks * 9)
    memory = memory_of(lambda: guard.process(next(turn)), 3 * len(blocks))
    assert guard.trials >= 1
    assert memory.peak < 4096
    assert memory.kept < 1024


@pytest.mark.parametrize("start_db", [-41, 1, np.nan])
def test_it_does_not_begin_above_full_gain_or_in_silence(start_db):
    with pytest.raises(ConfigError, match=f"start_db must be from -40 to 0, got {start_db}"):
        HowlGuard(RATE, 1, start_db=start_db)


def test_gains_bound_how_much_louder_anything_becomes():
    most_db = 12.0
    engine = make_engine(Leaky(), gains_db={"talker": most_db, "event": most_db, "talker-2": -40}, ceiling_db=0.0)
    sound = noise(4, 2 * RATE, peak=0.05)
    heard = engine.process(sound).copy()
    spectra = [np.abs(np.fft.rfft(part.reshape(-1, 1600), axis=1)) ** 2 for part in (sound, heard)]
    louder_db = 10 * np.log10(spectra[1].sum() / spectra[0].sum())
    assert most_db - 6 < louder_db <= most_db
