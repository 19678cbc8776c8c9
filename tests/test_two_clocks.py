"""A device with one clock, another with another: what is heard is as late as it was, and never breaks."""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsep.arrays import Samples
from streamsep.models.subject import memory_of
from streamsep.realtime.fractional import TAPS, Fractional
from streamsep.realtime.two_clocks import EXCESS_S, MARGIN_S, MOST, STEEPEST, Gaps, Pace, Stairs, TwoClocks

RATE = 8000  # what the laws say in seconds holds at any rate; a low one is soon computed
SETTLED_S = 20.0


# ------------------------------------------------------------------------------------------------ between the samples


def resampled(sound: Samples, ratio: float, sizes: Callable[[], int]) -> Samples:
    """(lanes, samples) -> (lanes, samples), in calls of these sizes."""
    reader, at, heard = Fractional(len(sound)), TAPS, []
    reader.begin(0.25)[:] = sound[:, :TAPS]
    while True:
        count = sizes()
        room = reader.room(count, ratio)
        if at + room.shape[1] > sound.shape[1]:
            return np.concatenate(heard, axis=1)
        room[:] = sound[:, at : at + room.shape[1]]
        at += room.shape[1]
        heard.append(reader.process(count, ratio).copy())


@pytest.mark.parametrize("ratio", [0.9985, 0.999, 0.9998, 1.0, 1.0002, 1.001, 1.0015])
@pytest.mark.parametrize("share", [0.003, 0.1, 0.3, 0.55, 0.7, 0.8, 0.83])
def test_a_sine_stays_a_sine_where_it_should_be(ratio: float, share: float) -> None:
    """share: of the Nyquist frequency."""
    pace = np.pi * share
    heard = resampled(np.sin(pace * np.arange(20_000))[np.newaxis], ratio, lambda: 64)[0]
    moments = TAPS / 2 - 1 + 0.25 + np.arange(len(heard)) * ratio
    waves = np.stack([np.sin(pace * moments), np.cos(pace * moments)], axis=1)
    found, *_ = np.linalg.lstsq(waves, heard, rcond=None)
    rest = heard - waves @ found
    assert len(heard) > 19_000
    assert abs(20 * np.log10(np.hypot(*found))) < 0.01
    assert abs(found[1]) < 1e-4
    assert 20 * np.log10(np.std(rest) / np.std(heard)) < -79


def test_it_does_not_matter_how_the_outputs_are_cut() -> None:
    random = np.random.default_rng(0)
    sound = random.normal(size=(2, 5000))
    whole = resampled(sound, 1.0003, lambda: 64)
    pieces = resampled(sound, 1.0003, lambda: int(random.integers(1, 65)))
    count = min(whole.shape[1], pieces.shape[1])
    assert count > 4800
    np.testing.assert_allclose(pieces[:, :count], whole[:, :count], atol=1e-7)


# ---------------------------------------------------------------------------------------------------------- the loop


@pytest.mark.parametrize("drift", [200e-6, -200e-6, 50e-6, 900e-6, 1000e-6, -1000e-6])
def test_hours_of_drift_are_followed_and_what_waits_stays_on_its_target(drift: float) -> None:
    pace, random = Pace(RATE), np.random.default_rng(1)
    a_second = 50  # calls
    count, error, speeds, errors = RATE // a_second, 0.0, [0.0], []
    late = (random.uniform(-1e-3, 1e-3, 2 * 3600 * a_second) * RATE).tolist()
    for jitter in late:
        error += count * (drift - pace.speed)
        assert pace.follow(error + jitter, count) == 1 + pace.speed
        speeds.append(pace.speed)
        errors.append(error)
    settled = round(SETTLED_S * a_second)
    assert np.max(np.abs(errors)) < MARGIN_S * RATE  # no gap, even while it learns
    assert np.max(np.abs(errors[settled:])) < 0.0005 * RATE
    assert np.mean(speeds[settled:]) == pytest.approx(drift, abs=2e-6)
    assert np.std(speeds[settled:]) < 60e-6
    assert np.max(np.abs(speeds)) <= MOST
    assert np.max(np.abs(np.diff(speeds))) <= STEEPEST / a_second * 1.0001


