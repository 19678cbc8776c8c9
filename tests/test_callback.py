"""What the callback does to every block, and what it counts."""

import contextlib
import gc
import json
import tracemalloc

import numpy as np
import pytest
from fakes import FRONT, PassThrough, make_engine
from hypothesis import given
from hypothesis import strategies as st
from strategies import noise

from streamsep.audio.callback import Callback
from streamsep.audio.live import collector_frozen
from streamsep.audio.tallies import Times
from streamsep.realtime.edges import FAULT_FADE_S, START_FADE_S, STOP_FADE_S
from streamsep.realtime.howl import HowlGuard
from streamsep.realtime.journal import Journal
from streamsep.realtime.overload import HIGHEST, LATE_IN_A_ROW, RECOVER_S, SETTLE_S

RATE = 1000
RISE, FALL = round(START_FADE_S * RATE), round(STOP_FADE_S * RATE)
DROP = round(FAULT_FADE_S * RATE)


class Through:
    """An engine that changes nothing, and fails when told to."""

    rate = RATE
    channels = 2

    def __init__(self):
        self.fails = False
        self.relieved = []
        self.steps = 0  # a hop a call
        self.journal = Journal()

    def process(self, block, out):
        if self.fails:
            raise ArithmeticError("a number went missing")
        out[:] = block
        self.steps += 1
        return out

    def relieve(self, level):
        self.relieved.append(level)


class Flags:
    """What PortAudio says; nothing, unless named."""

    def __init__(self, *named):
        for name in ("input_underflow", "input_overflow", "output_underflow", "output_overflow"):
            setattr(self, name, name in named)
        self.named = named

    def __bool__(self):
        return bool(self.named)


class Now:
    """A moment of the device's clock."""

    def __init__(self, seconds=0.0):
        self.currentTime = seconds


QUIET, NOW = Flags(), Now()


def heard(callback, frames, flags=QUIET, value=1.0, now=NOW):
    """What one callback makes of a constant."""
    out = np.full((frames, 2), np.nan, np.float32)
    callback(np.full((frames, 2), value, np.float32), out, frames, now, flags)
    return out


# ---------------------------------------------------------------------------------------------------- the callback


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_the_sound_rises_from_nothing_to_itself_however_the_blocks_are_cut(blocks):
    callback = Callback(Through())
    out = np.concatenate([heard(callback, frames) for frames in blocks])
    assert out[0, 0] == 0
    assert np.all(np.diff(out[:, 0]) >= 0)
    assert np.all(out[RISE:] == 1)
    assert np.array_equal(out, heard(Callback(Through()), len(out)))


@given(before=st.integers(1, 1200), blocks=st.lists(st.integers(1, 150), min_size=1, max_size=8))
def test_a_stop_fades_from_wherever_the_sound_was_to_silence_that_lasts(before, blocks):
    callback = Callback(Through())
    loud = heard(callback, before)[-1, 0]
    assert not callback.silent
    callback.stop()
    out = np.concatenate([heard(callback, frames) for frames in blocks])
    assert np.all(out[:1, 0] >= 0.99 * loud)
    assert np.all(out[FALL:] == 0)
    assert callback.silent == (len(out) >= FALL)


@given(frames=st.integers(1, 400), loud=st.floats(-1, 1, width=32), failing=st.integers(1, 3))
def test_an_engine_that_fails_is_heard_as_a_fall_to_silence_and_comes_back_faded_in(frames, loud, failing):
    engine = Through()
    callback = Callback(engine)
    before = heard(callback, 2 * RISE, value=loud)
    engine.fails = True
    silent = np.concatenate([heard(callback, frames, value=loud) for _ in range(failing)])
    engine.fails = False
    back = heard(callback, 2 * RISE, value=loud)
    sound = np.concatenate([before[-1:], silent, back])[:, 0]
    steepest = max(np.pi / 2 / DROP, np.pi / 2 / RISE) * abs(loud) + 1e-6
    assert np.all(np.abs(np.diff(sound)) <= steepest + abs(loud) * np.pi / 2 / RISE)
    assert np.all(silent[DROP:] == 0)
    assert np.all(back[RISE:] == np.float32(loud))
    assert callback.report()["faults"] == failing
    assert isinstance(callback.first_fault, ArithmeticError)


