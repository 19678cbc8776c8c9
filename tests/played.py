"""Live sound without a sound card: a callback that is called as fast as it can, and everything that is done to it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from told import Told

from streamsep.arrays import Block
from streamsep.assembly import make_engine, make_guard
from streamsep.audio.callback import Callback
from streamsep.config import load_settings
from streamsep.models.bank import open_bank
from streamsep.realtime.hand_over import OLDEST
from streamsep.record.folder import facts
from streamsep.record.recorder import Recorder

FAST: dict[str, Any] = {"fade_ms": 20, "warm_up_ms": 20}


class Moment:
    """A moment of the device's clock."""

    currentTime = 0.0  # noqa: N815


def never_late(callback: Callback) -> Callback:
    """One that finds no machine too slow: what is heard must not depend on that here."""
    callback.overload.hear = lambda hop, late, seconds: False  # type: ignore[method-assign]
    return callback


class Live:
    """An engine with a bank of real files, a monitor that says anything, a callback and a recorder; a context
    manager."""

    def __init__(
        self,
        folder: Path,
        bank: Path,
        domain: str,
        rate: int = 16_000,
        channels: int = 1,
        monitor: bool = True,
        room_s: float = 10.0,
        **more: Any,
    ) -> None:
        """more: settings, beside those that every session here has."""
        models = {"bank": str(bank), "precision": "fp32"}
        usual = {"domain": domain, "models": models, "gains_db": {"noise": -30}} | FAST
        settings = load_settings(overrides=usual | more)
        opened = open_bank(**settings.models.model_dump())
        self.separators = opened.separators()
        self.told = Told(self.separators) if monitor else None
        self.engine = make_engine(settings, opened, rate, channels, self.told)
        self.said: list[str] = []
        made_with = facts(settings, opened, self.engine, None, {"input": "a microphone"})
        self.recorder = Recorder(folder, self.engine, made_with, self.said.append, room_s)
        guard = make_guard(settings, rate, channels)
        self.callback = never_late(Callback(self.engine, guard))
        self.callback.tape = self.recorder.tape
        self.heard: list[Block] = []
        self.played: list[Block] = []

    def __enter__(self) -> "Live":
        return self

    def __exit__(self, *error: object) -> None:
        self.recorder.close()
        self.engine.close()

    def play(self, sound: Block) -> None:
        """A block, (samples, channels)."""
        out = np.full_like(sound, np.nan)
        self.callback(sound, out, len(sound), Moment(), None)  # type: ignore[arg-type]
        self.heard.append(sound.copy())
        self.played.append(out)

    def through(self, sound: Block, sizes: Sequence[int], random: np.random.Generator) -> None:
        """All of it, in blocks of these sizes over and over, with something done between them."""
        at = turn = 0
        while at < len(sound):
            if random.random() < 0.5:
                self.act(random)
            size = sizes[turn % len(sizes)]
            self.play(sound[at : at + size])
            at, turn = at + size, turn + 1

    def act(self, random: np.random.Generator) -> None:
        """Something that somebody may do."""
        engine, domains, action = self.engine, list(self.engine.domains), random.integers(8)
        if action == 0:
            engine.select(random.choice([*domains, "auto"] if self.told else domains))
        elif action == 1:
            names = [name for slots in engine.slots.values() for name in slots]
            engine.set_gain(random.choice(names), float(random.uniform(-60, 10)))
        elif action == 2:
            engine.bypass(bool(random.integers(2)))
        elif action == 3 and random.integers(8) == 0:
            engine.relieve(int(random.integers(4)))
        elif action == 4:
            engine.relieve(0)
        elif self.told is not None:
            wanted = int(random.integers(-1, len(domains)))
            self.told.say(None if wanted < 0 else domains[wanted], self._warm(wanted, random))

    def _warm(self, wanted: int, random: np.random.Generator) -> Any:
        """A state that may come with a verdict."""
        if wanted < 0 or random.integers(4) == 0 or self.told is None:
            return None
        domain = list(self.engine.domains)[wanted]
        state = {name: np.abs(random.normal(size=x.shape)) for name, x in self.separators[domain].state().items()}
        return domain, self.told.recent.hops - int(random.integers(0, OLDEST + 2)), state

    @property
    def input(self) -> Block:
        """All that came in."""
        return np.concatenate(self.heard)

    @property
    def output(self) -> Block:
        """All that was heard."""
        return np.concatenate(self.played)


def session(folder: Path) -> Mapping[str, Any]:
    """What session.json says."""
    said: Mapping[str, Any] = json.loads((folder / "session.json").read_text())
    return said
