"""The only module that knows every part: settings in, engine out; and the whole-file form."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from streamsep.arrays import Block
from streamsep.config import Settings, load_settings
from streamsep.errors import AudioError, ConfigError
from streamsep.models.bank import Bank, open_bank
from streamsep.models.manifest import Manifest
from streamsep.realtime.counters import Counters
from streamsep.realtime.engine import Engine, EngineOptions
from streamsep.realtime.ledger import Ledger
from streamsep.realtime.masking import slot_names

FILE_BLOCK = 8192  # samples at a time of a whole file


@dataclass(frozen=True)
class Separation:
    """A whole file, separated. Every array has the shape of the input and is aligned with it: the latency is taken
    out."""

    listen: Block  # what the listener hears
    sources: dict[str, Block]  # by slot name, without gains and limiter; they add up to the input
    domain: str
    latency: Ledger
    counters: Counters
    manifest: Manifest


def build(settings: Settings, rate: int, channels: int) -> tuple[Engine, Bank]:
    """An engine and the bank it runs. Raises ConfigError or ModelError."""
    bank = open_bank(**settings.models.model_dump())
    options = EngineOptions(
        gains_db=known_gains(settings, bank),
        dry_floor_db=settings.dry_floor_db,
        fade_ms=settings.fade_ms,
        warm_up_ms=settings.warm_up_ms,
        gain_ramp_ms=settings.gain_ramp_ms,
        **settings.limiter.model_dump(),
    )
    return Engine(bank.separators(), bank.front_end, options, settings.domain, rate, channels), bank


def known_gains(settings: Settings, bank: Bank) -> dict[str, float]:
    """The gains that some source of this bank answers to; the defaults name roles of domains that a bank may lack.

    Raises ConfigError for a name that is neither a source of this bank nor one of the defaults."""
    names: set[str] = set()
    for separator in bank.separators().values():
        names.update(separator.sources, slot_names(separator.sources))
    usual = load_settings().gains_db
    if unknown := sorted(settings.gains_db.keys() - names - usual.keys()):
        raise ConfigError(f"gains_db: no source is called {unknown[0]!r}; this bank has {sorted(names)}")
    return {name: gain_db for name, gain_db in settings.gains_db.items() if name in names}


def load(
    config: str | Path | Mapping[str, Any] = "default",
    domain: str | None = None,
    rate: int = 16_000,
    channels: int = 1,
    **settings: Any,
) -> Engine:
    """An engine, ready to process.

    config: a name ("default"), a YAML file, or a mapping. domain: overrides the configuration's. rate: of the sound,
    in Hz, 8000 to 192000. settings: keys of configs/default.yaml, `load(fade_ms=200, gains_db={"noise": -30})`.
    Raises ConfigError or ModelError, with what would be right."""
    overrides = settings | ({} if domain is None else {"domain": domain})
    return build(load_settings(config, overrides), rate, channels)[0]


def separate(
    samples: Block,
    rate: int,
    config: str | Path | Mapping[str, Any] = "default",
    domain: str | None = None,
    progress: Callable[[float], None] | None = None,
    **settings: Any,
) -> Separation:
    """A whole recording, (samples,) or (samples, channels) of floats in [-1, 1], through the live engine, bit for
    bit.

    progress: called with the share that is done: 0 once the models are loaded, then now and then. The other
    arguments are those of `load`. Raises AudioError when there are no samples, ConfigError or ModelError as `load`
    does."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise AudioError(f"samples: expected (samples,) or (samples, channels), not empty, got shape {samples.shape}")
    overrides = settings | ({} if domain is None else {"domain": domain})
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    engine, bank = build(load_settings(config, overrides), rate, channels)
    with engine:
        names, late = engine.sources, engine.latency.samples
        count, shape = len(samples), samples.shape[1:]
        listen = np.empty((count, *shape), np.float32)
        sources = np.empty((len(names), count, *shape), np.float32)
        tail = np.zeros((late, *shape), np.float32)

        def put(block: Block, at: int) -> None:
            """Process a block that begins at `at`, and store what comes out where it belongs."""
            heard, parts = engine.process(block, separate=True)
            skip = max(0, late - at)
            start, stop = at + skip - late, at + len(block) - late
            if stop > start:
                listen[start:stop] = heard[skip:]
                sources[:, start:stop] = parts[: len(names), skip:]

        if progress is not None:
            progress(0.0)  # the models are loaded; from here on it is the sound that takes time
        for at in range(0, count, FILE_BLOCK):
            put(samples[at : at + FILE_BLOCK], at)
            if progress is not None:
                progress(min(1.0, (at + FILE_BLOCK) / count))
        put(tail, count)
        counters = Counters(**asdict(engine.counters))
        return Separation(
            listen,
            dict(zip(names, sources, strict=True)),
            engine.domain,
            engine.latency,
            counters,
            bank.models[engine.domain].manifest,
        )
