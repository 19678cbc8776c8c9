"""What is heard of one separator: its masks under the listener's gains, on every channel alike, whatever comes in."""

import gc
import math
import weakref

import numpy as np
import pytest
from fakes import FRONT, Leaky, PassThrough, Recorder, Shares, make_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, gains_db, noise, rates, seeds
from test_stft import through

from streamsep.arrays import Array
from streamsep.errors import ConfigError, StreamsepError
from streamsep.models.subject import hear, lag_of
from streamsep.realtime.limiter import TAPS
from streamsep.realtime.masking import linear
from streamsep.realtime.stft import FrontEnd

HOP = FRONT.hop
APART = {"talker-1": 0.0, "talker-2": -20.0, "event": -60.0}


# ------------------------------------------------------------------------------------------------------- the masks


def through_steps(front: FrontEnd, lanes: Array, masks: Array) -> Array:
    """`through`, with the mask of the newest complete step of the models in every hop."""
    steps = FRONT.hop // front.hop
    held = np.repeat(np.concatenate([masks[:1], masks]), steps, 0)[1:]
    return through((front.window, front.synthesis_window, front.hop), lanes, held[: lanes.shape[1] // front.hop])


@pytest.mark.parametrize("synthesis_ms", [None, 4, 2])
@settings(max_examples=15, deadline=None)
@given(seed=seeds, channels=channel_counts, look_ahead=st.integers(0, 4), gains=st.lists(gains_db, min_size=3))
def test_what_is_heard_is_the_weighted_masks_on_the_frames_they_were_made_for(
    synthesis_ms: float | None, seed: int, channels: int, look_ahead: int, gains: list[float]
) -> None:
    sound = noise(seed, 50 * HOP, channels, peak=0.05)
    front = FRONT.shortened(synthesis_ms)
    separator = Recorder(Leaky(look_ahead=look_ahead))
    options = {"gains_db": dict(zip(APART, gains, strict=False)), "dry_floor_db": -40.0, "synthesis_ms": synthesis_ms}
    engine = make_engine(separator, channels=channels, **options)
    heard, sources = hear(engine, sound)
    lanes = np.atleast_2d(sound.T.astype(np.float64))
    masks = np.stack(separator.masks)[look_ahead:]  # the first ones belong to frames before the sound
    total = np.maximum(np.tensordot(masks, [linear(gain) for gain in gains[:3]], (1, 0)), linear(-40))
    assert masks.std(axis=0).mean() > 0.05

    def expected(mask: Array) -> Array:
        return through_steps(front, lanes[:, : len(mask) * HOP], mask)[:, HOP : (48 - look_ahead) * HOP]

    late = (look_ahead * HOP + front.hop) + HOP  # from the second step on
    heard, sources = heard.reshape(len(sound), -1), sources.reshape(3, len(sound), -1)
    np.testing.assert_allclose(heard[late : late + (47 - look_ahead) * HOP].T, expected(total), atol=2e-6)
    for slot, source in enumerate(sources):
        np.testing.assert_allclose(
            source[late : late + (47 - look_ahead) * HOP].T, expected(masks[:, slot]), atol=2e-6
        )


@given(seed=seeds, rate=rates)
@settings(max_examples=20, deadline=None)
def test_a_channel_at_half_the_level_stays_at_half_the_level_to_the_bit(seed: int, rate: int) -> None:
    left = noise(seed, rate // 4)
    engine = make_engine(Leaky(), rate=rate, channels=2, gains_db=APART)
    heard, sources = hear(engine, np.stack([left, 0.5 * left], 1))
    assert heard.any()
    np.testing.assert_array_equal(heard[:, 1], 0.5 * heard[:, 0])
    np.testing.assert_array_equal(sources[:, :, 1], 0.5 * sources[:, :, 0])


@settings(max_examples=20, deadline=None)
@given(seed=seeds, delay=st.integers(0, 12), level_db=st.floats(-20, 0))
def test_level_and_phase_between_the_ears_survive_in_every_bin(seed: int, delay: int, level_db: float) -> None:
    source = noise(seed, 60 * HOP).astype(np.float64)
    right = 10 ** (level_db / 20) * np.concatenate([np.zeros(delay), source])[: len(source)]
    sound = np.stack([source, right], 1)
    separator = Recorder(Leaky(look_ahead=0))
    heard, _ = hear(make_engine(separator, channels=2, gains_db=APART), sound)
    total = np.tensordot(np.stack(separator.masks), [1, 0.1, 0.001], (1, 0))
    for ear in range(2):  # one real mask a bin for both ears: neither level nor phase between them can change
        alone = through((FRONT.window, FRONT.synthesis_window, HOP), sound[None, :, ear], total)[0]
        np.testing.assert_allclose(heard[HOP:, ear], alone[:-HOP], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, floor_db=st.floats(-119, 0), channels=channel_counts, rate=rates)
def test_the_dry_floor_is_what_is_left_at_least(seed: int, floor_db: float, channels: int, rate: int) -> None:
    sound = noise(seed, rate // 8, channels)
    silent = dict.fromkeys(APART, -120.0)
    heard, _ = hear(make_engine(Leaky(), gains_db=silent, dry_floor_db=floor_db, rate=rate, channels=channels), sound)
    dry, _ = hear(make_engine(PassThrough(), rate=rate, channels=channels), sound)
    wanted = np.concatenate([np.zeros_like(dry[: 2 * HOP * rate // 16_000]), linear(floor_db) * dry])
    tolerance = 1e-3 * linear(floor_db)
    if 2 * HOP * rate % 16_000 == 0:  # elsewhere the look-ahead is no whole number of samples
        np.testing.assert_allclose(heard, wanted[: len(heard)], rtol=0, atol=tolerance)


# ------------------------------------------------------------------------------------------------------- the gains


@settings(max_examples=40, deadline=None)
@given(seed=seeds, share=st.floats(0, 1), first=gains_db, second=gains_db, rate=rates)
def test_each_source_is_heard_by_its_gain(seed: int, share: float, first: float, second: float, rate: int) -> None:
    sound = noise(seed, rate // 4, peak=0.02)
    separator = Shares({"speech": share, "noise": 1 - share})
    engine = make_engine(separator, rate=rate, gains_db={"speech": first, "noise": second})
    dry, sources = hear(make_engine(PassThrough(), rate=rate), sound)
    heard, sources = hear(engine, sound)
    np.testing.assert_allclose(heard, (share * linear(first) + (1 - share) * linear(second)) * dry, atol=1e-6)
    np.testing.assert_allclose(sources[0], share * dry, atol=1e-6)  # no gains here


@pytest.mark.parametrize("gains", [{"talker": -40.0, "talker-2": 0.0}, {"talker-2": 0.0, "talker": -40.0}])
def test_a_role_is_all_its_slots_and_a_slot_may_differ(gains: dict[str, float]) -> None:
    sound = noise(0, 4000)
    by_slot = make_engine(Leaky(), gains_db={"talker-1": -40.0, "talker-2": 0.0, "event": 0.0})
    np.testing.assert_array_equal(hear(make_engine(Leaky(), gains_db=gains), sound)[0], hear(by_slot, sound)[0])


@settings(max_examples=30, deadline=None)
@given(start=gains_db, end=gains_db, ramp_ms=st.sampled_from([0.0, 20.0, 200.0]))
def test_a_gain_glides_and_arrives(start: float, end: float, ramp_ms: float) -> None:
    sound = np.full(HOP, 0.01, np.float32)
    engine = make_engine(PassThrough(), gains_db={"all": start}, gain_ramp_ms=ramp_ms)
    for _ in range(4):
        before = engine.process(sound)[-1] / sound[-1]
    assert before == pytest.approx(linear(start), rel=1e-4, abs=1e-7)
    engine.set_gain("all", end)
    levels = [float(engine.process(sound)[-1] / sound[-1]) for _ in range(4 + 8 * max(5, round(ramp_ms / 4)))]
    steps = np.diff([before, *levels])
    distance = linear(end) - linear(start)
    assert np.all(steps * np.sign(distance) >= -1e-5 * max(1, abs(distance)))  # never back
    assert np.abs(steps).max() <= abs(distance) * min(1, 2.1 / (max(1, ramp_ms / 4) + 1)) + 1e-4 * linear(24)
    assert levels[-1] == pytest.approx(linear(end), rel=1e-4, abs=1e-4)


def test_at_minus_120_db_there_is_nothing() -> None:
    sound = noise(0, 16_000)
    engine = make_engine(Shares({"speech": 0.75, "noise": 0.25}))
    engine.set_gain("speech", -120)
    engine.set_gain("noise", -120)
    heard, sources = hear(engine, sound)
    assert heard[:1000].any()
    assert not heard[8000:].any()
    assert sources[:, 8000:].any()


def test_a_gain_of_no_source_or_out_of_range_is_refused_with_what_there_is() -> None:
    engine = make_engine(Leaky(), Shares())
    said = r"no source is called 'vocals'; there are \['event', 'noise', 'speech', 'talker-1', 'talker-2'\]"
    with pytest.raises(ConfigError, match=said):
        engine.set_gain("vocals", 0)
    for gain_db in (24.5, -121.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="between -120 and"):
            engine.set_gain("speech", gain_db)
    with pytest.raises(ConfigError, match="no source is called 'talker-3'"):
        make_engine(Leaky(), gains_db={"talker-3": 0.0})


# ------------------------------------------------------------------------------------------------- blocks in and out


@settings(max_examples=20, deadline=None)
@given(seed=seeds, rate=rates, channels=channel_counts)
def test_flush_gives_the_tail(seed: int, rate: int, channels: int) -> None:
    sound = noise(seed, 1777, channels)
    whole = make_engine(Leaky(), rate=rate, channels=channels, gains_db=APART)
    engine = make_engine(Leaky(), rate=rate, channels=channels, gains_db=APART)
    tail = engine.latency.samples
    wanted = hear(whole, np.concatenate([sound, np.zeros_like(sound[:1]).repeat(tail, 0)]))
    heard = hear(engine, sound)
    flushed = engine.flush(separate=True)
    assert flushed[0].shape == (tail, *sound.shape[1:])
    np.testing.assert_array_equal(np.concatenate([heard[0], flushed[0]]), wanted[0])
    np.testing.assert_array_equal(np.concatenate([heard[1], flushed[1]], 1), wanted[1])
    silence = engine.flush()
    assert isinstance(silence, np.ndarray)


def test_the_returned_array_is_the_engines_until_the_next_call() -> None:
    sound = noise(0, 4096)
    engine, reference = make_engine(Leaky()), make_engine(Leaky())
    first = engine.process(sound[:2048])
    kept = first.copy()
    second = engine.process(sound[2048:])
    assert np.shares_memory(first, second)
    assert not np.array_equal(first, kept)
    assert not np.shares_memory(first, sound)
    assert (first.dtype, first.shape) == (np.float32, (2048,))
    np.testing.assert_array_equal(np.concatenate([kept, second]), reference.process(sound))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_out_is_filled_and_returned_and_may_be_the_block_itself(dtype: type) -> None:
    sound = noise(0, 3000, 2)
    wanted = make_engine(Leaky(), channels=2).process(sound)
    out = np.full((3000, 2), 7, dtype)
    assert make_engine(Leaky(), channels=2).process(sound, out=out) is out
    np.testing.assert_array_equal(out.astype(np.float32), wanted)
    block = sound.astype(dtype)
    assert make_engine(Leaky(), channels=2).process(block, out=block) is block
    np.testing.assert_array_equal(block.astype(np.float32), wanted)
    backwards = np.zeros((2, 3000), dtype).T
    make_engine(Leaky(), channels=2).process(sound, out=backwards)
    np.testing.assert_array_equal(backwards.astype(np.float32), wanted)


@pytest.mark.parametrize(
    ("block", "channels"),
    [
        (np.zeros(64, np.float32), 2),
        (np.zeros((64, 1), np.float32), 2),
        (np.zeros((2, 64), np.float32), 2),
        (np.zeros((64, 2), np.float32), 1),
        (np.zeros((64, 1, 1), np.float32), 1),
        (np.float32(0)[...], 1),
        (np.zeros(64, np.int16), 1),
        (np.zeros(64, np.complex64), 1),
    ],
)
def test_a_block_of_the_wrong_shape_or_type_is_refused_and_changes_nothing(block: Array, channels: int) -> None:
    engine = make_engine(Leaky(), channels=channels)
    with pytest.raises(ConfigError, match="block: expected"):
        engine.process(block)
    assert engine.counters.hops == 0
    sound = noise(0, 1000, channels)
    np.testing.assert_array_equal(engine.process(sound), make_engine(Leaky(), channels=channels).process(sound))


@pytest.mark.parametrize("out", [np.zeros(63, np.float32), np.zeros((64, 1), np.float32), np.zeros(64, np.int16)])
def test_an_out_of_the_wrong_shape_or_type_is_refused(out: Array) -> None:
    with pytest.raises(ConfigError, match="out: expected"):
        make_engine(Leaky()).process(np.zeros(64, np.float32), out=out)


def test_an_out_that_is_read_only_is_refused_before_anything_is_lost() -> None:
    engine, sound, out = make_engine(Leaky()), noise(0, 1000), np.zeros(500, np.float32)
    before = engine.process(sound[:500]).copy()
    out.flags.writeable = False
    with pytest.raises(ConfigError, match=r"out: expected .* got one that is read-only"):
        engine.process(sound[500:], out=out)
    after = engine.process(sound[500:])
    np.testing.assert_array_equal(np.concatenate([before, after]), make_engine(Leaky()).process(sound))


def test_one_channel_may_have_an_axis_and_a_block_may_be_empty() -> None:
    sound = noise(0, 1000)
    heard = make_engine(Leaky()).process(sound[:, None])
    np.testing.assert_array_equal(heard[:, 0], make_engine(Leaky()).process(sound))
    engine = make_engine(Leaky(), channels=2)
    out, sources = engine.process(np.zeros((0, 2), np.float32), separate=True)
    assert (out.shape, sources.shape) == ((0, 2), (3, 0, 2))


@settings(max_examples=20, deadline=None)
@given(rate=rates, start=st.integers(0, 1500), look_ahead_ms=st.sampled_from([0.0, 2.0]))
def test_sources_may_be_asked_for_later_and_are_in_time(rate: int, start: int, look_ahead_ms: float) -> None:
    sound = noise(3, rate // 4)
    options = {"rate": rate, "gains_db": APART, "look_ahead_ms": look_ahead_ms}
    always, later = make_engine(Leaky(), **options), make_engine(Leaky(), **options)
    wanted = hear(always, sound)
    np.testing.assert_array_equal(later.process(sound[:start]), wanted[0][:start])
    heard, sources = later.process(sound[start:], separate=True)
    np.testing.assert_array_equal(heard, wanted[0][start:])
    settled = 2 * later.latency.samples
    np.testing.assert_array_equal(sources[:, settled:], wanted[1][:, start + settled :])


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_models_own_synthesis_window_is_the_same_as_none_to_the_bit(rate: int) -> None:
    sound = noise(0, rate // 2)
    own, none = (make_engine(Leaky(), rate=rate, gains_db=APART, synthesis_ms=ms) for ms in (8, None))
    for one, other in zip(hear(own, sound), hear(none, sound), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("synthesis_ms", [4, 2])
def test_before_the_first_step_of_the_models_every_source_has_an_equal_share(synthesis_ms: int) -> None:
    sound = noise(0, 1000)
    shares = Shares({"speech": 0.75, "noise": 0.25})
    engine = make_engine(shares, gains_db={"speech": 0, "noise": -120}, synthesis_ms=synthesis_ms)
    heard, sources = hear(engine, sound)
    late, step = engine.latency.samples, HOP - 16 * synthesis_ms
    np.testing.assert_allclose(heard[late : late + step], 0.5 * sound[:step], atol=1e-6)
    np.testing.assert_allclose(sources[:, late : late + step], [0.5 * sound[:step]] * 2, atol=1e-6)
    np.testing.assert_allclose(heard[late + HOP :], 0.75 * sound[HOP:-late], atol=1e-6)


# ------------------------------------------------------------------------------------------ the engine as an object


def test_hops_are_counted_and_so_are_those_that_were_limited() -> None:
    engine = make_engine(PassThrough(), rate=48_000)
    engine.process(np.full(10 * 192 + 50, 0.1, np.float32))
    assert (engine.counters.hops, engine.counters.limited_hops) == (10, 0)
    engine.process(noise(0, 10 * 192, peak=4.0))
    assert 0 < engine.counters.limited_hops <= 10


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize(
    ("options", "samples"),
    [({}, 0), ({"look_ahead_ms": 5.0}, 0), ({"look_ahead_ms": 5.0, "true_peak": True}, TAPS // 2)],
)
def test_the_limiters_look_ahead_is_in_the_ledger(rate: int, options: dict[str, object], samples: int) -> None:
    engine, plain = make_engine(PassThrough(), rate=rate, **options), make_engine(PassThrough(), rate=rate)
    expected = round(options.get("look_ahead_ms", 0.0) * rate / 1000) + samples
    assert engine.latency.terms["limiter"] == expected
    assert engine.latency.samples == plain.latency.samples + expected
    sound = noise(0, rate // 4)
    heard, sources = hear(engine, sound)
    assert lag_of(heard, sound) == engine.latency.samples
    assert lag_of(sources[0], sound) == engine.latency.samples


def test_the_default_front_end_is_8_ms_late_and_can_be_4_or_2() -> None:
    engine = make_engine(PassThrough())
    assert (engine.latency.samples, engine.latency.ms) == (128, 8.0)
    for synthesis_ms in (8, 4, 2):
        assert make_engine(PassThrough(), synthesis_ms=synthesis_ms).latency.ms == synthesis_ms
        late = make_engine(Leaky(look_ahead=3), synthesis_ms=synthesis_ms, rate=48_000).latency.terms
        assert late["gathering a hop"] == late["window"] == 24 * synthesis_ms
        assert late["look-ahead"] == 3 * 192
    assert make_engine(Leaky(look_ahead=3)).latency.ms == 20.0
    assert make_engine(PassThrough(), rate=48_000).latency.terms["gathering a hop"] == 192


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"channels": 0}, "channels must be from 1 to 256"),
        ({"rate": 4000}, "rate must be from 8000"),
        ({"rate": 16_000.5}, "whole number"),
        ({"rate": 44_101}, "no practical multiple"),
        ({"look_ahead_ms": -1.0}, "look_ahead_ms"),
        ({"gains_db": {"all": 25.0}}, "gains_db.all"),
        ({"front_end": FrontEnd(16_000, 256, 128, 64)}, "bins: the front end has 129, separator 'a' 257"),
        ({"rate": 8000, "front_end": FrontEnd(16_000, 512, 2, 1)}, "shorter than a sample"),
        ({"synthesis_ms": 16}, "synthesis_ms: at most 8 ms, as the models were trained, got 16"),
        ({"synthesis_ms": 0}, "synthesis_ms: at most 8 ms"),
        ({"synthesis_ms": math.nan}, "synthesis_ms: at most 8 ms"),
        ({"synthesis_ms": 3}, "must divide the models' step of 64 samples; 3 ms are 48 samples"),
        ({"synthesis_ms": 0.4}, "0.4 ms are 6.4 samples"),
    ],
)
def test_what_cannot_be_is_refused_when_the_engine_is_made(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_engine(PassThrough(), **arguments)  # type: ignore[arg-type]


def test_a_closed_engine_lets_go_of_its_separators_and_refuses_to_go_on() -> None:
    separators = [Leaky(), Leaky()]
    with make_engine(*separators) as engine:
        engine.select("b")
        engine.process(noise(0, 1000))
    alive = [weakref.ref(separator) for separator in separators]
    separators.clear()
    gc.collect()
    assert [separator() for separator in alive] == [None, None]
    for refused in (
        lambda: engine.process(np.zeros(64, np.float32)),
        lambda: engine.flush(),
        lambda: engine.select("b"),
        lambda: engine.set_gain("event", 0),
        lambda: engine.reset(),
    ):
        with pytest.raises(StreamsepError, match="this engine is closed"):
            refused()
    engine.close()
    assert (engine.domain, engine.sources, engine.counters.hops) == ("a", ("talker-1", "talker-2", "event"), 15)
