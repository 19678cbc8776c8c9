"""The board of verdicts, in memory that the engine's process and the watcher's share (see `streamsep.sharing`).

It is written by the watcher and read on the engine's side, a record a tick, in two places by turns. A record is
sealed like a hop of the recent window (see `realtime.recent`), so a reader gets a whole one or none, whatever becomes
of the writer.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Array, State
from streamsep.realtime.contract import audio_thread
from streamsep.realtime.recent import weights

NONE = -1  # where a domain's index would stand

Shapes = Mapping[str, Mapping[str, tuple[int, ...]]]  # domain -> state -> shape, in the bank's order


@dataclass(frozen=True)
class Layout:
    """Where everything on a board is."""

    shapes: Shapes

    @property
    def domains(self) -> tuple[str, ...]:
        """In the order of their indices."""
        return tuple(self.shapes)

    @property
    def header(self) -> "np.dtype[np.void]":
        """Numbers that stand alone; each is written by one side only."""
        ours = [(name, "<i8") for name in ("ticks", "beats", "lost")]  # the watcher's
        theirs = [(name, "<i8") for name in ("active", "locked", "pace")]  # the engine's side's
        return np.dtype([*ours, *theirs])

    @property
    def record(self) -> "np.dtype[np.void]":
        """What belongs together, under one checksum."""
        floats = max(sum(math.prod(shape) for shape in states.values()) for states in self.shapes.values())
        return np.dtype(
            [
                ("check", "<u8"),
                *((name, "<i8") for name in ("tick", "hop", "decision", "warm", "warm_hop")),
                ("scores", "<f8", (len(self.shapes),)),
                ("state", "<f4", (floats + floats % 2,)),
            ]
        )

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return self.header.itemsize + 2 * self.record.itemsize

    def parts(self, memory: Array) -> tuple[Array, NDArray[np.uint64]]:
        """Bytes -> header, and the words of the two places for a record, in them."""
        start = self.header.itemsize
        return memory[:start].view(self.header), memory[start : self.size].view(np.uint64).reshape(2, -1)

    def states(self, record: Array) -> dict[str, State]:
        """The parts of a record's `state`, as every domain divides it."""
        result: dict[str, State] = {}
        for domain, shapes in self.shapes.items():
            at = 0
            result[domain] = {}
            for name, shape in shapes.items():
                size = math.prod(shape)
                result[domain][name] = record["state"][0, at : at + size].reshape(shape)
                at += size
        return result


class BoardWriter:
    """The watcher's side."""

    def __init__(self, memory: Array, layout: Layout) -> None:
        """A watcher goes on where the one before it ended."""
        self._header, self._places = layout.parts(memory)
        self._domains = layout.domains
        self._words = np.zeros(self._places.shape[1], np.uint64)
        self._record = self._words.view(layout.record)
        self._states = layout.states(self._record)
        self._weights = weights(len(self._words) - 1)

    def beat(self) -> None:
        """Say that the watcher is alive."""
        self._header["beats"] += 1

    def lose(self, hops: int) -> None:
        """Say that hops were overwritten before they were heard."""
        self._header["lost"] += hops

    @property
    def active(self) -> str | None:
        """The domain that is heard, None for the dry sound or when nobody has said so yet."""
        return self._named("active")

    @property
    def locked(self) -> str | None:
        """The domain the listener insists on, None when the choice is the monitor's."""
        return self._named("locked")

    @property
    def pace(self) -> int:
        """By how much less often than usual it should look: 1, or more on a machine that cannot keep up."""
        return max(1, int(self._header["pace"][0]))

    def _named(self, field: str) -> str | None:
        index = int(self._header[field][0])
        return None if index == NONE else self._domains[index]

    def publish(
        self,
        hop: int,
        scores: Mapping[str, float],
        decision: str | None,
        warm: tuple[str, int, State] | None = None,
    ) -> None:
        """A tick. hop: what the scores are valid for. warm: a domain, the hop its state belongs to, the state."""
        record, tick = self._record, int(self._header["ticks"][0]) + 1
        record["tick"], record["hop"] = tick, hop
        record["scores"][0] = [scores.get(domain, math.nan) for domain in self._domains]
        record["decision"] = NONE if decision is None else self._domains.index(decision)
        record["warm"] = record["warm_hop"] = NONE
        if warm is not None:
            domain, record["warm_hop"], state = warm
            record["warm"] = self._domains.index(domain)
            for name, array in self._states[domain].items():
                array[...] = state[name]
        self._words[0] = self._words[1:] @ self._weights
        self._places[tick % 2] = self._words
        self._header["ticks"] = tick


class Board:
    """The engine's side: the newest verdict, as far as it was asked for. One thread's, the audio side's or another;
    more readers have a board each."""

    def __init__(self, memory: Array, layout: Layout) -> None:
        self.layout = layout
        self._header, self._places = layout.parts(memory)
        self._ticks = self._header.view(np.int64)[:1]
        self._words, self._copy = np.zeros((2, self._places.shape[1]), np.uint64)
        self._record = self._words.view(layout.record)
        self._tick_word = self._copy[1:2].view(np.int64)
        self._check, self._sealed, self._weights = self._copy[:1], self._copy[1:], weights(len(self._copy) - 1)
        self._sum = np.zeros((), np.uint64)
        self._states = [*layout.states(self._record).values(), {}]  # the last, number -1, is nobody's
        for field in ("decision", "warm", "warm_hop"):
            self._record[field] = NONE
        self._record["scores"] = math.nan
        self._seen = 0

    @audio_thread
    def poll(self) -> bool:
        """Take over the newest verdict; False when there is no new one, or it is just being written."""
        tick = int(self._ticks[0])
        if tick == self._seen:
            return False
        self._copy[:] = self._places[tick % 2]
        np.matmul(self._sealed, self._weights, out=self._sum)
        if self._sum != self._check[0] or self._tick_word[0] != tick:
            return False
        self._words[:] = self._copy
        self._seen = tick
        return True

    @property
    def tick(self) -> int:
        """Number of the verdict, counted on from one watcher to the next; 0: none yet."""
        return int(self._record["tick"][0])

    @property
    def hop(self) -> int:
        """Hops of the recent window that the scores have heard."""
        return int(self._record["hop"][0])

    @property
    def decision(self) -> int:
        """Index of the domain that should be heard, or -1: the dry sound."""
        return int(self._record["decision"][0])

    @property
    def warm(self) -> int:
        """Index of the domain that comes with its state, or -1."""
        return int(self._record["warm"][0])

    @property
    def warm_hop(self) -> int:
        """Hops of the recent window that this state has heard."""
        return int(self._record["warm_hop"][0])

    @property
    def scores(self) -> NDArray[np.float64]:
        """(domains,), NaN: no decision. Overwritten by the next poll."""
        scores: NDArray[np.float64] = self._record["scores"][0]
        return scores

    @audio_thread
    def state(self) -> State:
        """The state of the domain `warm`, by name; overwritten by the next poll. Empty when there is none."""
        return self._states[self.warm]

    @property
    def beats(self) -> int:
        """Signs of life of every watcher so far."""
        return int(self._header["beats"][0])

    @property
    def lost(self) -> int:
        """Hops that every watcher so far was too slow for."""
        return int(self._header["lost"][0])

    @audio_thread
    def tell(self, active: int, locked: int = NONE) -> None:
        """Tell the watcher what is heard and what the listener insists on: indices of domains, or -1 for neither."""
        self._header["active"], self._header["locked"] = active, locked

    def slow_down(self, pace: int) -> None:
        """Tell the watcher to look so many times less often than usual; 1: as usual."""
        self._header["pace"] = pace
