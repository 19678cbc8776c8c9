"""Going from one domain to another, and to the dry sound and back: without a click, a gap or a change of loudness."""

import numpy as np
import pytest
from fakes import FRONT, Leaky, PassThrough, Recorder, Shares, Twin, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, noise, rates, seeds

from streamsep.arrays import Array, Block
from streamsep.errors import ConfigError
from streamsep.models.subject import hear, lag_of
from streamsep.realtime import window_path
from streamsep.realtime.crossfade import Fade, blend, fade_hops
from streamsep.realtime.engine import Engine
from streamsep.realtime.hand_over import ALIGN_HOPS
from streamsep.realtime.options import EngineOptions

HOP = FRONT.hop
SECOND = 250  # hops
GAINS = {"talker-1": 0.0, "talker-2": -20.0, "event": -40.0}
OPPOSITE = {"speech": -24.0, "noise": 0.0}


class AppliedMasks:
    """Every mask the engine applies, of what is heard and of the sources, in place of `masking.apply`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.masks: list[Array] = []
        self._apply = window_path.apply
        monkeypatch.setattr(window_path, "apply", self)

    def __call__(self, spectrum: Array, mask: Array, out: Array) -> None:
        self.masks.append(mask.copy())
        self._apply(spectrum, mask, out)


def totals(separator: Recorder, gains_db: list[float], order: list[int] | None = None) -> Array:
    """(hops, bins): the weighted sum of what it gave; order: the source of each slot."""
    gains = 10 ** (np.array(gains_db) / 20)
    masks = np.stack(separator.masks)
    return np.tensordot(masks if order is None else masks[:, order], gains, (1, 0))


def switched(engine: Engine, sound: Block, at: int, domain: str = "b") -> tuple[Block, Block]:
    """What is heard, with a request to go over after `at` samples."""
    before = hear(engine, sound[:at])
    engine.select(domain)
    after = hear(engine, sound[at:])
    return np.concatenate([before[0], after[0]]), np.concatenate([before[1], after[1]], 1)


# ------------------------------------------------------------------------------------------------- between domains


@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    rate=rates,
    channels=channel_counts,
    at=st.integers(0, 4000),
    fade_ms=st.floats(20, 300),
    warm_up_ms=st.floats(0, 200),
)
def test_switching_to_itself_with_its_state_changes_not_a_bit(
    seed: int, rate: int, channels: int, at: int, fade_ms: float, warm_up_ms: float
) -> None:
    sound = noise(seed, at + rate, channels)
    active, incoming = Leaky(), Twin()
    options = {"rate": rate, "channels": channels, "gains_db": GAINS, "fade_ms": fade_ms, "warm_up_ms": warm_up_ms}
    wanted = hear(make_engine(Leaky(), **options), sound)
    engine = make_engine(active, incoming, **options)
    incoming.other = active
    heard = switched(engine, sound, at)
    assert (engine.domain, engine.counters.switches) == ("b", 1)
    np.testing.assert_array_equal(heard[0], wanted[0])
    np.testing.assert_array_equal(heard[1], wanted[1])


@settings(max_examples=15, deadline=None)
@given(seed=seeds, at=st.integers(10, 60), fade=st.integers(5, 60), warm_up=st.integers(0, 60))
def test_during_a_fade_every_applied_mask_lies_between_the_two(seed: int, at: int, fade: int, warm_up: int) -> None:
    listens = max(warm_up, ALIGN_HOPS)
    sound = noise(seed, (at + listens + fade + 20) * HOP)
    old, new = Recorder(Leaky(look_ahead=0)), Recorder(Leaky(look_ahead=0, memory=0.3))
    gains = list(GAINS.values())
    engine = make_engine(old, new, gains_db=GAINS, fade_ms=4.0 * fade, warm_up_ms=4.0 * warm_up)
    with pytest.MonkeyPatch.context() as monkeypatch:
        applied = AppliedMasks(monkeypatch)
        engine.process(sound[: at * HOP])
        engine.select("b")
        engine.process(sound[at * HOP :])
    masks = np.stack(applied.masks)
    first, second = totals(old, gains), totals(new, gains, engine._hand_over.active.order)
    begin, end = at + listens, at + listens + fade
    np.testing.assert_allclose(masks[:begin], first[:begin], rtol=0, atol=1e-12)
    np.testing.assert_allclose(masks[end:], second[end - at :], rtol=0, atol=1e-12)  # it was first asked at `at`
    one, other, middle = first[begin:end], second[listens : listens + fade], masks[begin:end]
    assert np.all(np.minimum(one, other) - 1e-12 <= middle)
    assert np.all(middle <= np.maximum(one, other) + 1e-12)
    assert np.abs(one - other).mean() > 0.01  # there was something to be between
    weights = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade))[:, None]
    np.testing.assert_allclose(middle, one + weights * (other - one), rtol=0, atol=1e-12)


def pair() -> tuple[Leaky, Leaky]:
    """Two that hear a mixture differently, and whose sources are weighted the other way round."""
    return Leaky(look_ahead=0), Leaky(look_ahead=0, sources=("speech", "noise"), memory=0.0)


def loudness_db(samples: Block) -> Array:
    """(samples,) -> (pieces of 50 ms,)."""
    pieces = samples[: len(samples) // 800 * 800].reshape(-1, 800).astype(np.float64)
    return 10 * np.log10(np.square(pieces).mean(axis=1) + 1e-12)


def test_a_switch_is_a_fade_of_the_two_renderings_in_time() -> None:
    """50 ms loudness within 1 dB of the same combination of the two; no jump larger than in them."""
    sound, gains = noise(5, 2 * SECOND * HOP), GAINS | OPPOSITE
    first, second = (hear(make_engine(*order, gains_db=gains), sound)[0] for order in (pair(), pair()[::-1]))
    engine = make_engine(*pair(), gains_db=gains, fade_ms=200.0, warm_up_ms=100.0)
    heard = switched(engine, sound, 125 * HOP)[0]
    begin, length = (125 + 25) * HOP, 50 * HOP
    at = np.arange(len(heard)) - engine.latency.samples - begin
    weight = 0.5 - 0.5 * np.cos(np.pi * np.clip(at / length, 0, 1))
    combined = first + weight * (second - first)
    assert np.abs(loudness_db(heard) - loudness_db(combined)).max() < 1
    assert np.abs(loudness_db(first) - loudness_db(second)).max() > 6  # so that this says something
    jumps = [np.abs(np.diff(samples)).max() for samples in (heard, first, second)]
    assert jumps[0] <= 1.05 * max(jumps[1:])
    np.testing.assert_array_equal(heard[:begin], first[:begin])
    after = begin + length + 4 * HOP
    np.testing.assert_allclose(heard[after:], second[after:], atol=1e-7)


def test_until_the_warm_up_is_over_nothing_is_heard_of_the_new_one() -> None:
    sound = noise(0, SECOND * HOP)
    engine = make_engine(Leaky(look_ahead=0), Shares(), gains_db=GAINS | OPPOSITE, warm_up_ms=400.0, fade_ms=100.0)
    alone = make_engine(Leaky(look_ahead=0), Shares(), gains_db=GAINS | OPPOSITE)
    heard, wanted = switched(engine, sound, 30 * HOP)[0], hear(alone, sound)[0]
    np.testing.assert_array_equal(heard[: 131 * HOP], wanted[: 131 * HOP])  # 30 + 100 hops, and one of gathering
    assert not np.array_equal(heard[131 * HOP : 134 * HOP], wanted[131 * HOP : 134 * HOP])
    assert engine.domain == "b"


def test_the_newest_of_several_requests_wins() -> None:
    sound = noise(0, SECOND * HOP)
    four = [Shares({f"role-{name}": 1.0}) for name in "abcd"]
    engine = make_engine(*four, gains_db={"role-b": -120.0, "role-c": -120.0, "role-d": -6.0}, warm_up_ms=20.0)
    engine.process(sound[: 10 * HOP])
    for domain in "bcd":
        engine.select(domain)
    engine.process(sound)
    assert (engine.domain, engine.counters.switches, engine.sources) == ("d", 1, ("role-d",))


def test_a_request_during_a_fade_waits_for_its_end_and_the_newest_of_those_wins() -> None:
    sound = noise(0, SECOND * HOP)
    engine = make_engine(*[Shares() for _ in "abcd"], warm_up_ms=20.0, fade_ms=100.0)
    engine.select("b")
    engine.process(sound[: 10 * HOP])
    for domain in "cad":
        engine.select(domain)
    seen = []
    for at in range(0, 100 * HOP, HOP):
        engine.process(sound[at : at + HOP])
        seen.append(engine.domain)
    assert seen == sorted(seen)
    assert set(seen) == {"a", "b", "d"}
    assert engine.counters.switches == 2


def test_a_request_may_be_taken_back_and_made_again() -> None:
    sound = noise(0, 100 * HOP)
    engine = make_engine(Shares(), Shares(), warm_up_ms=20.0, fade_ms=40.0)
    for domain, switches in (("b", 1), ("b", 1), ("a", 2), ("a", 2), ("b", 3)):
        engine.select(domain)
        engine.process(sound)
        assert (engine.domain, engine.counters.switches) == (domain, switches)
    engine.select("a")
    engine.select("b")
    engine.process(sound)
    assert (engine.domain, engine.counters.switches) == ("b", 3)


def test_a_domain_that_is_not_there_is_refused_with_those_that_are() -> None:
    engine = make_engine(Shares(), Shares())
    with pytest.raises(ConfigError, match=r"unknown domain 'music'; this bank has \['a', 'b'\]"):
        engine.select("music")
    with pytest.raises(ConfigError, match="unknown domain"):
        Engine({"b": Shares()}, FRONT, EngineOptions(), "a", 16_000)


def test_domains_with_fewer_sources_leave_slots_silent_and_the_sources_still_add_up() -> None:
    sound = noise(0, SECOND * HOP)
    engine = make_engine(Leaky(look_ahead=0), Shares(), warm_up_ms=100.0)
    assert engine.sources == ("talker-1", "talker-2", "event")
    _, sources = switched(engine, sound, 50 * HOP)
    assert engine.sources == ("speech", "noise")
    late = engine.latency.samples
    np.testing.assert_allclose(sources.sum(0)[late:], sound[:-late], atol=1e-6)
    assert sources[2, : 50 * HOP].any()
    assert not sources[2, 150 * HOP :].any()


@settings(max_examples=20, deadline=None)
@given(seed=seeds, first=st.integers(0, 5), second=st.integers(0, 5), channels=channel_counts)
def test_the_bank_is_as_late_as_its_latest_and_nobodys_masks_come_early(
    seed: int, first: int, second: int, channels: int
) -> None:
    sound = noise(seed, 60 * HOP, channels)
    alone = make_engine(Leaky(look_ahead=first), channels=channels, gains_db=GAINS)
    bank = make_engine(Leaky(look_ahead=first), Leaky(look_ahead=second), channels=channels, gains_db=GAINS)
    more = max(first, second) - first
    assert bank.latency.terms["look-ahead"] == max(first, second) * HOP
    assert bank.latency.samples == alone.latency.samples + more * HOP
    wanted, heard = hear(alone, sound)[0], hear(bank, sound)[0]
    np.testing.assert_allclose(heard[more * HOP :], wanted[: len(wanted) - more * HOP], atol=1e-7)


# -------------------------------------------------------------------------------------------- the dry sound and back


@settings(max_examples=20, deadline=None)
@given(seed=seeds, rate=rates, channels=channel_counts, at=st.integers(0, 3000))
def test_bypass_is_the_delayed_input_with_the_same_latency(seed: int, rate: int, channels: int, at: int) -> None:
    sound = noise(seed, at + rate // 2, channels)
    options = {"rate": rate, "channels": channels}
    dry = hear(make_engine(PassThrough(), Leaky(), **options), sound)[0]  # the second one for its look-ahead
    engine = make_engine(Leaky(), gains_db=GAINS, fade_ms=40.0, **options)
    engine.process(sound[:at])
    engine.bypass(True)
    heard = engine.process(sound[at:])
    settled = engine.latency.samples + rate // 10
    np.testing.assert_allclose(heard[settled:], dry[at + settled :], atol=1e-7)
    assert lag_of(np.atleast_2d(heard.T)[0], np.atleast_2d(sound[at:].T)[0]) == engine.latency.samples


def test_after_a_bypass_everything_is_as_if_there_had_been_none() -> None:
    sound = noise(1, SECOND * HOP)
    engine, never = (make_engine(Leaky(), gains_db=GAINS, fade_ms=100.0) for _ in range(2))
    pieces = []
    for on, piece in zip((False, True, False), np.split(sound, [50 * HOP, 120 * HOP]), strict=True):
        engine.bypass(on)
        pieces.append(hear(engine, piece))
    heard = np.concatenate([piece[0] for piece in pieces])
    sources = np.concatenate([piece[1] for piece in pieces], 1)
    wanted = hear(never, sound)
    np.testing.assert_array_equal(sources, wanted[1])
    np.testing.assert_array_equal(heard[: 51 * HOP], wanted[0][: 51 * HOP])
    np.testing.assert_array_equal(heard[(120 + 25 + 4) * HOP :], wanted[0][(120 + 25 + 4) * HOP :])
    assert np.abs(heard - wanted[0])[80 * HOP : 120 * HOP].max() > 0.05


def test_the_fade_to_the_dry_sound_never_jumps() -> None:
    sound = np.sin(np.arange(SECOND * HOP) / 20).astype(np.float32) / 4
    engine = make_engine(Shares(), gains_db={"speech": -120.0, "noise": -120.0})
    engine.process(sound[: 20 * HOP])
    heard = []
    for on, piece in zip((True, False, True), np.split(sound[20 * HOP :], [10 * HOP, 13 * HOP]), strict=True):
        engine.bypass(on)  # turned around in the middle, twice
        heard.append(engine.process(piece).copy())
    whole = np.concatenate(heard)
    assert np.abs(whole).max() > 0.2
    assert np.abs(np.diff(whole)).max() <= 1.2 * np.abs(np.diff(sound)).max()


def test_one_may_switch_behind_a_bypass() -> None:
    sound = noise(1, SECOND * HOP)
    engine = make_engine(Shares({"x": 1.0}), Shares({"y": 1.0}), gains_db={"x": -120.0, "y": -6.0}, warm_up_ms=20.0)
    engine.bypass(True)
    engine.select("b")
    engine.process(sound)
    assert engine.domain == "b"
    engine.bypass(False)
    heard = engine.process(sound)[50 * HOP :]
    np.testing.assert_allclose(heard, 10 ** (-6 / 20) * sound[50 * HOP - 128 : -128], atol=1e-6)


# ------------------------------------------------------------------------------------------------------- the fade


@given(hops=st.integers(1, 300))
def test_a_fade_goes_from_one_end_to_the_other_in_its_hops(hops: int) -> None:
    fade = Fade(hops)
    assert (fade.weight, fade.finished) == (0, False)
    weights = [fade.step() for _ in range(hops)]
    assert np.all(np.diff([0, *weights]) > 0)
    assert (weights[-1], fade.weight, fade.finished, fade.step()) == (1, 1, True, 1)
    back = [fade.step(towards_new=False) for _ in range(hops)]
    np.testing.assert_array_equal(back, [*weights[-2::-1], 0])
    fade.restart(at_new=True)
    assert fade.weight == 1
    fade.restart()
    assert fade.weight == 0


@given(seed=seeds, weight=st.floats(0, 1))
def test_fading_into_itself_changes_nothing(seed: int, weight: float) -> None:
    masks = np.random.default_rng(seed).uniform(0, 4, (2, 9))
    out = np.zeros_like(masks)
    blend(masks, masks, weight, out)
    np.testing.assert_array_equal(out, masks)


@given(milliseconds=st.floats(0, 1000), hop_ms=st.floats(0.5, 16))
def test_a_fade_is_as_long_as_asked_to_the_nearest_hop(milliseconds: float, hop_ms: float) -> None:
    hops = fade_hops(milliseconds, hop_ms / 1000)
    assert hops >= 1
    assert hops == 1 or abs(hops * hop_ms - milliseconds) <= 0.5001 * hop_ms
