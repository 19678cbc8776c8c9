"""Memory that two processes share, and the board in it: a verdict is whole or it is not there."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamsep import sharing
from streamsep.errors import StreamsepError
from streamsep.models.subject import memory_of
from streamsep.monitor.shared import Board, BoardWriter, Layout
from streamsep.sharing import Block, open_block

ROOT = Path(__file__).parents[1]


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    shapes = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)
    states = st.dictionaries(st.sampled_from(["level", "hidden", "cell"]), shapes)
    return Layout(draw(st.dictionaries(st.sampled_from("abcd"), states, min_size=1)))


@settings(max_examples=30, deadline=None)
@given(layouts(), st.data())
def test_what_is_published_is_what_is_read_once(layout: Layout, data: st.DataObject) -> None:
    memory = np.zeros(layout.size, np.uint8)
    writer, board = BoardWriter(memory, layout), Board(memory, layout)
    board.tell(-1)
    assert not board.poll()
    assert (board.decision, board.warm, board.state()) == (-1, -1, {})
    assert np.isnan(board.scores).all()
    domains = st.one_of(st.none(), st.sampled_from(layout.domains))
    random = np.random.default_rng(0)
    for tick in range(1, 4):
        scores = data.draw(st.dictionaries(st.sampled_from(layout.domains), st.floats()))
        decision, warm, active, locked = (data.draw(domains) for _ in range(4))
        state = {name: np.float32(random.normal(size=shape)) for name, shape in layout.shapes.get(warm, {}).items()}
        indices = {None: -1} | {domain: index for index, domain in enumerate(layout.domains)}
        writer.publish(10 * tick, scores, decision, None if warm is None else (warm, 10 * tick + 1, state))
        assert board.poll()
        assert not board.poll()
        assert (board.tick, board.hop, board.decision) == (tick, 10 * tick, indices[decision])
        np.testing.assert_array_equal(board.scores, [scores.get(domain, np.nan) for domain in layout.domains])
        assert (board.warm, board.warm_hop) == (indices[warm], -1 if warm is None else 10 * tick + 1)
        assert board.state().keys() == state.keys()
        for name, array in state.items():
            np.testing.assert_array_equal(board.state()[name], array)
        board.tell(indices[active], indices[locked])
        assert (writer.active, writer.locked) == (active, locked)


@settings(max_examples=50, deadline=None)
@given(layouts(), st.integers(0, 2**32 - 1))
def test_a_verdict_that_is_half_written_is_not_taken_and_harms_nothing(layout: Layout, seed: int) -> None:
    memory, random = np.zeros(layout.size, np.uint8), np.random.default_rng(seed)
    writer, board = BoardWriter(memory, layout), Board(memory, layout)
    for tick in range(random.integers(1, 4)):
        writer.publish(tick, {}, None)
    board.poll()
    earlier, hop = memory.copy(), board.hop
    writer.publish(99, dict.fromkeys(layout.domains, 1.0), layout.domains[0])
    start = layout.header.itemsize
    words, old = memory[start:].view(np.uint64), earlier[start:].view(np.uint64)
    changed = np.flatnonzero(words != old)
    missing = random.choice(changed, random.integers(1, len(changed) + 1), replace=False)
    whole = words.copy()
    words[missing] = old[missing]
    assert not board.poll()
    assert board.hop == hop
    words[:] = whole
    assert board.poll()
    assert board.hop == 99


PUBLISHER = """
import itertools, sys
import numpy as np
from streamsep.monitor.shared import BoardWriter, Layout
from streamsep.sharing import open_block
writer = BoardWriter(open_block(int(sys.argv[1])), Layout({"a": {"x": (700,)}, "b": {"y": (9, 9)}}))
for tick in itertools.count(1):
    writer.publish(tick, {"a": tick, "b": tick}, "a", ("a", tick, {"x": np.full(700, tick, np.float32)}))
"""


def test_two_processes_at_full_speed_hand_over_whole_verdicts_in_order() -> None:
    layout = Layout({"a": {"x": (700,)}, "b": {"y": (9, 9)}})
    block = Block(layout.size)
    board = Board(open_block(block.file), layout)
    seen: list[int] = []
    command = [sys.executable, "-c", PUBLISHER, str(block.file)]
    with subprocess.Popen(command, cwd=ROOT, pass_fds=[block.file]) as publisher:
        try:
            deadline = time.monotonic() + 120
            while len(seen) < 300 and time.monotonic() < deadline:
                if board.poll():
                    seen.append(board.tick)
                    assert board.hop == board.warm_hop == board.tick
                    assert (board.scores == board.tick).all()
                    assert (board.state()["x"] == board.tick).all()
        finally:
            publisher.kill()
    assert len(seen) == 300
    assert seen == sorted(set(seen))


def test_asking_for_a_verdict_takes_no_memory() -> None:
    layout = Layout({"a": {"x": (700,)}})
    memory = np.zeros(layout.size, np.uint8)
    writer, board = BoardWriter(memory, layout), Board(memory, layout)

    def ask() -> None:
        writer.publish(1, {}, "a", ("a", 1, {"x": np.zeros(700, np.float32)}))
        board.poll()

    without = memory_of(lambda: writer.publish(1, {}, "a", ("a", 1, {"x": np.zeros(700, np.float32)})), 200)
    both = memory_of(ask, 200)
    assert both.peak <= without.peak + 512
    assert memory_of(board.poll, 200).peak < 512


def test_room_that_ends_half_way_is_no_room() -> None:
    size = 1 << 20
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))  # the first half is written, and no error
    try:
        with pytest.raises(StreamsepError, match=f"{size} bytes of shared memory: File too large"):
            Block(size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@given(size=st.integers(1, 1 << 20))
@settings(max_examples=10, deadline=None)
def test_a_block_is_as_long_as_asked_and_all_zero(size: int) -> None:
    memory = Block(size).memory
    assert memory.shape == (size,)
    assert not memory.any()


def test_without_room_for_shared_memory_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sharing, "FOLDER", tmp_path / "nowhere")
    with pytest.raises(StreamsepError, match=r"nowhere.*100 bytes of shared memory: No such file"):
        Block(100)