def test_a_clock_that_no_sound_card_has_is_followed_as_far_as_is_allowed() -> None:
    pace, error = Pace(RATE), 0.0
    for _ in range(3000):
        error += 80 * (0.01 - pace.speed)
        pace.follow(error, 80)
    assert pace.speed == MOST


# ------------------------------------------------------------------------------------------------------- the whole


@dataclass
class Devices:
    """Two of them, simulated: each calls when its clock says so, or up to `jitter_s` later. One whose own blocks are
    others than those of the calls calls as often as it can when it has one, and keeps the rest."""

    drift: float = 0.0  # of the input's clock, by which it is faster
    written: int = 64  # their blocks
    read: int = 64
    own_written: int = 0  # their own blocks, where they are others
    own_read: int = 0
    jitter_s: float = 0.0
    absent: dict[str, tuple[float, float]] = field(default_factory=dict)  # when a side does not call
    sound: Callable[[Samples], Samples] = lambda moments: moments  # of each sample, by its number

    def calls(
        self, side: str, seconds: float, random: np.random.Generator
    ) -> Iterator[tuple[float, str, float, int]]:
        """When, who, when the first sample of the call came in, or goes out, and its number."""
        is_input = side == "input"
        rate = RATE * (1 + self.drift) if is_input else RATE
        block = self.written if is_input else self.read
        own = (self.own_written if is_input else self.own_read) or block
        due_s = (np.arange(int(seconds * rate / own)) + (1 if is_input else 0.37)) * own / rate
        from_s, to_s = self.absent.get(side, (0.0, 0.0))
        kept = count = 0
        for due in due_s[(due_s < from_s) | (due_s >= to_s)].tolist():
            now_s = due + random.uniform(0, self.jitter_s)
            if is_input:
                count = round(due * rate) - kept - own  # after a pause, later ones
                kept += own
                while kept >= block:
                    yield now_s, side, count / rate, count
                    kept, count, now_s = kept - block, count + block, now_s + 1e-5
            else:
                while kept < own:
                    yield now_s, side, due + kept / rate, 0
                    kept, now_s = kept + block, now_s + 1e-5
                kept -= own

    def run(self, seconds: float) -> "Heard":
        random = np.random.default_rng(2)
        stairs = {"input": Stairs(RATE), "output": Stairs(RATE)}
        calls = sorted(call for side in stairs for call in self.calls(side, seconds, random))
        for now_s, side, *_ in calls:
            if now_s < 0.5:
                stairs[side].step(self.written if side == "input" else self.read, now_s)
        clocks = TwoClocks(RATE, 1, stairs["input"].width, stairs["output"].width)
        heard = Heard(clocks)
        for now_s, side, due_s, count in calls:
            if side == "input":
                moments = np.arange(count, count + self.written)
                clocks.write(self.sound(moments).astype(np.float32)[:, np.newaxis], now_s)
            else:
                out = np.full((self.read, 1), np.nan, np.float32)
                clocks.read(out, now_s)
                heard.add(due_s, due_s * RATE * (1 + self.drift), out[:, 0])
        return heard


@dataclass
class Heard:
    """What came out, call by call."""

    clocks: TwoClocks
    due_s: list[float] = field(default_factory=list)
    given: list[float] = field(default_factory=list)  # samples the input's clock has counted by then
    blocks: list[Samples] = field(default_factory=list)

    def add(self, due_s: float, given: float, block: Samples) -> None:
        self.due_s.append(due_s)
        self.given.append(given)
        self.blocks.append(block)

    @property
    def sound(self) -> Samples:
        return np.concatenate(self.blocks)

    def errors(self, from_s: float, to_s: float = np.inf) -> Samples:
        """How much later each call's first sample is than it should be; in samples. Each sample is its own number."""
        chosen = (np.array(self.due_s) >= from_s) & (np.array(self.due_s) < to_s)
        firsts = np.array([block[0] for block in self.blocks])
        return (np.array(self.given) - firsts - self.clocks.delay)[chosen]


