"""The tape: every sample once, in time, or the truth about where it is missing; and a writer that notices nothing."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import streamsep
from streamsep.arrays import Array
from streamsep.models.subject import memory_of
from streamsep.realtime.tape import MARKS, Tape, TapeReader, tape_size
from streamsep.sharing import Block, open_block

ROOT = Path(streamsep.__file__).parents[1]


def pair(channels: int, samples: int) -> tuple[Tape, TapeReader]:
    memory = np.zeros(tape_size(channels, samples), np.uint8)
    return Tape(memory, channels, samples), TapeReader(memory, channels, samples)


def sound(at: int, count: int, channels: int) -> Array:
    """(count, channels) of the samples from `at` on: no two near each other are alike."""
    numbers: Array = np.float32((np.arange(at, at + count)[:, None] * channels + np.arange(channels)) % 2**23 + 1)
    return numbers


class Kept:
    """What a reader makes of a tape: sound, and silence for what was lost."""

    def __init__(self, reader: TapeReader) -> None:
        self.reader, self.gaps = reader, list[tuple[int, int]]()
        self.samples = 0

    def look(self) -> int:
        """Take what there is and check it; how many samples that was."""
        taken = 0
        for stretch in self.reader.stretches():
            if stretch.lost:
                assert len(stretch.input) == len(stretch.output) == 0
                self.gaps.append((self.samples, stretch.lost))
                self.samples += stretch.lost
                continue
            count, channels = stretch.input.shape
            expected = sound(self.samples, count, channels)
            np.testing.assert_array_equal(stretch.input, expected)
            np.testing.assert_array_equal(stretch.output, -expected)
            self.samples += count
            taken += count
        return taken


@settings(max_examples=100, deadline=None)
@given(
    channels=st.integers(1, 4),
    room=st.integers(1, 200),
    steps=st.lists(st.one_of(st.integers(0, 120), st.just("look")), max_size=60),
)
def test_every_sample_is_where_it_was_and_every_gap_is_as_long_as_what_was_lost(
    channels: int, room: int, steps: list[int | str]
) -> None:
    tape, reader = pair(channels, room)
    kept, offered, lost = Kept(reader), 0, []
    for step in steps:
        if isinstance(step, str):
            kept.look()
            continue
        before = tape.lost
        block = sound(offered, step, channels)
        tape.write(block, -block)
        if tape.lost > before:
            assert tape.lost == before + step
            lost.append((offered, step))
        offered += step
        assert tape.kept + tape.waiting + tape.lost == offered
        assert 0 <= tape.waiting <= room
    kept.look()
    kept.look()
    assert tape.waiting == 0
    assert kept.samples + reader.lost_since == offered
    assert reader.lost + reader.lost_since == tape.lost
    missing = {at + more for at, count in lost for more in range(count)}
    found = {at + more for at, count in kept.gaps for more in range(count)}
    assert found | set(range(kept.samples, offered)) == missing


def test_a_reader_that_stops_and_goes_on_for_ever_misses_no_mark() -> None:
    tape, reader = pair(1, 100)
    kept, at, random = Kept(reader), 0, np.random.default_rng(0)
    for _ in range(3000):
        count = int(random.integers(0, 120))
        block = sound(at, count, 1)
        tape.write(block, -block)
        at += count
        if random.random() < 0.15:
            kept.look()
    kept.look()
    kept.look()
    assert kept.samples + reader.lost_since == at
    assert len(kept.gaps) > 10 * MARKS


def test_what_was_just_written_is_believed_at_the_next_look_only() -> None:
    tape, reader = pair(2, 100)
    kept = Kept(reader)
    block = sound(0, 10, 2)
    tape.write(block, -block)
    assert kept.look() == 0
    assert kept.look() == 10
    assert kept.look() == 0


def test_nobody_reading_costs_the_sound_and_not_the_writer() -> None:
    tape, _ = pair(2, 1000)
    block = sound(0, 64, 2)
    for _ in range(100):
        tape.write(block, block)
    assert (tape.waiting, tape.lost, tape.kept) == (15 * 64, 85 * 64, 0)


def test_why_the_reader_gave_up_can_be_asked_of_the_tape() -> None:
    tape, reader = pair(1, 10)
    assert tape.fault == 0
    reader.give_up(28)
    assert tape.fault == 28


WRITER = """
import sys, time
import numpy as np
from streamsep.sharing import open_block
from streamsep.realtime.tape import Tape
file, channels, room, total = map(int, sys.argv[1:])
tape = Tape(open_block(file), channels, room)
random, at = np.random.default_rng(0), 0
print("ready", flush=True)
sys.stdin.readline()
while at < total:
    count = int(random.integers(0, 300))
    block = np.float32((np.arange(at, at + count)[:, None] * channels + np.arange(channels)) % 2**23 + 1)
    tape.write(block, -block)
    at += count
    if random.random() < 0.01:
        time.sleep(0.001)
print(at, tape.lost)
"""


def test_two_processes_at_full_speed_keep_every_sample_in_its_place() -> None:
    channels, room, total = 2, 3000, 3_000_000
    block = Block(tape_size(channels, room))
    command = [sys.executable, "-c", WRITER, *map(str, (block.file, channels, room, total))]
    with subprocess.Popen(
        command, cwd=ROOT, pass_fds=[block.file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        try:
            assert writer.stdout.readline() == "ready\n"
            reader = TapeReader(open_block(block.file), channels, room)
            kept = Kept(reader)
            writer.stdin.write("go\n")
            writer.stdin.flush()
            deadline = time.monotonic() + 120
            while writer.poll() is None and time.monotonic() < deadline:
                kept.look()
            kept.look()
            kept.look()
            offered, lost = map(int, writer.stdout.readline().split())
        finally:
            writer.kill()
    assert kept.samples + reader.lost_since == offered >= total
    assert reader.lost + reader.lost_since == lost
    assert lost < offered  # so that something was read


def test_writing_takes_no_memory_whether_there_is_room_or_not() -> None:
    for room in (100, 100_000_0):
        tape, reader = pair(2, room)
        block = sound(0, 64, 2)
        memory = memory_of(lambda tape=tape, block=block: tape.write(block, block), 2000)  # type: ignore[misc]
        assert memory.peak < 1024
        assert memory.kept < 1024
        assert (tape.lost > 0) == (room == 100)
        assert sum(len(stretch.input) for _ in range(2) for stretch in reader.stretches()) == tape.kept > 0
