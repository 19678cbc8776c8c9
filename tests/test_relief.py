"""What the engine gives up on a machine that cannot keep up: never the latency, and without a step in the sound."""

import numpy as np
import pytest
from fakes import FRONT, Leaky, PassThrough, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import noise, rates, seeds

from streamsep.arrays import Masks, Samples, Spectrum
from streamsep.models.subject import hear
from streamsep.realtime.overload import FADES_SHORT, HIGHEST

HOP = FRONT.hop
GAINS = {"talker-1": 0.0, "talker-2": -20.0, "event": -40.0}
OPTIONS = {"gains_db": GAINS, "fade_ms": 40.0, "warm_up_ms": 20.0}


class Counting(Leaky):
    """A Leaky that counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        self.asked += 1
        return super().process(spectrum, samples)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, rate=rates)
def test_at_rest_no_model_runs_and_the_delayed_sound_is_heard_and_afterwards_they_come_back(
    seed: int, rate: int
) -> None:
    sound, separator = noise(seed, 3 * rate) * 0.1, Counting()
    engine, second = make_engine(separator, rate=rate, **OPTIONS), rate
    late = engine.latency.samples
    hear(engine, sound[:second])
    engine.relieve(HIGHEST)
    hear(engine, sound[second : second + second // 2])
    asked = separator.asked
    at = second + second // 2
    resting, sources = hear(engine, sound[at : 2 * second])
    assert separator.asked == asked
    assert engine.dry
    delayed = sound[at - late : 2 * second - late]
    band = np.abs(resting - delayed).max() if rate == FRONT.sample_rate else 0.0
    assert band < 1e-5
    np.testing.assert_allclose(sources.sum(0), resting, atol=1e-4)
    engine.relieve(0)
    hear(engine, sound[2 * second : 2 * second + second // 2])
    assert not engine.dry
    assert separator.asked > asked
    again, _ = hear(engine, sound[2 * second + second // 2 :])
    with_gains = np.abs(again - sound[2 * second + second // 2 - late : 3 * second - late]).max()
    assert with_gains > 1e-3  # the gains are heard again


@settings(max_examples=15, deadline=None)
@given(seed=seeds, at=st.integers(2, 60))
def test_a_hurried_engine_finishes_its_fade_in_the_next_hop_and_begins_none(seed: int, at: int) -> None:
    sound, engine = noise(seed, 400 * HOP) * 0.1, make_engine(Leaky(), Leaky(), **OPTIONS)
    hear(engine, sound[: 50 * HOP])
    engine.select("b")
    hear(engine, sound[50 * HOP : (50 + at) * HOP])
    engine.relieve(FADES_SHORT)
    fading = engine.domain == "a" and engine._hand_over._fade.weight > 0
    before = engine.domain
    hear(engine, sound[(50 + at) * HOP : (52 + at) * HOP])
    assert engine._hand_over.incoming is None
    assert engine.domain == ("b" if fading else before)
    engine.select("a" if engine.domain == "b" else "b")
    wanted, heard = ("a" if engine.domain == "b" else "b"), engine.domain
    hear(engine, sound[(52 + at) * HOP : 200 * HOP])
    assert engine.domain == heard
    engine.relieve(0)
    hear(engine, sound[200 * HOP :])
    assert engine.domain == wanted  # the wish was not forgotten


@settings(max_examples=15, deadline=None)
@given(
    ordered=st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
    turns=st.lists(st.tuples(st.integers(0, HIGHEST), st.integers(0, 12)), max_size=8),
    reset=st.booleans(),
)
def test_what_was_ordered_last_is_heard_in_the_end_whatever_comes_between(
    ordered: list[str], turns: list[tuple[int, int]], reset: bool
) -> None:
    sound, engine = noise(0, 100 * HOP), make_engine(Leaky(), Leaky(), Leaky(), **OPTIONS)
    for level, hops in turns:
        engine.process(sound[: hops * HOP])
        if ordered:
            engine.select(last := ordered.pop())
        engine.relieve(level)
    for domain in reversed(ordered):
        engine.select(last := domain)
    if reset:
        engine.reset()
    engine.relieve(0)
    engine.process(sound)
    engine.process(sound)
    assert engine.domain == last


@settings(max_examples=10, deadline=None)
@given(seed=seeds, turns=st.lists(st.tuples(st.integers(0, HIGHEST), st.integers(1, 40)), min_size=1, max_size=12))
def test_whatever_is_given_up_and_taken_back_the_sound_has_no_step(seed: int, turns: list[tuple[int, int]]) -> None:
    rate, engine = FRONT.sample_rate, make_engine(Leaky(), Leaky(), **OPTIONS)
    time = np.arange(sum(hops for _, hops in turns) * HOP + rate) / rate
    sound = (0.3 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
    heard = [hear(engine, sound[:rate])[0]]
    at = rate
    for turn, (level, hops) in enumerate(turns):
        engine.relieve(level)
        engine.select("ab"[turn % 2])
        heard.append(hear(engine, sound[at : at + hops * HOP])[0])
        at += hops * HOP
    steps = np.abs(np.diff(np.concatenate(heard)[rate // 2 :]))
    assert steps.max() < 1.5 * 0.3 * 2 * np.pi * 200 / rate


class Halves(PassThrough):
    """Two talkers, one of them below a quarter of the rate, the other above; in this order or the other."""

    sources = ("talker", "talker")

    def __init__(self, flipped: bool) -> None:
        super().__init__()
        low = np.arange(self.bins) < self.bins // 2
        self._masks = np.stack([low, ~low][:: -1 if flipped else 1]).astype(np.float32)


@pytest.mark.parametrize("warm_up_ms", [0.0, 4.0, 500.0])
def test_talkers_keep_their_gains_over_a_switch_an_overload_and_a_reset(warm_up_ms: float) -> None:
    time_s = np.arange(FRONT.sample_rate) / FRONT.sample_rate
    tones = [np.sin(2 * np.pi * hz * time_s) for hz in (500, 6000)]
    sound = (0.2 * sum(tones)).astype(np.float32)
    engine = make_engine(Halves(False), Halves(True), gains_db={"talker-2": -60.0}, warm_up_ms=warm_up_ms)

    def kept() -> bool:
        """Whether it is still the low talker that is heard, and not the high one."""
        for _ in range(2):
            heard = engine.process(sound)
        low, high = (abs(np.dot(heard, tone)) for tone in tones)
        return bool(low > 100 * high)

    assert kept()
    engine.select("b")
    assert kept()
    assert engine.domain == "b"
    engine.relieve(HIGHEST)
    assert not kept()  # dry
    engine.relieve(0)
    assert kept()
    engine.reset()
    assert kept()


@pytest.mark.parametrize("warm_up_ms", [0.0, 20.0])
def test_after_a_rest_a_model_begins_anew(warm_up_ms: float) -> None:
    separator = Leaky()
    engine, silence = make_engine(separator, **OPTIONS | {"warm_up_ms": warm_up_ms}), np.zeros(100 * HOP, np.float32)
    hear(engine, noise(1, 100 * HOP))
    engine.relieve(HIGHEST)
    hear(engine, silence)
    assert separator.state()["mean"].any()
    engine.relieve(0)
    hear(engine, silence)
    assert not separator.state()["mean"].any()
