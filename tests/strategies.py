"""Inputs nobody chose: sounds, ways to cut them, front ends, and what else an engine is set to."""

import numpy as np
from hypothesis import strategies as st

from streamsep.arrays import Block
from streamsep.realtime.stft import FrontEnd

rates = st.sampled_from([16_000, 44_100, 48_000, 8_000, 96_000])
channel_counts = st.integers(1, 3)
gains_db = st.floats(-120, 24)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def lengths(draw: st.DrawFn, shortest_hop: int = 1) -> tuple[int, int, int]:
    """Window, synthesis window and hop: all that are allowed, up to twelve hops."""
    hop = draw(st.integers(shortest_hop, 96))
    even = 1 if hop % 2 == 0 else 2
    synthesis = draw(st.integers(2 // even, 6 // even)) * even
    window = draw(st.integers(-(-synthesis // even), 12 // even)) * even
    return window * hop, synthesis * hop, hop


@st.composite
def front_ends(draw: st.DrawFn) -> FrontEnd:
    """Front ends at 16 kHz, from the shortest hop that is ever of use."""
    window, synthesis, hop = draw(lengths(shortest_hop=8))
    return FrontEnd(16_000, window, synthesis, hop)


def synthesis_ms(front: FrontEnd) -> st.SearchStrategy[float | None]:
    """Lengths of the synthesis window that these models can be heard with: their own, or a shorter one."""
    hops = [hop for hop in range(4, front.hop + 1) if front.hop % hop == 0 and 2 * hop < front.synthesis_window]
    shorter = [2000 * hop / front.sample_rate for hop in hops]
    return st.sampled_from([None, *shorter])


@st.composite
def partitions(draw: st.DrawFn, count: int) -> list[int]:
    """Sizes of blocks that make up `count` samples: all alike, or each another one, some of them empty."""
    sizes = draw(
        st.one_of(
            st.sampled_from([1, 63, 64, 65, 8193]).map(lambda size: [size]),
            st.lists(st.integers(0, 2000), min_size=1, max_size=9).filter(any),
        )
    )
    result: list[int] = []
    while sum(result) < count:
        result.append(min(sizes[len(result) % len(sizes)], count - sum(result)))
    return result


def noise(seed: int, count: int, channels: int = 1, peak: float = 0.5) -> Block:
    """(count,) or (count, channels): noise whose loudness and colour wander, so that masks have something to do."""
    random = np.random.default_rng(seed)
    sound = random.normal(size=(count, channels))
    sound[1:] += np.sin(np.arange(1, count) / 900)[:, None] * sound[:-1]
    sound *= (1 + np.sin(np.arange(count) / 1500 + random.uniform(0, 6)))[:, None]
    block: Block = (peak * sound / np.abs(sound).max()).astype(np.float32)
    return block if channels > 1 else block[:, 0]
