"""The monitor's verdicts, carried out: warm, caught up, in order, never too late, and never against the listener."""

from collections.abc import Sequence

import numpy as np
import pytest
from fakes import FRONT, Leaky, Shares
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, noise, rates, seeds
from told import Told

from streamsep.arrays import Array, Block, Masks, Samples, Spectrum
from streamsep.errors import ConfigError
from streamsep.models.subject import hear
from streamsep.realtime.contract import Separator
from streamsep.realtime.engine import Engine
from streamsep.realtime.hand_over import OLDEST
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.overload import HIGHEST

HOP = FRONT.hop
GAINS = {"talker-1": 0.0, "talker-2": -20.0, "event": -40.0}
DOMAINS = "a", "b", "c"


class Diary(Leaky):
    """A Leaky that remembers its state after every hop, and how often it was asked."""

    def __init__(self, look_ahead: int = 2) -> None:
        super().__init__(look_ahead=look_ahead)
        self.states = [self.state()]

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        masks = super().process(spectrum, samples)
        self.states.append(self.state())
        return masks


class Shuffled(Leaky):
    """A Leaky whose two talkers come the other way round."""

    def process(self, spectrum: Spectrum, samples: Samples) -> Masks:
        return super().process(spectrum, samples)[[1, 0, 2]]


def watched(
    *separators: Separator, domain: str = "a", rate: int = 16_000, channels: int = 1, **options: object
) -> tuple[Engine, Told]:
    """An engine in domains a, b, c, and its monitor."""
    named = dict(zip(DOMAINS, separators, strict=False))
    monitor = Told(named)
    options = {"gains_db": GAINS, "fade_ms": 40.0, "warm_up_ms": 20.0} | options
    return Engine(named, FRONT, EngineOptions(**options), domain, rate, channels, monitor), monitor  # type: ignore[arg-type]


def joined(parts: Sequence[tuple[Block, Block]]) -> tuple[Block, Block]:
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts], 1)


def through(engine: Engine, sound: Block, *pieces: int) -> list[tuple[Block, Block]]:
    """What is heard of the sound, in pieces that end there."""
    return [hear(engine, piece) for piece in np.split(sound, list(pieces))]


@settings(max_examples=30, deadline=None)
@given(
    seed=seeds,
    channels=channel_counts,
    hops=st.integers(6, 60),
    age=st.integers(0, OLDEST),
    swapped=st.booleans(),
)
def test_a_warm_model_catches_up_falls_in_line_and_changes_not_a_bit_of_what_it_hears_alike(
    seed: int, channels: int, hops: int, age: int, swapped: bool
) -> None:
    sound = noise(seed, (hops + 100) * HOP, channels)
    alone = Diary()
    wanted = hear(watched(alone, Leaky(), channels=channels)[0], sound)
    engine, monitor = watched(Leaky(), Shuffled() if swapped else Leaky(), channels=channels)
    first = hear(engine, sound[: hops * HOP])
    monitor.say("b", ("b", hops - age, alone.states[hops - age]))
    heard = joined([first, hear(engine, sound[hops * HOP :])])
    assert (engine.domain, engine.counters.switches, engine.counters.late_hand_overs) == ("b", 1, 0)
    np.testing.assert_array_equal(heard[0], wanted[0])
    np.testing.assert_array_equal(heard[1], wanted[1])


@settings(max_examples=20, deadline=None)
@given(age=st.integers(0, OLDEST))
def test_no_hop_runs_more_than_the_active_model_and_the_new_one_twice(age: int) -> None:
    sound, active, incoming = noise(0, 200 * HOP), Diary(), Diary()
    engine, monitor = watched(active, incoming)
    engine.process(sound[: 20 * HOP])
    monitor.say("b", ("b", 20 - age, active.states[20 - age]))
    before, calls = len(incoming.states), []
    for at in range(20, 60):
        engine.process(sound[at * HOP : (at + 1) * HOP])
        calls.append(len(incoming.states) - before)
        before = len(incoming.states)
    assert calls == [2] * age + [1] * (40 - age)