@pytest.mark.parametrize(
    "devices",
    [
        Devices(200e-6, jitter_s=0.001),
        Devices(-200e-6, jitter_s=0.001),
        Devices(50e-6),
        Devices(900e-6, 37, 160, jitter_s=0.002),
        Devices(1000e-6, jitter_s=0.001),
        Devices(-1000e-6, 160, 64, jitter_s=0.001),
        Devices(-200e-6, 160, 37, jitter_s=0.002),
        Devices(0.0, 80, 80, jitter_s=0.0),
    ],
)
def test_two_devices_are_as_far_apart_as_they_should_be(devices: Devices) -> None:
    heard = devices.run(40.0)
    blocks = devices.written + devices.read
    least = blocks + TAPS / 2 + MARGIN_S * RATE
    assert least - 0.1 <= heard.clocks.delay <= least + (2 * devices.jitter_s + 0.001) * RATE
    assert heard.clocks.gaps == Gaps()
    assert np.max(np.abs(heard.errors(1.0))) < MARGIN_S * RATE
    late = heard.errors(SETTLED_S)
    assert np.max(np.abs(late)) < 0.0005 * RATE
    assert abs(np.mean(late)) < 0.0002 * RATE
    assert heard.clocks.pace.speed == pytest.approx(devices.drift, abs=100e-6)
    steps = np.diff(heard.sound[RATE:])
    np.testing.assert_allclose(steps, 1, atol=0.05)  # every sample follows the one before it


@pytest.mark.parametrize(
    "devices",
    [
        Devices(50e-6, 64, 64, 256, 0),
        Devices(50e-6, 64, 64, 0, 256, jitter_s=0.0005),
        Devices(-200e-6, 40, 32, 160, 160, jitter_s=0.001),
        Devices(200e-6, 160, 128, 40, 16, jitter_s=0.001),
    ],
)
def test_blocks_that_are_cut_out_of_longer_or_shorter_ones_are_as_late_as_they_should_be(devices: Devices) -> None:
    heard = devices.run(40.0)
    assert heard.clocks.gaps == Gaps()
    assert np.max(np.abs(heard.errors(1.0))) < MARGIN_S * RATE
    late = heard.errors(SETTLED_S)
    assert np.max(np.abs(late)) < 0.0005 * RATE
    assert abs(np.mean(late)) < 0.0002 * RATE
    np.testing.assert_allclose(np.diff(heard.sound[RATE:]), 1, atol=0.05)


@pytest.mark.parametrize("block", [100, 37])
@pytest.mark.parametrize("own", [64, 256])
def test_of_blocks_that_do_not_fit_into_each_other_no_more_is_kept_than_one_on_either_side(
    block: int, own: int
) -> None:
    heard = Devices(50e-6, block, block, own, own).run(40.0)
    assert heard.clocks.gaps == Gaps()
    late = heard.errors(SETTLED_S)
    assert np.min(late) > -0.0005 * RATE
    assert np.max(late) < 2 * min(block, own)


@given(block=st.integers(16, 200), many=st.integers(1, 6), at_s=st.floats(0, 1e5))
def test_a_devices_own_block_is_what_comes_at_once(block: int, many: int, at_s: float) -> None:
    stairs = Stairs(RATE)
    for call in range(20):
        for _ in range(many):
            stairs.step(block, at_s + call * many * block / RATE)
    assert stairs.block == many * block
    assert stairs.width == pytest.approx(many * block, abs=1e-5 * RATE)


