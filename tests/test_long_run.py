"""An engine that has run for a year works like a new one: nothing wraps, nothing drifts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fakes import FRONT, Leaky, make_engine
from strategies import noise

from streamsep.models.subject import hear
from streamsep.realtime.engine import Engine
from streamsep.realtime.recent import Recent, RecentReader, recent_size
from streamsep.realtime.resample import Downsampler, Upsampler
from streamsep.realtime.ring import Ring

YEAR_HOPS = 160 * 2**26  # of 4 ms: 497 days; a multiple of 160, after which the hops at 44.1 kHz are the same again
GAINS = {"talker-1": 0.0, "talker-2": -20.0, "event": -40.0}


def parts(whole: Any, seen: set[int]) -> Iterator[Any]:
    """Everything of ours in an object, itself included."""
    if id(whole) in seen or not type(whole).__module__.startswith("streamsep."):
        return
    seen.add(id(whole))
    yield whole
    for part in vars(whole).values() if hasattr(whole, "__dict__") else ():
        for one in part if isinstance(part, list | tuple) else [part]:
            yield from parts(one, seen)


def age(engine: Engine) -> None:
    """As if so many hops had gone by, of silence."""
    engine.counters.hops += YEAR_HOPS
    aged = 0
    for part in parts(engine, set()):
        if isinstance(part, Downsampler | Upsampler):
            part._index += YEAR_HOPS
            aged += 1
        elif isinstance(part, Ring):
            gone = part._capacity * YEAR_HOPS
            part._written += gone
            part._read += gone
            aged += 1
    assert aged >= (1 if engine.rate == FRONT.sample_rate else 3)


@pytest.mark.parametrize("synthesis_ms", [8, 2])
@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_an_engine_that_has_run_for_a_year_gives_the_same_samples_as_a_new_one(rate: int, synthesis_ms: int) -> None:
    sound = noise(3, 2 * rate)
    new, old = (make_engine(Leaky(), rate=rate, gains_db=GAINS, synthesis_ms=synthesis_ms) for _ in range(2))
    age(old)
    for wanted, heard in zip(hear(new, sound), hear(old, sound), strict=True):
        np.testing.assert_array_equal(heard, wanted)
    assert np.abs(heard).max() > 0.01
    hops = FRONT.hop // old._schedule.hop
    assert old.counters.hops - YEAR_HOPS == new.counters.hops >= 2 * 250 * hops - hops


def test_the_recent_window_goes_on_counting_after_a_year() -> None:
    hop, hops = FRONT.hop, 50
    memory = np.zeros(recent_size(hop, hops), np.uint8)
    recent, reader = Recent(memory, hop, hops), RecentReader(memory, hop, hops)
    recent.hops = YEAR_HOPS
    sound = noise(5, 40 * hop).reshape(40, hop)
    for samples in sound:
        recent.write(samples)
    news = reader.since(YEAR_HOPS)
    assert (reader.hops, news.first, news.lost) == (YEAR_HOPS + 40, YEAR_HOPS, 0)
    np.testing.assert_array_equal(news.samples, sound.astype(np.float32))