@given(age=st.integers(OLDEST + 1, 12))
def test_a_state_that_comes_too_late_is_counted_and_not_used(age: int) -> None:
    sound, active = noise(0, 100 * HOP), Diary()
    engine, monitor = watched(active, Leaky())
    engine.process(sound[: 20 * HOP])
    monitor.say("b", ("b", 20 - age, active.states[20 - age]))
    engine.process(sound[20 * HOP :])
    assert (engine.domain, engine.counters.switches, engine.counters.late_hand_overs) == ("a", 0, 1)
    assert monitor.said.active == "a"
    monitor.say("b", ("b", 100, active.states[100]))
    engine.process(sound)
    assert (engine.domain, engine.counters.switches, monitor.said.active) == ("b", 1, "b")


def test_a_model_that_comes_without_its_state_listens_along_first() -> None:
    sound = noise(0, 100 * HOP)
    engine, monitor = watched(Leaky(), Leaky(), warm_up_ms=100.0)
    alone = hear(watched(Leaky(), Leaky())[0], sound)[0]
    first = hear(engine, sound[: 20 * HOP])
    monitor.say("b")
    heard = joined([first, hear(engine, sound[20 * HOP :])])[0]
    np.testing.assert_array_equal(heard[: 46 * HOP], alone[: 46 * HOP])  # 20 + 25 hops, and one of gathering
    assert not np.array_equal(heard[46 * HOP : 50 * HOP], alone[46 * HOP : 50 * HOP])
    assert engine.domain == "b"


