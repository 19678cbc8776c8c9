"""The path without a window: every sample straight through a filter of the masks, at once, under the same laws."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from contract import FAKES, SHIPPED, subject
from fakes import FRONT, Leaky, PassThrough, Recorder, Shares, Twin, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, noise, partitions, rates, seeds

import streamsep
from streamsep.arrays import Array, Block
from streamsep.errors import ConfigError
from streamsep.models import laws
from streamsep.models.laws import LAWS, judge
from streamsep.models.subject import Subject, hear, lag_of, memory_of
from streamsep.realtime.engine import Engine
from streamsep.realtime.masking import linear
from streamsep.realtime.min_phase import MinimumPhase
from streamsep.realtime.min_phase_path import MEASURED_MS, typical_delay_ms

HOP = FRONT.hop
GAINS = {"talker-1": 0.0, "talker-2": -20.0, "event": -40.0}
PATH: dict[str, object] = {"path": "minimum-phase"}
HELD = [law for law in LAWS if not law.startswith(("2", "6"))]  # one is of graphs alone; the sources do not add up


def straight(*separators: object, **options: object) -> Engine:
    """An engine without a window."""
    return make_engine(*separators, **PATH, **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------------- the laws


@pytest.mark.parametrize("law", HELD)
@pytest.mark.parametrize("name", ["leaky", "clustered", "noise-step-int8"])
def test_the_path_keeps_the_laws(monkeypatch: pytest.MonkeyPatch, name: str, law: str) -> None:
    monkeypatch.setattr(laws, "STEADY_HOPS", 10_000 if name in SHIPPED else 1000)
    assert name in FAKES | SHIPPED
    it = subject(name)
    assert isinstance(it, Subject)
    without = replace(it, options=PATH, sequence=None, look_back=None)
    verdict = judge(law, lambda: LAWS[law][1](without))
    assert verdict.passed, verdict.detail


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    seed=seeds,
    rate=rates,
    channels=channel_counts,
    taps=st.integers(64, 256),
    look_ahead_ms=st.sampled_from([0.0, 3.0]),
    peak=st.sampled_from([0.1, 4.0]),
)
def test_any_partition_gives_the_same_samples_to_the_bit(
    data: st.DataObject, seed: int, rate: int, channels: int, taps: int, look_ahead_ms: float, peak: float
) -> None:
    sound = noise(seed, rate // 8, channels, peak)
    options = {"rate": rate, "channels": channels, "taps": taps, "look_ahead_ms": look_ahead_ms, "gains_db": GAINS}
    options["true_peak"] = look_ahead_ms > 0
    engines = [straight(Leaky(), **options) for _ in range(2)]
    heard = hear(engines[0], sound)
    pieces = hear(engines[1], sound, data.draw(partitions(len(sound))))
    np.testing.assert_array_equal(pieces[0], heard[0])
    np.testing.assert_array_equal(pieces[1], heard[1])
    assert engines[0].counters == engines[1].counters
    assert (engines[0].counters.limited_hops > 0) == (peak > 1)


@pytest.mark.parametrize("rate", [44_100, 48_000])
@pytest.mark.parametrize("block", [1, 64, 8193])
def test_a_shipped_model_gives_the_same_in_pieces_at_the_devices_rate(rate: int, block: int) -> None:
    sound = noise(1, rate // 4, 2)
    with streamsep.load(domain="noise", rate=rate, channels=2, latency=PATH) as engine:
        heard, sources = hear(engine, sound)
        engine.reset()
        pieces = hear(engine, sound, [min(block, len(sound) - at) for at in range(0, len(sound), block)])
    np.testing.assert_array_equal(pieces[0], heard)
    np.testing.assert_array_equal(pieces[1], sources)
    assert np.abs(heard - sound).max() > 0.05


# ------------------------------------------------------------------------------------------------- nothing is late


@settings(max_examples=25, deadline=None)
@given(seed=seeds, rate=rates, channels=channel_counts, at=st.integers(0, 2000))
def test_in_bypass_the_input_comes_out_at_once_to_the_bit(seed: int, rate: int, channels: int, at: int) -> None:
    sound = noise(seed, at + rate // 5, channels)
    engine = straight(Leaky(), rate=rate, channels=channels, gains_db=GAINS, fade_ms=20.0)
    assert engine.latency.samples == 0
    before = engine.process(sound[:at])
    assert at < rate // 50 or not np.array_equal(before[-100:], sound[at - 100 : at])
    engine.bypass(True)
    heard = engine.process(sound[at:])
    settled = round(0.032 * rate)
    np.testing.assert_array_equal(heard[settled:], sound[at + settled :])


@settings(max_examples=20, deadline=None)
@given(seed=seeds, rate=rates, share=st.floats(0, 1), first=st.floats(-119, 0), second=st.floats(-119, 0))
def test_even_masks_are_gains_and_delay_nothing(
    seed: int, rate: int, share: float, first: float, second: float
) -> None:
    sound = noise(seed, rate // 8)
    shares = Shares({"speech": share, "noise": 1 - share})
    heard, sources = hear(straight(shares, rate=rate, gains_db={"speech": first, "noise": second}), sound)
    used = shares._masks[:, 0]
    wanted = used[0] * linear(first) + used[1] * linear(second)
    settled = 3 * round(0.004 * rate)  # before, equal shares
    np.testing.assert_allclose(heard[settled:], wanted * sound[settled:], atol=1e-6)
    np.testing.assert_allclose(sources[:, settled:], used[:, None] * sound[settled:], atol=1e-6)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_only_the_limiter_has_a_term_in_the_ledger_and_the_filter_is_told_apart(rate: int) -> None:
    engine = straight(Leaky(look_ahead=0), rate=rate, gains_db=GAINS)
    assert (engine.latency.terms, engine.latency.ms) == ({"limiter": 0}, 0.0)
    assert engine.latency.filter_ms == typical_delay_ms(128_000 / rate)
    assert straight(Leaky(look_ahead=0), rate=rate, look_ahead_ms=5.0).latency.samples == rate // 200
    assert make_engine(PassThrough(), rate=rate).latency.filter_ms is None
    sound = noise(0, rate // 2)
    assert lag_of(hear(engine, sound)[0], sound) == 0


def test_a_longer_filter_is_typically_later_and_never_by_more_than_two_ms() -> None:
    found = [typical_delay_ms(length_ms) for length_ms in np.linspace(0.3, 32, 50)]
    assert all(0 < mean < p95 < 2 for mean, p95 in found)
    assert found == sorted(found)
    assert typical_delay_ms(MEASURED_MS[2][0]) == MEASURED_MS[2][1:]


# ------------------------------------------------------------------------------------------------- what is heard


def filtered(separator: Recorder, gains_db: dict[str, float], sound: Array, taps: int = 128) -> Array:
    """(samples,) -> (samples,), from the second hop on: every hop through the filters of the two before it."""
    gains = [linear(gain_db) for gain_db in gains_db.values()]
    totals = np.tensordot(np.stack(separator.masks), gains, (1, 0))
    design = MinimumPhase(1, FRONT, FRONT.sample_rate, taps)
    filters = [design.process(total[None])[0].copy() for total in totals]
    weight = 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.arange(1, HOP + 1) / (HOP // 2 + 1), 1))
    out = np.zeros(len(sound))
    wets = [np.convolve(sound, each)[: len(sound)] for each in filters]
    for hop, (old, new) in enumerate(itertools.pairwise(wets), 2):
        piece = slice(hop * HOP, (hop + 1) * HOP)
        out[piece] = (old[piece].T + weight[: len(out[piece])] * (new[piece] - old[piece]).T).T
    return out


@settings(max_examples=10, deadline=None)
@given(seed=seeds, look_ahead=st.integers(0, 3))
def test_what_is_heard_is_the_sound_through_the_filters_of_the_weighted_masks(seed: int, look_ahead: int) -> None:
    sound = noise(seed, 40 * HOP, peak=0.1)
    separator = Recorder(Leaky(look_ahead=look_ahead))
    heard = straight(separator, gains_db=GAINS).process(sound)
    wanted = filtered(separator, GAINS, sound.astype(np.float64))
    np.testing.assert_allclose(heard[2 * HOP :], wanted[2 * HOP :], atol=1e-6)
    assert np.abs(wanted - sound)[10 * HOP :].max() > 0.01


def test_each_source_comes_through_the_filter_of_its_own_mask() -> None:
    sound = noise(2, 40 * HOP, peak=0.1)
    separator = Recorder(Leaky())
    sources = hear(straight(separator), sound)[1]
    for slot, name in enumerate(GAINS):
        alone = filtered(separator, dict.fromkeys(GAINS, -120.0) | {name: 0.0}, sound.astype(np.float64))
        np.testing.assert_allclose(sources[slot, 2 * HOP :], alone[2 * HOP :], atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(rate=rates, start=st.integers(0, 1500), look_ahead_ms=st.sampled_from([0.0, 2.0]))
def test_sources_may_be_asked_for_later_and_are_in_time(rate: int, start: int, look_ahead_ms: float) -> None:
    sound = noise(3, rate // 4)
    options = {"rate": rate, "gains_db": GAINS, "look_ahead_ms": look_ahead_ms}
    always, later = straight(Leaky(), **options), straight(Leaky(), **options)
    wanted = hear(always, sound)
    np.testing.assert_array_equal(later.process(sound[:start]), wanted[0][:start])
    heard, sources = later.process(sound[start:], separate=True)
    np.testing.assert_array_equal(heard, wanted[0][start:])
    settled = 2 * round(0.004 * rate) + later.latency.samples
    np.testing.assert_array_equal(sources[:, settled:], wanted[1][:, start + settled :])
    assert sources.any()


@settings(max_examples=10, deadline=None)
@given(seed=seeds, rate=rates)
def test_a_channel_at_half_the_level_stays_at_half_the_level_to_the_bit(seed: int, rate: int) -> None:
    left = noise(seed, rate // 8)
    heard, sources = hear(straight(Leaky(), rate=rate, channels=2, gains_db=GAINS), np.stack([left, 0.5 * left], 1))
    assert heard.any()
    np.testing.assert_array_equal(heard[:, 1], 0.5 * heard[:, 0])
    np.testing.assert_array_equal(sources[:, :, 1], 0.5 * sources[:, :, 0])


def test_a_slot_that_is_not_there_and_what_is_turned_off_are_silent_to_the_bit() -> None:
    sound = noise(0, 100 * HOP)
    engine = straight(Leaky(), Shares(), gains_db={"speech": -120.0, "noise": -120.0}, warm_up_ms=20.0, fade_ms=20.0)
    engine.process(sound)
    engine.select("b")
    engine.process(sound)
    heard, sources = hear(engine, sound)
    assert engine.sources == ("speech", "noise")
    assert not heard[2 * HOP :].any()
    assert not sources[2, 2 * HOP :].any()
    assert sources[:2].any(axis=1).all()


# ----------------------------------------------------------------------------------------------- fades and faults


@settings(max_examples=15, deadline=None)
@given(seed=seeds, rate=rates, at=st.integers(0, 4000), fade_ms=st.floats(20, 200))
def test_switching_to_itself_with_its_state_changes_not_a_bit(seed: int, rate: int, at: int, fade_ms: float) -> None:
    sound = noise(seed, at + rate // 2)
    options = {"rate": rate, "gains_db": GAINS, "fade_ms": fade_ms, "warm_up_ms": 50.0}
    wanted = hear(straight(Leaky(), **options), sound)
    active, incoming = Leaky(), Twin()
    engine = straight(active, incoming, **options)
    incoming.other = active
    before = hear(engine, sound[:at])
    engine.select("b")
    after = hear(engine, sound[at:])
    assert (engine.domain, engine.counters.switches) == ("b", 1)
    np.testing.assert_array_equal(np.concatenate([before[0], after[0]]), wanted[0])
    np.testing.assert_array_equal(np.concatenate([before[1], after[1]], 1), wanted[1])


def loudness_db(samples: Block) -> Array:
    """(samples,) -> (pieces of 50 ms,)."""
    pieces = samples[: len(samples) // 800 * 800].reshape(-1, 800).astype(np.float64)
    return 10 * np.log10(np.square(pieces).mean(axis=1) + 1e-12)


def test_a_switch_is_as_loud_as_a_fade_of_the_two_renderings_and_never_jumps() -> None:
    sound, gains = noise(5, 400 * HOP), GAINS | {"speech": -24.0, "noise": 0.0}

    def pair() -> tuple[Leaky, Leaky]:
        return Leaky(look_ahead=0), Leaky(look_ahead=0, sources=("speech", "noise"), memory=0.0)

    first, second = (hear(straight(*order, gains_db=gains), sound)[0] for order in (pair(), pair()[::-1]))
    engine = straight(*pair(), gains_db=gains, fade_ms=200.0, warm_up_ms=100.0)
    before = hear(engine, sound[: 125 * HOP])[0]
    engine.select("b")
    heard = np.concatenate([before, hear(engine, sound[125 * HOP :])[0]])
    begin = (125 + 25 + 1) * HOP
    weight = 0.5 - 0.5 * np.cos(np.pi * np.clip((np.arange(len(heard)) - begin) / (50 * HOP), 0, 1))
    combined = first + weight * (second - first)
    assert np.abs(loudness_db(heard) - loudness_db(combined)).max() < 1
    assert np.abs(loudness_db(first) - loudness_db(second)).max() > 6  # so that this says something
    jumps = [np.abs(np.diff(samples)).max() for samples in (heard, first, second)]
    assert jumps[0] <= 1.05 * max(jumps[1:])
    np.testing.assert_array_equal(heard[:begin], first[:begin])
    after = begin + 52 * HOP
    np.testing.assert_allclose(heard[after:], second[after:], atol=1e-7)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_hop_that_is_no_number_is_silent_there_dry_after_it_and_then_forgotten(rate: int) -> None:
    hop = HOP * rate // 16_000
    sound = noise(4, 60 * hop)
    silent, broken = sound.copy(), sound.copy()
    silent[30 * hop + 5 : 30 * hop + 8] = 0
    broken[30 * hop + 5 : 30 * hop + 8] = np.nan, np.inf, -np.inf
    engines = [straight(Leaky(look_ahead=0), rate=rate, gains_db=GAINS) for _ in range(2)]
    wanted, heard = (hear(engine, each)[0] for engine, each in zip(engines, (silent, broken), strict=True))
    assert (engines[0].counters.non_finite_hops, engines[1].counters.non_finite_hops) == (0, 1)
    np.testing.assert_array_equal(heard[: 31 * hop], wanted[: 31 * hop])
    dry = slice(31 * hop + hop // 2, 32 * hop)
    np.testing.assert_array_equal(heard[dry], sound[dry])
    np.testing.assert_array_equal(heard[33 * hop :], wanted[33 * hop :])
    assert np.isfinite(heard).all()


def test_the_first_hop_has_equal_shares_and_a_reset_begins_anew() -> None:
    sound = noise(6, 10 * HOP, peak=0.1)
    engine = straight(Leaky(), gains_db={"talker": -120.0, "event": -6.0})
    heard, sources = (each.copy() for each in hear(engine, sound))
    np.testing.assert_allclose(heard[:HOP], linear(-6) / 3 * sound[:HOP], atol=1e-7)
    np.testing.assert_allclose(sources[:, :HOP], sound[None, :HOP].repeat(3, 0) / 3, atol=1e-7)
    engine.process(sound[: HOP + 7])
    engine.reset()
    again = hear(engine, sound)
    np.testing.assert_array_equal(again[0], heard)
    np.testing.assert_array_equal(again[1], sources)


# --------------------------------------------------------------------------------------------------------- its cost


@pytest.mark.parametrize(
    ("rate", "block", "separate"), [(16_000, 16, True), (48_000, 64, False), (44_100, 100, True)]
)
def test_a_block_takes_next_to_no_memory_and_keeps_none(rate: int, block: int, separate: bool) -> None:
    engine = straight(Leaky(), rate=rate, channels=2, gains_db=GAINS, look_ahead_ms=2.0)
    sound, out = noise(0, 40 * block, 2, peak=9.0), np.zeros((block, 2), np.float32)
    turn = itertools.cycle(range(0, len(sound), block))

    def process() -> None:
        at = next(turn)
        engine.process(sound[at : at + block], out, separate)

    memory = memory_of(process, 2000)
    assert engine.counters.limited_hops > 100
    assert memory.peak < 4096
    assert memory.kept < 1024


# ------------------------------------------------------------------------------------------------------ the settings


def test_the_settings_choose_the_path_and_its_taps() -> None:
    with streamsep.load("hearing-aid", domain="noise") as engine:
        assert engine.latency.samples == 0
        assert engine.latency.filter_ms == typical_delay_ms(8.0)
    with streamsep.load("hearing-aid", domain="noise", rate=48_000, latency={"taps": 256}) as engine:
        assert engine.latency.filter_ms == typical_delay_ms(256 / 48)


@pytest.mark.parametrize(
    ("latency", "said"),
    [
        ({"taps": 63}, r"latency\.taps: .*greater than or equal to 64, got 63"),
        ({"taps": 257}, r"latency\.taps: .*less than or equal to 256, got 257"),
        ({"path": "minimum-phase", "synthesis_ms": 4}, "synthesis_ms must be null with path: minimum-phase, got 4"),
        ({"path": "straight"}, r"latency\.path: .*'window' or 'minimum-phase', got 'straight'"),
    ],
)
def test_settings_that_cannot_be_are_refused(latency: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        streamsep.load(domain="noise", latency=latency)


def test_whole_recordings_come_out_aligned_with_their_sources() -> None:
    sound = noise(7, 20_000, 2)
    result = streamsep.separate(sound, 48_000, "hearing-aid", domain="noise")
    assert result.listen.shape == sound.shape
    assert list(result.sources) == ["speech", "noise"]
    assert result.latency.samples == 0
    for heard in (result.listen, *result.sources.values()):
        assert heard.any()
        assert lag_of(heard[:, 0], sound[:, 0]) <= 48  # a ms: what the filter does