CAUSES = {  # took, computed, late, all of a period of one second
    "deadline": (1.5, 1.4, 0.0),
    "interpreter": (1.5, 0.1, 0.0),
    "device": (0.2, 0.1, 0.0),
    "interpreter, before we began": (0.2, 0.1, 0.9),
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(CAUSES)),
            st.sampled_from(["input_underflow", "output_underflow", "input_overflow", "output_overflow"]),
        ),
        max_size=20,
    )
)
def test_every_gap_is_counted_once_under_its_cause(gaps):
    callback = Callback(Through())
    heard(callback, RATE)
    for second, (cause, flag) in enumerate(gaps, 1):
        callback._took_s, callback._computed_s, callback._late_s = CAUSES[cause]
        for piece in (RATE // 2, RATE // 2):  # PortAudio says it of every piece
            heard(callback, piece, Flags(flag), now=Now(second))
    report = callback.report()
    for kind in ("underrun", "overrun"):
        counted = [cause.split(",")[0] for cause, flag in gaps if flag.endswith(kind.replace("run", "flow"))]
        assert report[f"{kind}s"] == {cause: counted.count(cause) for cause in ("deadline", "interpreter", "device")}
    kinds = ["under" if "underflow" in flag else "over" for _, flag in gaps]
    assert callback.gaps == max(kinds.count("under"), kinds.count("over"))  # JACK reports every gap as both


@given(late_s=st.floats(0, 0.5), jump_s=st.sampled_from([0.0, 1e5, -1e5]))
def test_waiting_for_the_interpreter_is_part_of_the_load_but_a_jump_of_the_clock_is_not(late_s, jump_s):
    callback = Callback(Through())
    callback.device_clock = lambda: late_s + jump_s
    heard(callback, 1000)  # a second
    if jump_s:
        assert callback.load < 0.5
    else:
        assert callback.load >= late_s


@pytest.mark.parametrize("periods", [1, 3])
def test_no_callback_is_later_than_the_sound_that_jack_has_asked_for_since(periods):
    """Its clock may jump while a callback begins that comes after a long time, for which JACK itself stood still."""
    callback, asked = Callback(Through()), iter([RATE, (1 + periods) * RATE // 10 + RATE])
    callback.hold_ups.asked = lambda: next(asked)
    clock = [0.0, 0.0, 0.9, 0.9]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamsep.audio.callback.time.perf_counter", lambda: clock.pop(0))
        heard(callback, RATE // 10)
        callback.device_clock = lambda: 0.35
        heard(callback, RATE // 10, now=Now(1e-9))
    assert callback.load == pytest.approx(3.5 if periods == 3 else 0)


@given(passed_s=st.floats(0.001, 0.4), late_s=st.floats(0.0005, 2.0), before_s=st.floats(0, 0.1))
def test_no_callback_is_later_than_time_has_passed_since_the_one_before(passed_s, late_s, before_s):
    """JACK's clock jumps by hundreds of milliseconds when it has an xrun; ours does not."""
    callback, late = Callback(Through()), [before_s, late_s]
    callback.device_clock = lambda: late[0]
    clock = [0.0, 0.0, passed_s, passed_s]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamsep.audio.callback.time.perf_counter", lambda: clock.pop(0))
        heard(callback, 1000)  # a second
        late.pop(0)
        heard(callback, 1000)
    possible = late_s < before_s + passed_s and late_s < 1
    assert callback.load == pytest.approx(late_s if possible else 0)
    assert callback.worst_load == pytest.approx(max(before_s, late_s if possible else 0))
    assert callback.worst_load <= before_s + passed_s


def test_an_overloaded_callback_relieves_the_engine_and_says_so(monkeypatch):
    engine = Through()
    callback = Callback(engine)
    clock = iter(np.arange(0.0, 1e6, 0.5))
    monkeypatch.setattr("streamsep.audio.callback.time.perf_counter", lambda: next(clock))
    for _ in range(12):
        heard(callback, 300)  # 0.3 s of sound in half a second
    assert engine.relieved == [1, 2, 3]
    assert callback.report()["overload"] == 3


class Slow(PassThrough):
    """A separator that takes so much of a made-up time for every hop."""

    takes_s = 0.0
    now_s = 0.0

    def process(self, spectrum, samples):
        self.now_s += self.takes_s
        return super().process(spectrum, samples)


@pytest.mark.parametrize(
    ("block", "path"),
    [(64, {}), (128, {}), (256, {}), (64, {"synthesis_ms": 2.0}), (64, {"path": "minimum-phase"})],
)
def test_a_model_that_is_too_slow_is_given_up_and_taken_back_whatever_the_blocks(monkeypatch, block, path):
    rate, separator = 48_000, Slow()
    engine = make_engine(separator, rate=rate, fade_ms=20, warm_up_ms=20, **path)
    callback = Callback(engine)
    monkeypatch.setattr("streamsep.audio.callback.time.perf_counter", lambda: separator.now_s)
    sound = noise(0, rate)[:, None]
    given, heard = [], []

    def play(seconds):
        """The levels after each callback."""
        levels = []
        for turn in range(round(seconds * rate / block)):
            given.append(sound[turn * block % (rate - block) :][:block])
            heard.append(np.full((block, 1), np.nan, np.float32))
            callback(given[-1], heard[-1], block, NOW, QUIET)
            levels.append(callback.overload.level)
        return levels

    separator.takes_s = 0.9 * block / rate
    assert set(play(0.5)) == {0}
    separator.takes_s = 1.1 * block / rate  # in every hop a period is missed, in between there is nothing to do
    hop_s = FRONT.hop / FRONT.sample_rate
    levels = play(HIGHEST * (SETTLE_S + (LATE_IN_A_ROW + 1) * hop_s))
    assert (levels[0], levels[-1]) == (0, HIGHEST)
    assert levels == sorted(levels)
    play(0.1)  # in which the fade to the dry sound ends
    assert engine.dry
    separator.takes_s = 0.0
    assert play(HIGHEST * RECOVER_S + 0.5)[-1] == 0
    assert not engine.dry
    late, begin = engine.latency.samples, round(START_FADE_S * rate)
    given, heard = np.concatenate(given), np.concatenate(heard)
    assert (
        np.abs(heard[begin:] - given[begin - late : len(given) - late]).max() < 1e-4
    )  # as late as ever, all the time


@given(st.lists(st.floats(-1, 1, width=32), min_size=1), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_is_no_peak(values, strange):
    callback = Callback(Through())
    block = np.float32([values, values, [strange] * len(values)]).T  # of the input: the engine's output is clean
    callback._measure(block[:, 2:], block[:, :2])
    assert callback.peaks == [0.0, max(abs(np.float32(value)) for value in values)]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20))
def test_the_peaks_are_those_of_everything_since_they_were_set_back(values):
    callback = Callback(Through())
    callback._edges._risen = RISE
    for value in values:
        heard(callback, 3, value=value)
    loudest = max(abs(np.float32(value)) for value in values)
    assert callback.peaks == [loudest, loudest]


def test_the_report_orders_its_times_and_knows_the_period():
    callback = Callback(Through())
    for _ in range(50):
        heard(callback, 8)
    report = callback.report()
    times = Times().heard(report["times"]).summary(report["seconds"] / report["callbacks"])
    assert times["period_ms"] == 8.0
    assert 0 < times["p50_ms"] <= times["p99_ms"] <= times["p999_ms"] <= times["max_ms"]
    json.dumps(callback.report(), allow_nan=False)


def test_the_callback_keeps_nothing_and_makes_no_arrays():
    callback = Callback(Through())
    block, out = np.ones((4, 2), np.float32), np.ones((4, 2), np.float32)

    def many(count):
        for _ in range(count):
            callback(block, out, 4, NOW, QUIET)

    many(300)
    tracemalloc.start()
    many(10)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    many(1000)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1024
    assert peak - before < 4096


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_held_still_and_then_as_it_was(enabled):
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with contextlib.suppress(ValueError), collector_frozen():
            assert not gc.isenabled()
            assert gc.get_freeze_count() > 0
            raise ValueError
        assert gc.isenabled() == enabled
        assert gc.get_freeze_count() == 0
    finally:
        (gc.enable if was else gc.disable)()


# -------------------------------------------------------------------------------------------------------- its times


@given(st.lists(st.floats(1e-6, 9.0), min_size=1, max_size=300), st.sampled_from([0.5, 0.99, 0.999]))
def test_a_quantile_is_that_of_the_durations_to_within_a_percent(durations, share):
    times = Times()
    for seconds in durations:
        times.add(seconds)
    exact = sorted(durations)[max(0, int(np.ceil(share * len(durations))) - 1)]
    assert exact * 0.999 <= times.quantile_s(share) <= exact * 1.0101
    assert times.longest_s == max(durations)


@given(st.lists(st.lists(st.floats(0, 20), max_size=30), max_size=4))
def test_times_that_were_told_add_up_to_the_times_of_all(parts):
    every, told = Times(), Times()
    for part in parts:
        times = Times()
        for seconds in part:
            times.add(seconds)
            every.add(seconds)
        told.heard(json.loads(json.dumps(times.told())))
    assert np.array_equal(every.counts, told.counts)
    assert every.longest_s == told.longest_s


def test_without_a_callback_there_are_no_times():
    assert set(Times().summary(None).values()) == {None}


def test_a_guard_hears_what_the_engine_gives_and_turns_down_what_is_heard():
    guarded, bare = Callback(Through(), HowlGuard(16_000, 2, start_db=-40)), Callback(Through())
    for _ in range(RISE // 100):
        heard(guarded, 100)
        heard(bare, 100)
    assert np.all(heard(guarded, 10) < 0.02)
    assert np.all(heard(bare, 10) == 1)