@settings(max_examples=15, deadline=None)
@given(seed=seeds, rate=rates, channels=channel_counts)
def test_the_monitor_hears_the_mean_of_the_channels_hop_by_hop(seed: int, rate: int, channels: int) -> None:
    sound = noise(seed, rate // 4, channels)
    engine, monitor = watched(Leaky(), rate=rate, channels=channels)
    mono, alone = watched(Leaky(), rate=rate)
    engine.process(sound)
    mono.process(sound if sound.ndim == 1 else sound.mean(axis=1).astype(np.float32))
    heard, wanted = monitor.heard.since(0).samples, alone.heard.since(0).samples
    assert len(heard) == engine.counters.hops > 0
    np.testing.assert_allclose(heard, wanted, atol=1e-6)
    if rate == FRONT.sample_rate and channels == 1:
        np.testing.assert_array_equal(heard.ravel(), sound.ravel()[: heard.size])


# ------------------------------------------------------------------------------------------------------ the dry sound


def dry_after(engine: Engine, sound: Block) -> Array:
    """How far what is heard is from the delayed input, at the end."""
    heard = engine.process(sound).copy()
    late = engine.latency.samples
    return np.abs(heard[-20 * HOP :] - sound[-20 * HOP - late : -late])


def test_without_a_confident_model_the_dry_sound_is_heard_until_there_is_one() -> None:
    sound, sharing = noise(0, 100 * HOP), {"x": 1.0}
    engine, monitor = watched(Shares(sharing), Shares({"y": 1.0}), domain="auto", gains_db={"x": -120.0, "y": -6.0})
    assert dry_after(engine, sound).max() < 1e-6
    assert (engine.dry, monitor.said.active) == (True, None)
    monitor.say("a")
    engine.process(sound)
    assert (engine.dry, engine.domain, monitor.said.active) == (False, "a", "a")
    assert np.abs(engine.process(sound)[50 * HOP :]).max() < 1e-6  # its gain is that of silence
    monitor.say(None)
    engine.process(sound)
    assert dry_after(engine, sound).max() < 1e-6
    assert (engine.dry, monitor.said.active) == (True, None)
    monitor.say("b")
    engine.process(sound)
    assert (engine.dry, engine.domain, engine.counters.switches) == (False, "b", 1)
    np.testing.assert_allclose(
        engine.process(sound)[50 * HOP :], 10 ** (-6 / 20) * sound[50 * HOP - 128 : -128], atol=1e-6
    )


def test_from_the_dry_sound_to_another_domain_and_back_nothing_jumps() -> None:
    sound = np.sin(np.arange(100 * HOP) / 20).astype(np.float32) / 4
    engine, monitor = watched(
        Shares({"x": 1.0}), Shares({"y": 1.0}), domain="auto", gains_db={"x": -120.0, "y": -120.0}
    )
    heard = [engine.process(sound).copy()]
    for decision in ("b", None, "a", None, "b", "a", None):
        monitor.say(decision)
        heard.append(engine.process(sound).copy())
    whole = np.concatenate(heard)
    wrap = np.abs(sound[0] - sound[-1])  # where the sound begins again
    assert np.abs(whole).max() > 0.2
    assert np.abs(np.diff(whole)).max() <= 1.2 * max(np.abs(np.diff(sound)).max(), wrap)


# ------------------------------------------------------------------------------------------------------ the listener


def test_what_the_listener_selects_stays_until_the_choice_is_given_back() -> None:
    sound = noise(0, 100 * HOP)
    engine, monitor = watched(Leaky(), Leaky(), Leaky())
    engine.select("b")
    engine.process(sound)
    assert (engine.domain, monitor.said.active, monitor.said.locked) == ("b", "b", "b")
    for decision in ("c", None, "a"):
        monitor.say(decision)
        engine.process(sound)
        assert (engine.domain, engine.dry) == ("b", False)
    engine.select("auto")
    engine.process(sound)
    assert (engine.domain, monitor.said.locked) == ("b", None)
    monitor.say("c")
    engine.process(sound)
    assert (engine.domain, monitor.said.active) == ("c", "c")


def test_selecting_what_is_dry_makes_it_heard() -> None:
    sound = noise(0, 100 * HOP)
    engine, _ = watched(Leaky(), Leaky(), domain="auto")
    engine.select("a")
    engine.process(sound)
    assert (engine.domain, engine.dry) == ("a", False)


def test_only_a_monitor_can_be_given_the_choice() -> None:
    engine = Engine({"a": Leaky()}, FRONT, EngineOptions(), "a", 16_000)
    with pytest.raises(ConfigError, match="unknown domain 'auto'"):
        engine.select("auto")
    with pytest.raises(ConfigError, match="unknown domain 'auto'"):
        Engine({"a": Leaky()}, FRONT, EngineOptions(), "auto", 16_000)


def test_a_reset_makes_the_monitor_forget_the_sound_and_keeps_the_domain() -> None:
    sound = noise(0, 50 * HOP)
    engine, monitor = watched(Leaky(), Leaky())
    monitor.say("b")
    engine.process(sound)
    heard = monitor.recent.hops
    engine.reset()
    assert len(monitor.heard.since(0).samples) == 0
    assert engine.domain == "b"
    again = hear(engine, sound)
    fresh = hear(watched(Leaky(), Leaky(), domain="b")[0], sound)
    np.testing.assert_array_equal(again[0], fresh[0])
    assert monitor.recent.hops == heard + 1 + 50


@given(age=st.integers(1, 60), warm=st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_verdict_on_the_sound_before_a_reset_is_not_carried_out(age: int, warm: bool) -> None:
    sound, alone = noise(0, 60 * HOP), Diary()
    engine, monitor = watched(alone, Leaky())
    engine.process(sound)
    known = 60 - age
    state = ("b", known, alone.states[known]) if warm else None
    engine.reset()
    monitor.said.publish(known, {}, "b", state)  # it was made before, and comes after
    engine.process(sound)
    assert (engine.domain, engine.counters.late_hand_overs, monitor.said.active) == ("a", 0, "a")
    monitor.say("b")
    engine.process(sound)
    assert engine.domain == "b"


@given(waited=st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_giving_the_choice_back_takes_back_what_was_ordered_and_had_not_begun(waited: int) -> None:
    sound = noise(0, 100 * HOP)
    engine, monitor = watched(Leaky(), Leaky(), Leaky())
    engine.select("b")
    engine.process(sound[: 2 * HOP])
    engine.select("c")  # it waits until b is heard
    engine.process(sound[: waited * HOP % (10 * HOP)])
    engine.select("auto")
    engine.process(sound)
    assert (engine.domain, monitor.said.locked) == ("b", None)


@given(waited=st.integers(1, 4))
@settings(max_examples=4, deadline=None)
def test_what_the_monitor_wanted_and_overload_gave_up_is_not_taken_for_an_order(waited: int) -> None:
    sound = noise(0, 100 * HOP)
    engine, monitor = watched(Leaky(), Leaky(), Leaky())
    engine.select("b")
    engine.process(sound)
    engine.select("auto")
    monitor.say("c")
    engine.process(sound[: waited * HOP])
    engine.select("b")
    engine.select("auto")
    engine.relieve(HIGHEST)
    engine.process(sound[: 5 * HOP])
    engine.relieve(0)
    engine.process(sound)
    assert (engine.domain, engine.counters.switches) == ("b", 1)
    monitor.say("c")
    engine.process(sound)
    assert (engine.domain, engine.counters.switches) == ("c", 2)


def test_closing_an_engine_ends_its_monitor() -> None:
    engine, monitor = watched(Leaky())
    engine.close()
    assert monitor.closed
