"""What is no sound, and separators that fail: the sound goes on, dry where it must, and forgets what was wrong."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import pytest
from fakes import FRONT, Faulty, Leaky, PassThrough, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, noise, rates, seeds

from streamsep.arrays import Block
from streamsep.models.subject import hear
from streamsep.realtime.cleaning import LOUDEST
from streamsep.realtime.engine import USUAL_BLOCK, Engine

HOP = FRONT.hop
SIGNALING = 0x7FA00000  # bits of a NaN that complains when somebody computes with it
SILENT = {"talker": -120.0, "event": -120.0}
APART = {"talker-1": 0.0, "talker-2": -20.0, "event": -60.0}


def late(engine: Engine, sound: Block) -> Block:
    """The sound as `engine` would be late with it, as long as it was."""
    return np.concatenate([np.zeros_like(sound[: engine.latency.samples]), sound])[: len(sound)]


@settings(max_examples=30, deadline=None)
@given(
    hop=st.integers(5, 30),
    at=st.integers(0, HOP - 1),
    channel=st.integers(0, 1),
    look_ahead=st.integers(0, 4),
    value=st.sampled_from([math.nan, math.inf, -math.inf, SIGNALING]),
)
def test_a_hop_with_a_sample_that_is_no_number_is_heard_dry_and_no_other_one(
    hop: int, at: int, channel: int, look_ahead: int, value: float | int
) -> None:
    sound = noise(2, 50 * HOP, 2)
    broken = sound.copy()
    if isinstance(value, float):
        broken[hop * HOP + at, channel] = value
    else:
        broken.view(np.uint32)[hop * HOP + at, channel] = value
    silent = make_engine(Leaky(look_ahead=look_ahead), channels=2, gains_db=SILENT)
    with warnings.catch_warnings(action="error"):
        heard, sources = hear(silent, broken)
    start = (hop + 1) * HOP - FRONT.synthesis_window + silent.latency.samples
    stop = start + FRONT.synthesis_window
    assert np.abs(heard[start:stop]).max() > 0.01
    assert not heard[:start].any()
    assert not heard[stop:].any()
    clean = sound.copy()
    clean[hop * HOP + at, channel] = 0
    np.testing.assert_allclose(sources.sum(0), late(silent, clean), atol=1e-6)
    middle = slice(start + HOP - 4, start + HOP + 4)  # where that frame alone is heard: an equal share for each
    np.testing.assert_allclose(sources[0][middle], sources[1][middle], atol=0.02)
    assert (silent.counters.non_finite_hops, silent.counters.separator_faults) == (1, 0)


@pytest.mark.parametrize("fault", ["raises", math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("behind", [0, 3])
def test_a_separator_that_fails_is_heard_dry_and_counted_and_recovers(fault: str | float, behind: int) -> None:
    """`behind`: hops by which its masks wait for those of another separator with more look-ahead."""
    sound = noise(1, 120 * HOP)
    separator = Faulty(look_ahead=1)
    engine = make_engine(separator, PassThrough() if not behind else Leaky(look_ahead=4), gains_db=SILENT)
    before, _ = hear(engine, sound[: 40 * HOP])
    separator.fault = fault
    during, sources = engine.process(sound[40 * HOP : 60 * HOP], separate=True)
    during, sources = during.copy(), sources.copy()
    assert 1 <= engine.counters.separator_faults <= 20
    counted = engine.counters.separator_faults
    separator.fault = None
    after = engine.process(sound[60 * HOP :])
    assert not before.any()
    dry = late(engine, sound)[40 * HOP : 60 * HOP]
    assert np.isfinite(during).all()
    assert np.isfinite(sources).all()
    if not behind:  # every hop fails
        assert counted == 20
        np.testing.assert_allclose(during[3 * HOP :], dry[3 * HOP :], atol=1e-6)
        np.testing.assert_allclose(sources[0][3 * HOP :], dry[3 * HOP :] / 3, atol=1e-6)
    assert engine.counters.separator_faults - counted <= behind
    assert not after[20 * HOP :].any()
    assert np.isfinite(separator.state()["mean"]).all()


def play_for_ever(engine: Engine, block: Block) -> None:
    while True:
        engine.process(block)


class Stubborn(Faulty):
    """A Faulty that cannot be reset either, as long as that is set."""

    def reset(self) -> None:
        if self.fault is not None:
            raise ArithmeticError("this separator was told to fail")
        super().reset()


def test_a_separator_that_fails_in_its_reset_too_is_heard_dry_and_counted_and_recovers() -> None:
    sound, separator = noise(1, 150 * HOP), Stubborn()
    engine = make_engine(PassThrough(), separator, gains_db=SILENT, warm_up_ms=0.0, fade_ms=0.0)
    separator.fault = "raises"
    engine.select("b")  # who comes in is reset first
    heard = engine.process(sound[: 50 * HOP]).copy()
    assert engine.domain == "b"
    assert engine.counters.separator_faults >= 48
    np.testing.assert_allclose(heard[20 * HOP :], late(engine, sound)[20 * HOP : 50 * HOP], atol=1e-6)
    engine.reset()
    assert engine.counters.separator_faults == 1
    separator.fault = None
    engine.process(sound[50 * HOP : 100 * HOP])
    assert not engine.process(sound[100 * HOP :]).any()


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    rate=rates,
    channels=channel_counts,
    parts=st.lists(st.sampled_from(["_cleaner", "_controls", "_analysis", "_hand_over", "_limiter"]), min_size=1),
    calls=st.integers(0, 60),
    error=st.sampled_from([MemoryError, KeyboardInterrupt]),
    path=st.sampled_from(["window", "minimum-phase"]),
)
def test_whatever_interrupts_a_block_the_next_one_is_the_first_of_a_new_engine(
    seed: int, rate: int, channels: int, parts: list[str], calls: int, error: type[BaseException], path: str
) -> None:
    sound, block = noise(seed, rate // 2, channels), rate // 100
    engine, other = (make_engine(Leaky(), rate=rate, channels=channels, path=path) for _ in range(2))
    for part in parts:
        name = "take" if part == "_controls" else "process"
        done, at = getattr(getattr(engine, part), name), itertools.count()

        def once(*arguments: object, done: Callable[..., object] = done, at: Iterator[int] = at) -> object:
            if next(at) == calls:
                raise error
            return done(*arguments)

        with mock.patch.object(getattr(engine, part), name, once), pytest.raises(error):
            play_for_ever(engine, sound[:block])
    np.testing.assert_array_equal(engine.process(sound), other.process(sound))
    assert engine.counters == other.counters


@pytest.mark.parametrize("arrays", [0, 1])
def test_where_there_is_no_room_for_a_long_block_there_may_be_later(arrays: int) -> None:
    sound, engine, other = noise(2, 2 * USUAL_BLOCK), make_engine(Leaky()), make_engine(Leaky())
    room = [np.zeros(1)] * arrays
    with mock.patch.object(np, "zeros", side_effect=[*room, MemoryError]), pytest.raises(MemoryError):
        engine.process(sound)
    for heard, wanted in zip(hear(engine, sound), hear(other, sound), strict=True):
        np.testing.assert_array_equal(heard, wanted)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, exponent=st.floats(0, 307), dtype=st.sampled_from([np.float32, np.float64]))
def test_louder_than_the_loudest_is_as_loud_as_that(seed: int, exponent: float, dtype: type) -> None:
    sound = noise(seed, 3000, peak=1.0).astype(dtype) * dtype(10 ** min(exponent, 38 if dtype is np.float32 else 307))
    wanted = hear(make_engine(Leaky(), gains_db=APART), np.clip(sound, -LOUDEST, LOUDEST))
    for first, second in zip(hear(make_engine(Leaky(), gains_db=APART), sound), wanted, strict=True):
        np.testing.assert_array_equal(first, second)
