"""Hand-overs between the models that are shipped, warm as the monitor makes them: nobody hears that there was one."""

from collections.abc import Iterator
from functools import cache
from itertools import cycle, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from told import Told

from streamsep.arrays import Array, Block, State
from streamsep.demo.run import bundled_scene
from streamsep.models.bank import open_bank
from streamsep.models.subject import hear
from streamsep.realtime.engine import Engine
from streamsep.realtime.hand_over import ALIGN_HOPS
from streamsep.realtime.options import EngineOptions

BANK = open_bank("zoo")
HOP, RATE = BANK.front_end.hop, BANK.front_end.sample_rate
FADE = 25  # hops
LOUD_DB, QUIET_DB = 0.0, -20.0  # of the first slot, and of the others


@cache
def sound() -> Block:
    """Speech in noise, then a song, of the scene that comes with streamsep; below the limiter's threshold."""
    scene = bundled_scene()
    assert scene.rate == RATE
    middle = scene.segments[0].stop
    mixture = scene.mixture[middle - RATE : middle + RATE + RATE // 2]
    return (mixture[: len(mixture) // HOP * HOP] * 0.3).astype(np.float32)


@cache
def alone(domain: str) -> tuple[Array, tuple[State, ...]]:
    """(slots, samples) of one model all the time, and its state before every hop."""
    bank = open_bank("zoo")  # separators of its own
    separator = bank.models[domain].separator
    engine = Engine({domain: separator}, bank.front_end, EngineOptions(), domain, RATE)
    states, parts = [separator.state()], []
    for at in range(0, len(sound()), HOP):
        parts.append(hear(engine, sound()[at : at + HOP])[1])
        states.append(separator.state())
    return np.concatenate(parts, 1), tuple(states)


def loudness_db(samples: Block) -> Array:
    """(samples,) -> (pieces of 50 ms,); nothing counts as quieter than -50 dBFS."""
    pieces = samples[: len(samples) // 800 * 800].reshape(-1, 800).astype(np.float64)
    return 10 * np.log10(np.square(pieces).mean(axis=1) + 1e-5)


@pytest.mark.parametrize(("old", "new"), sorted(permutations(BANK.domains, 2)))
@settings(max_examples=2, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([63, 64, 65, 1000, 8193]), min_size=1),
    hop=st.integers(50, 450),
    age=st.integers(0, 4),
)
def test_a_warm_hand_over_is_a_fade_between_the_two_and_nothing_else(
    sizes: list[int], old: str, new: str, hop: int, age: int
) -> None:
    models = {domain: BANK.models[domain] for domain in (old, new)}
    separators = {domain: model.separator for domain, model in models.items()}
    gains_db = {
        name: QUIET_DB if slot else LOUD_DB
        for model in models.values()
        for slot, name in enumerate(names_of(model.manifest.sources))
    }
    monitor = Told(separators)
    options = EngineOptions(gains_db=gains_db, fade_ms=4.0 * FADE)
    engine = Engine(separators, BANK.front_end, options, old, RATE, 1, monitor)
    at = hop * HOP
    first = hear(engine, sound()[:at], blocks_of(sizes, at))
    monitor.say(new, (new, hop - age, alone(new)[1][hop - age]))
    rest = hear(engine, sound()[at:], blocks_of(sizes, len(sound()) - at))
    assert (engine.domain, engine.counters.switches, engine.counters.late_hand_overs) == (new, 1, 0)
    assert engine.counters.limited_hops == 0
    listen, slots = np.concatenate([first[0], rest[0]]), np.concatenate([first[1], rest[1]], 1)

    order = engine._hand_over.active.order
    before, after = alone(old)[0], alone(new)[0][order]
    wait = ALIGN_HOPS if engine._hand_over.active.alike else 0
    begin = at + (max(age, 0) + wait) * HOP
    weight = weight_of_the_new(len(listen), begin // HOP)
    gains = 10 ** (np.array([LOUD_DB] + [QUIET_DB] * (len(before) - 1)) / 20)
    renderings = [(*parts, gains @ parts) for parts in (before, after)]
    for heard, one, other in zip((*slots, listen), *renderings, strict=True):
        combined = one + weight * (other - one)
        assert np.abs(loudness_db(heard) - loudness_db(combined)).max() < 1
        jumps = [np.abs(np.diff(samples)).max() for samples in (heard, one, other)]
        assert jumps[0] <= 1.05 * max(jumps[1:])
        np.testing.assert_allclose(heard[:begin], one[:begin], atol=2e-6)
        settled = begin + engine.latency.samples + (FADE + 8) * HOP
        np.testing.assert_allclose(heard[settled:], other[settled:], atol=2e-6)
    assert np.abs(before - after).max() > 0.01  # there was something to hear


def weight_of_the_new(samples: int, frame: int) -> Array:
    """(samples,) of output: a fade that begins with this frame, a step a frame; two overlap in every sample."""
    steps = np.clip(np.arange(samples // HOP + 3) - frame + 1, 0, FADE)
    of_frames = 0.5 - 0.5 * np.cos(np.pi * steps / FADE)
    output = np.arange(samples)
    newest, place = output // HOP - 1, output % HOP
    rising = np.sin(np.pi * (place + 0.5) / (2 * HOP)) ** 2  # of the Hann window that analysis and synthesis make up
    return rising * of_frames[np.maximum(newest, 0)] + (1 - rising) * of_frames[np.maximum(newest - 1, 0)]


def blocks_of(sizes: list[int], samples: int) -> Iterator[int]:
    """These sizes over and over, as many samples in all."""
    for size in cycle(sizes):
        yield min(size, samples)
        samples -= size
        if samples <= 0:
            return


def names_of(roles: tuple[str, ...]) -> tuple[str, ...]:
    from streamsep.realtime.masking import slot_names

    return slot_names(roles)


def test_switching_back_and_forth_leaks_nothing() -> None:
    """A switch every fifth of a second, for 40 s or longer. What leaks grows every time; a process that many tests
    have used may also take a page or two more for itself."""
    from streamsep.models.subject import memory_of

    bank = open_bank("zoo")
    separators = dict(list(bank.separators().items())[:2])
    one, other = separators
    monitor = Told(separators)
    engine = Engine(separators, bank.front_end, EngineOptions(fade_ms=60.0), one, RATE, 1, monitor)
    states = {domain: alone(domain)[1][300] for domain in separators}
    block = sound()[: 50 * HOP]

    def back_and_forth() -> None:
        domain = other if engine.domain == one else one
        monitor.say(domain, (domain, monitor.recent.hops, states[domain]))
        engine.process(block)

    for tries in range(1, 4):
        memory = memory_of(back_and_forth, 60, first=40)
        assert engine.counters.switches == tries * 200
        assert memory.kept < 4096
        if memory.grown < 2**18:
            break
    else:
        pytest.fail(f"it grew by {memory.grown} bytes, and more the times before")
