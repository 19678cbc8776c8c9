"""The recent window: whole hops, in order, or the truth that they are gone; and a writer that notices nothing."""

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
from streamsep.realtime.recent import Recent, RecentReader, recent_size
from streamsep.sharing import Block, open_block

ROOT = Path(streamsep.__file__).parents[1]
hop_lengths = st.integers(1, 70)


def pair(hop: int, hops: int) -> tuple[Recent, RecentReader]:
    memory = np.zeros(recent_size(hop, hops), np.uint8)
    return Recent(memory, hop, hops), RecentReader(memory, hop, hops)


def content(numbers: Array, hop: int) -> Array:
    """What is in the hops of these numbers, (hops, hop): no two samples within a window are alike."""
    samples: Array = np.float32((numbers[:, None] * hop + np.arange(hop)) % 2**24)
    return samples


@settings(max_examples=50, deadline=None)
@given(
    hop_lengths,
    st.integers(1, 20),
    st.lists(st.one_of(st.integers(0, 30), st.sampled_from(["read", "reset"])), max_size=20),
)
def test_whoever_reads_gets_every_hop_once_or_is_told_how_many_are_gone(
    hop: int, hops: int, steps: list[int | str]
) -> None:
    recent, reader = pair(hop, hops)
    at = oldest = 0
    for step in [*steps, "read"]:
        if isinstance(step, int):
            for number in range(recent.hops, recent.hops + step):
                recent.write(content(np.array([number]), hop)[0])
        elif step == "reset":
            recent.reset()
            oldest = recent.hops
            assert reader.since(at).first > at or recent.hops == 0
        else:
            news = reader.since(at)
            wanted = max(at, oldest)
            assert news.first == max(wanted, recent.hops - hops)
            assert news.lost == news.first - wanted
            np.testing.assert_array_equal(news.samples, content(np.arange(news.first, recent.hops), hop))
            assert len(reader.since(recent.hops).samples) == 0
            at = recent.hops
    assert reader.hops == recent.hops == at


@settings(deadline=None)
@given(hop_lengths, st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_a_row_that_is_partly_of_another_time_is_not_believed(hop: int, torn: int, seed: int) -> None:
    hops, random = 10, np.random.default_rng(seed)
    memory = np.zeros(recent_size(hop, hops), np.uint8)
    recent, reader = Recent(memory, hop, hops), RecentReader(memory, hop, hops)
    sound = random.choice([-1.0, 1.0], (2 * hops + 2, hop))  # few values: made to fit by chance
    before = memory.copy()
    for samples in sound[: hops + 1]:
        recent.write(samples)
    if random.integers(2):
        before[:] = memory  # of a round before, or never written
        for samples in sound[hops + 1 :]:
            recent.write(samples)
    rows, old = (array.view(np.uint64)[8:].reshape(hops + 1, -1) for array in (memory, before))
    number = recent.hops - hops + torn
    row = rows[number % (hops + 1)]
    whole = row.copy()
    kept = random.integers(0, 2, len(row), dtype=bool)
    row[kept] = old[number % (hops + 1)][kept]
    news = reader.since(0)
    expected = recent.hops if (row == whole).all() else number
    assert news.first + len(news.samples) == expected
    np.testing.assert_array_equal(news.samples, sound[news.first : expected].astype(np.float32))


WRITER = """
import itertools, sys
import numpy as np
from streamsep.sharing import open_block
from streamsep.realtime.recent import Recent
hop, *windows = map(int, sys.argv[1:])
windows = [Recent(open_block(file), hop, hops) for hops, file in zip(windows[::2], windows[1::2])]
places = np.arange(hop)
for number in itertools.count():
    samples = (number * hop + places) % 2**24
    for recent in windows:
        recent.write(samples)
"""


def test_two_processes_at_full_speed_hand_over_whole_hops_in_order() -> None:
    hop, lengths = 64, (3, 1500)
    blocks = [Block(recent_size(hop, hops)) for hops in lengths]
    readers = [RecentReader(open_block(block.file), hop, hops) for block, hops in zip(blocks, lengths, strict=True)]
    arguments = [str(hop)]
    for block, hops in zip(blocks, lengths, strict=True):
        arguments += [str(hops), str(block.file)]
    command = [sys.executable, "-c", WRITER, *arguments]
    at, reads, lost = [0, 0], [0, 0], [0, 0]
    with subprocess.Popen(command, cwd=ROOT, pass_fds=[block.file for block in blocks]) as writer:
        try:
            deadline = time.monotonic() + 120
            while min(reads) < 100 and time.monotonic() < deadline:
                for index, reader in enumerate(readers):
                    news = reader.since(at[index])
                    numbers = news.first + np.arange(len(news.samples))
                    np.testing.assert_array_equal(news.samples, content(numbers, hop))
                    assert news.first - at[index] == news.lost
                    reads[index] += len(news.samples) > 0
                    lost[index] += news.lost
                    at[index] = news.first + len(news.samples)
        finally:
            writer.kill()
    assert min(reads) >= 100
    assert lost[0] > 0


def test_writing_goes_on_whatever_the_others_do_and_takes_no_memory() -> None:
    block = Block(recent_size(64, 100))
    recent = Recent(block.memory, 64, 100)
    reader = RecentReader(open_block(block.file), 64, 100)
    block.close()
    samples = np.random.default_rng(0).normal(size=64)
    memory = memory_of(lambda: recent.write(samples), 2000)
    assert memory.peak < 1024
    assert memory.kept < 1024
    np.testing.assert_array_equal(reader.since(recent.hops - 1).samples, samples[None].astype(np.float32))
    del block, reader
    recent.write(samples)


@settings(max_examples=10, deadline=None)
@given(hop_lengths, st.integers(1, 50))
def test_a_reader_needs_no_leave_to_write(hop: int, hops: int) -> None:
    memory = np.zeros(recent_size(hop, hops), np.uint8)
    recent = Recent(memory, hop, hops)
    memory.flags.writeable = False
    reader = RecentReader(memory, hop, hops)
    recent.write(np.ones(hop))
    np.testing.assert_array_equal(reader.since(0).samples, np.ones((1, hop)))