@pytest.mark.parametrize("absent_s", [0.03, 0.1, 0.4, 3.0])
@pytest.mark.parametrize("side", ["input", "output"])
def test_after_a_stall_the_sound_is_as_late_as_before_it_and_the_stall_is_counted(side: str, absent_s: float) -> None:
    devices = Devices(200e-6, jitter_s=0.0005, absent={side: (20.0, 20.0 + absent_s)})
    heard = devices.run(30.0)
    if side == "input":
        assert heard.clocks.gaps == Gaps(stalls=1)
    else:
        assert heard.clocks.gaps == Gaps(floods=1)
    before, after = heard.errors(15.0, 20.0), heard.errors(20.0 + absent_s + 0.3)
    assert np.max(np.abs(before)) < 0.0005 * RATE
    assert np.max(np.abs(after)) < 0.001 * RATE
    assert np.mean(after) == pytest.approx(np.mean(before), abs=0.0005 * RATE)


def test_what_waits_in_excess_is_bounded() -> None:
    """However long the output was away, a third of a second later no more waits than it should."""
    for absent_s in np.linspace(0.004, 0.6, 9):
        heard = Devices(jitter_s=0.0005, absent={"output": (3.0, 3.0 + absent_s)}).run(5.0)
        assert np.max(np.abs(heard.errors(3.0 + absent_s + 0.35))) < EXCESS_S * RATE * 1.1


@pytest.mark.parametrize("side", ["input", "output"])
@pytest.mark.parametrize("absent_s", [0.02, 0.06, 0.7])
def test_no_gap_is_heard_as_a_click(side: str, absent_s: float) -> None:
    pace = 2 * np.pi * 50 / RATE
    devices = Devices(
        200e-6, absent={side: (2.0, 2.0 + absent_s)}, sound=lambda moments: 0.5 + 0.4 * np.sin(pace * moments)
    )
    heard = devices.run(4.0)
    gaps = heard.clocks.gaps
    assert (gaps.stalls, gaps.floods) == ((1, 0) if side == "input" else (0, 1))
    steepest_fade = np.pi / 2 / (0.005 * RATE)
    assert np.max(np.abs(np.diff(heard.sound))) < 0.4 * pace + 2 * 0.9 * steepest_fade
    assert np.max(heard.sound) < 2 * 0.9
    assert np.max(np.abs(heard.sound[-RATE:])) == pytest.approx(0.9, abs=0.01)
    if side == "input" and absent_s > 0.1:
        middle = int(2.5 * RATE)
        assert not heard.sound[middle : middle + 100].any()


def test_before_there_is_enough_there_is_silence() -> None:
    clocks = TwoClocks(RATE, 2, 64, 64)
    out = np.full((64, 2), np.nan, np.float32)
    for at in range(2):
        clocks.read(out, at * 0.008)
        assert not out.any()
    assert clocks.gaps == Gaps()


def test_a_call_takes_next_to_no_memory() -> None:
    clocks = TwoClocks(48_000, 2, 256, 256)
    block, out, now_s = np.ones((256, 2), np.float32), np.zeros((256, 2), np.float32), 0.0

    def call() -> None:
        nonlocal now_s
        now_s += 256 / 48_000
        clocks.write(block, now_s)
        clocks.read(out, now_s)
        if round(now_s * 1000) % 7 == 0:
            clocks.read(out, now_s)  # so that there are gaps

    memory = memory_of(call, 1000)
    assert out.any()
    assert clocks.gaps.stalls > 0
    assert memory.peak < 4096
    assert memory.kept < 1024


def test_two_threads_hand_over_every_sample_in_order() -> None:
    clocks, count = TwoClocks(RATE, 1, 128, 64), 40_000  # one block early counts as wide as two
    written = threading.Semaphore(0)
    read = threading.Semaphore(1)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def write() -> None:
        for at in range(0, count, 64):
            read.acquire()
            clocks.write(np.arange(at, at + 64, dtype=np.float32)[:, np.newaxis], (at + 64) / RATE)
            written.release()

    thread = threading.Thread(target=write)
    thread.start()
    heard = []
    try:
        for at in range(0, count, 64):
            written.acquire()
            out = np.zeros((64, 1), np.float32)
            clocks.read(out, (at + 64) / RATE)
            heard.append(out[:, 0])
            read.release()
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert clocks.gaps == Gaps()
    sound = np.concatenate(heard)[RATE:]
    np.testing.assert_allclose(np.diff(sound), 1, atol=0.02)
