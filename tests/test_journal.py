"""The journal: with it and what came in, what was heard can be heard again, to the bit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import FRONT, Faulty, Leaky
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import channel_counts, noise, partitions, rates, seeds
from told import Told

from streamsep.arrays import Block
from streamsep.errors import ModelError
from streamsep.models.subject import memory_of
from streamsep.realtime.contract import Separator
from streamsep.realtime.edges import Edges
from streamsep.realtime.engine import Engine
from streamsep.realtime.hand_over import OLDEST
from streamsep.realtime.journal import (
    BYPASS,
    ENTRIES,
    FALL,
    GAIN,
    HAND_OVER,
    RELIEF,
    RESET,
    RISE,
    STATES,
    Entry,
    Journal,
    JournalReader,
    journal_size,
)
from streamsep.realtime.options import EngineOptions

FLOATS = 3000
DOMAINS = "a", "b", "c"
OPTIONS: dict[str, Any] = {"fade_ms": 20.0, "warm_up_ms": 8.0, "gains_db": {"talker-2": -20.0, "event": -40.0}}


def opened(journal: Journal) -> JournalReader:
    memory = np.zeros(journal_size(FLOATS), np.uint8)
    journal.open(memory, FLOATS)
    return JournalReader(memory, FLOATS)


def read(reader: JournalReader) -> list[Entry]:
    """Everything: what was just written is believed at the next look only."""
    return reader.entries() + reader.entries()


def bank() -> dict[str, Separator]:
    return dict(zip(DOMAINS, (Leaky(), Leaky(look_ahead=0, memory=0.5), Leaky(look_ahead=1)), strict=True))


# ---------------------------------------------------------------------------------------------------- what it keeps


def test_nothing_is_written_before_it_is_opened() -> None:
    journal = Journal()
    journal.note(RESET)
    journal.hand_over(0, 0, None, ())
    reader = opened(journal)
    assert read(reader) == []
    assert reader.lost == 0


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 6), st.integers(-1, 7), st.integers(0, 3), st.floats(-120, 24)),
            st.integers(0, FLOATS),
            st.just("look"),
        ),
        max_size=60,
    )
)
def test_entries_come_in_order_with_their_states_and_what_has_no_room_is_counted(steps: list[Any]) -> None:
    journal = Journal()
    reader, random = opened(journal), np.random.default_rng(0)
    wrote, found, kept = [], [], 0
    for number, step in enumerate(steps):
        journal.sample = 10 * number
        if step == "look":
            found += reader.entries()
        elif isinstance(step, int):
            state = {"x": random.normal(size=step // 2), "y": random.normal(size=(step - step // 2, 1))}
            lost = reader.lost
            journal.hand_over(1, 3, state, ("y", "x"))  # type: ignore[arg-type]
            if reader.lost == lost:
                flat = np.concatenate([state["y"].ravel(), state["x"]]).astype(np.float32)
                wrote.append((Entry(10 * number, HAND_OVER, 1, 3), flat))
            else:
                kept += 1
        else:
            journal.note(*step, at=7 if step[0] == RISE else -1)
            wrote.append((Entry(7 if step[0] == RISE else 10 * number, *step), None))
    found += read(reader)
    assert reader.lost == kept
    assert len(found) == len(wrote)
    for entry, (expected, flat) in zip(found, wrote, strict=True):
        if flat is None:
            assert entry == expected
        else:
            assert (entry.sample, entry.kind, entry.index, entry.slot) == (expected.sample, HAND_OVER, 1, 3)
            np.testing.assert_array_equal(entry.state, flat)


def test_when_nobody_reads_the_oldest_are_kept_the_rest_is_counted_and_it_goes_on() -> None:
    journal = Journal()
    reader = opened(journal)
    state = {"x": np.ones(5, np.float32)}
    for _ in range(STATES + 3):
        journal.hand_over(0, 0, state, ("x",))
    for number in range(ENTRIES):
        journal.note(GAIN, number)
    assert reader.lost == 3 + STATES
    assert [entry.kind for entry in read(reader)] == STATES * [HAND_OVER] + (ENTRIES - STATES) * [GAIN]
    journal.hand_over(0, 0, state, ("x",))
    (entry,) = read(reader)
    np.testing.assert_array_equal(entry.state, state["x"])


def test_an_entry_takes_no_memory() -> None:
    journal = Journal()
    reader = opened(journal)
    state = {"x": np.ones((30, 40), np.float32), "y": np.ones(100, np.float32)}

    def write() -> None:
        journal.note(GAIN, 1, 2, -3.0)
        journal.hand_over(1, 2, state, ("x", "y"))

    memory = memory_of(write, 2000)
    assert memory.peak < 1024
    assert memory.kept < 1024
    assert len(read(reader)) == ENTRIES
    assert reader.lost > 0


# ------------------------------------------------------------------------------------------------------- repetition


class Session:
    """An engine, a monitor that says anything, the edges of the sound, and a listener who turns every knob."""

    def __init__(self, seed: int, rate: int, channels: int, domain: str, monitor: bool) -> None:
        self.random = np.random.default_rng(seed)
        separators = bank()
        self.told = Told(separators) if monitor else None
        options = EngineOptions(**OPTIONS)
        self.engine = Engine(separators, FRONT, options, domain, rate, channels, self.told)
        self.reader = opened(self.engine.journal)
        self.edges = Edges(rate, channels, self.engine.journal)
        self.states = [separator.state() for separator in separators.values()]

    def act(self) -> None:
        """Something between two blocks."""
        engine, random = self.engine, self.random
        action = random.integers(8)
        if action == 0:
            engine.select(random.choice([*DOMAINS, "auto"] if self.told else DOMAINS))
        elif action == 1:
            engine.set_gain(random.choice(["talker", "talker-1", "event"]), float(random.uniform(-60, 10)))
        elif action == 2:
            engine.bypass(bool(random.integers(2)))
        elif action == 3 and random.integers(3) == 0:
            engine.reset()
        elif action == 4:
            engine.relieve(int(random.integers(4)) * int(random.integers(2)))
        elif action == 5 and random.integers(20) == 0:
            self.edges.stop()
        elif self.told is not None:
            wanted = int(random.integers(-1, 3))
            warm = None
            if wanted >= 0 and random.integers(4):
                state = {name: np.abs(random.normal(size=x.shape)) for name, x in self.states[wanted].items()}
                warm = DOMAINS[wanted], self.told.recent.hops - int(random.integers(0, OLDEST + 2)), state
            self.told.say(None if wanted < 0 else DOMAINS[wanted], warm)  # type: ignore[arg-type]

    def play(self, sound: Block, sizes: Sequence[int]) -> Block:
        heard, at = np.empty_like(sound), 0
        for size in sizes:
            if self.random.random() < 100 / len(sizes):
                self.act()
            part = slice(at, at + size)
            self.engine.process(sound[part], heard[part])
            if size:
                self.edges.process(heard[part].reshape(-1, self.engine.channels))
            at += size
        return heard


def repeated(entries: list[Entry], sound: Block, rate: int, channels: int, domain: str, separate: bool) -> Block:
    """What another engine makes of the same sound, with the journal of the first."""
    engine = Engine(bank(), FRONT, EngineOptions(**OPTIONS), "a" if domain == "auto" else domain, rate, channels)
    if domain == "auto":
        engine.repeat(Entry(0, HAND_OVER, -1))
        engine.reset()
    edges = Edges(rate, channels, Journal())
    heard, at = np.empty_like(sound), 0
    for entry in [*sorted(entries, key=lambda entry: entry.sample), Entry(len(sound), BYPASS, 0)]:
        part = slice(at, at := entry.sample)
        engine.process(sound[part], heard[part], separate)
        if len(sound[part]):
            edges.process(heard[part].reshape(-1, channels))
        if entry.kind == RISE:
            edges = Edges(rate, channels, Journal())
        elif entry.kind == FALL:
            edges.stop()
        else:
            engine.repeat(entry)
    return heard


@settings(max_examples=25, deadline=None)
@given(
    seed=seeds,
    rate=rates,
    channels=channel_counts,
    domain=st.sampled_from(["a", "b", "auto"]),
    watched=st.booleans(),
    separate=st.booleans(),
    data=st.data(),
)
def test_a_session_is_heard_again_to_the_bit(
    seed: int, rate: int, channels: int, domain: str, watched: bool, separate: bool, data: st.DataObject
) -> None:
    watched = watched or domain == "auto"
    sound = noise(seed, rate // 4, channels)
    sound[np.random.default_rng(seed).random(len(sound)) < 1e-4] = np.nan
    session = Session(seed, rate, channels, domain, watched)
    heard = session.play(sound, data.draw(partitions(len(sound))))
    again = repeated(read(session.reader), sound, rate, channels, domain, separate)
    np.testing.assert_array_equal(again, heard)


def test_such_sessions_have_everything_in_them() -> None:
    kinds: set[int] = set()
    warm = cold = dry = 0
    for seed in range(20):
        session = Session(seed, 16_000, 1, "auto", True)
        heard = session.play(noise(seed, 16_000), 100 * [160])
        assert np.abs(heard).max() > 1e-3
        for entry in read(session.reader):
            kinds.add(entry.kind)
            if entry.kind == HAND_OVER:
                warm, cold, dry = (
                    warm + (entry.state is not None),
                    cold + (entry.state is None and entry.index >= 0),
                    dry + (entry.index < 0),
                )
    assert kinds == {GAIN, BYPASS, HAND_OVER, RELIEF, RESET, RISE, FALL}
    assert min(warm, cold, dry) > 5


def test_a_fault_of_a_separator_is_no_news_for_the_journal_but_heard_again_all_the_same() -> None:
    engine = Engine({"a": Faulty()}, FRONT, EngineOptions(), "a", 16_000)
    reader = opened(engine.journal)
    engine.process(noise(0, 1000))
    assert read(reader) == []
    assert engine.journal.sample == 960


def test_a_state_of_another_model_is_refused() -> None:
    engine = Engine(bank(), FRONT, EngineOptions(), "a", 16_000)
    with pytest.raises(ModelError, match="expected 514 numbers, got 7"):
        engine.repeat(Entry(0, HAND_OVER, 1, 0, state=np.zeros(7, np.float32)))
