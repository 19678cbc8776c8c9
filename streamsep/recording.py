"""Whole recordings, through the live engine, on their own clock: separated, and scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Block
from streamsep.assembly import build_inline, settings_of
from streamsep.config import Settings
from streamsep.errors import AudioError, ConfigError
from streamsep.models.bank import Bank
from streamsep.models.manifest import Manifest
from streamsep.monitor.evaluation import Evaluation
from streamsep.monitor.inline import InlineMonitor
from streamsep.on_disk import zeros
from streamsep.plausible import complaint
from streamsep.realtime.counters import Counters
from streamsep.realtime.engine import Engine
from streamsep.realtime.ledger import Ledger
from streamsep.realtime.masking import slot_names

FILE_BLOCK = 8192  # samples at a time of a whole file
WATCHED_S = 0.016  # at a time where the domain may change: so exactly is it known when it did

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Span:
    """A stretch of a recording in which one domain is heard, from the end of the fade on."""

    start_s: float
    domain: str | None  # None: the dry sound, because no model was confident


@dataclass(frozen=True)
class Separation:
    """A whole file, separated. Every array has the shape of the input and is aligned with it: the latency is taken
    out."""

    listen: Block  # what the listener hears
    sources: dict[str, Block]  # by slot name, without gains and limiter; they add up to the input
    slots: NDArray[np.float32]  # (slots, samples[, channels]): the same by slot, whatever the domain
    domain: str  # as asked for
    spans: tuple[Span, ...]  # in order: what was heard
    decisions: tuple[Evaluation, ...]  # what the monitor saw; none for a fixed domain
    latency: Ledger
    counters: Counters
    manifests: dict[str, Manifest]  # by domain, of those that were heard


def separate(
    samples: Block,
    rate: int,
    config: str | Path | Mapping[str, Any] = "default",
    domain: str | None = None,
    progress: Progress | None = None,
    disk: str | Path | None = None,
    **settings: Any,
) -> Separation:
    """A whole recording, (samples,) or (samples, channels) of floats in [-1, 1], through the live engine, bit for
    bit. With the domain "auto" the monitor looks at set times of the recording, so the same one always comes out the
    same; there a source is silent while its domain is not heard, and all are while the dry sound is.

    progress: called with the share that is done: 0 once the models are loaded, then now and then. disk: a folder in
    which all that comes out lies, in files without names that go with the arrays, where hours of it are too much for
    the memory. The other arguments are those of `load`. Raises AudioError when there are no samples, or such as no
    sound has (NaN, 16-bit scale, channels first), StreamsepError when the disk is full, ConfigError or ModelError as
    `load` does."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise AudioError(f"samples: expected (samples,) or (samples, channels), not empty, got shape {samples.shape}")
    if wrong := complaint(samples, rate):
        raise AudioError(f"samples: {wrong}")
    chosen = settings_of(config, domain, settings)
    engine, bank, monitor = build_inline(chosen, rate, 1 if samples.ndim == 1 else samples.shape[1])
    with engine:
        take = Take(engine, bank, samples, engine.latency.samples, disk)
        decisions = _run(take, monitor, chosen.monitor.every_s, progress or (lambda share: None))
        return take.separation(chosen, decisions)


def _run(take: "Take", monitor: InlineMonitor | None, every_s: float, progress: Progress) -> list[Evaluation]:
    """From the first sample to the end of the tail that the latency holds back; what the monitor saw."""
    samples, count, rate = take.samples, len(take.samples), take.engine.rate
    step = round(WATCHED_S * rate) if monitor else FILE_BLOCK
    every = round(every_s * rate)
    decisions = []
    progress(0.0)  # the models are loaded; from here on it is the sound that takes time
    told = 0
    for at in range(0, count, step):
        block = samples[at : at + step]
        take.put(block, at)
        end = at + len(block)
        if monitor and end // every > at // every and (seen := monitor.look()):
            decisions.append(seen)
        if end - told >= FILE_BLOCK or end == count:
            told = end
            progress(end / count)
    take.put(np.zeros((take.late, *samples.shape[1:]), np.float32), count)
    return decisions


class Take:
    """One recording on its way through an engine. `listen` is what is heard, in the shape of `samples`."""

    def __init__(self, engine: Engine, bank: Bank, samples: Block, late: int, disk: str | Path | None) -> None:
        """late: samples of latency to take out. disk: see `separate`."""
        self.engine, self.samples, self.late = engine, samples, late
        self._bank, self._disk = bank, disk
        self._names = {domain: slot_names(model.manifest.sources) for domain, model in bank.models.items()}
        self.listen = zeros(samples.shape, disk)
        self._slots = zeros((max(map(len, self._names.values())), *samples.shape), disk)
        self._changes: list[Span] = []  # as the engine tells of them

    def put(self, block: Block, at: int) -> slice:
        """Process a block that begins at `at`, and store what comes out where it belongs: there."""
        engine = self.engine
        heard, slots = engine.process(block, separate=True)
        skip = max(0, self.late - at)
        start, stop = at + skip - self.late, at + len(block) - self.late
        if stop > start:
            self.listen[start:stop] = heard[skip:]
            self._slots[:, start:stop] = slots[:, skip:]
        now = None if engine.dry else engine.domain
        if not self._changes or self._changes[-1].domain != now:
            self._changes.append(Span(max(0, stop) / engine.rate if self._changes else 0.0, now))
        return slice(start, max(start, stop))

    def separation(self, settings: Settings, decisions: Sequence[Evaluation]) -> Separation:
        """All that came of it."""
        fade_s = settings.fade_ms / 1000
        spans = self._heard(fade_s)
        heard = {span.domain: self._bank.models[span.domain].manifest for span in spans if span.domain is not None}
        return Separation(
            self.listen,
            self._sources(spans, fade_s),
            self._slots,
            settings.domain,
            tuple(span for span in spans if span.start_s < len(self.samples) / self.engine.rate),
            tuple(decisions),
            self.engine.latency,
            Counters(**asdict(self.engine.counters)),
            heard,
        )

    def _heard(self, fade_s: float) -> tuple[Span, ...]:
        """What was heard. The engine goes from one domain to another where a fade ends, but to the dry sound and back
        where one begins."""
        spans = self._changes[:1]
        for change in self._changes[1:]:
            late_s = fade_s if None in (change.domain, spans[-1].domain) else 0.0
            spans.append(Span(max(change.start_s + late_s, spans[-1].start_s), change.domain))
        return tuple(spans)

    def _sources(self, spans: Sequence[Span], fade_s: float) -> dict[str, Block]:
        """By name. Where two domains are faded into each other, so are their sources."""
        if len(spans) == 1 and (only := spans[0].domain) is not None:
            return dict(zip(self._names[only], self._slots, strict=False))
        rate, shape = self.engine.rate, self.samples.shape
        result: dict[str, Block] = {}
        ends = [*(span.start_s for span in spans[1:]), 2 * shape[0] / rate]
        for span, end_s in zip(spans, ends, strict=True):
            if span.domain is None:
                continue
            slots = dict(zip(self._names[span.domain], self._slots, strict=False))
            for name in slots:
                if name not in result:
                    result[name] = zeros(shape, self._disk)
            first, last = max(0, int((span.start_s - fade_s) * rate)), min(int(end_s * rate) + 1, shape[0])
            for at in range(first, last, FILE_BLOCK):  # of hours of sound there is little room for anything beside it
                part = slice(at, min(at + FILE_BLOCK, last))
                times = np.arange(part.start, part.stop) / rate
                begun = (times - span.start_s) / fade_s + 1 if span.start_s else np.ones(len(times))
                ended = (times - end_s) / fade_s + 1
                share = (_raised_cosine(begun) - _raised_cosine(ended)).astype(np.float32)
                weight = share.reshape(-1, *(1,) * (len(shape) - 1))
                for name, slot in slots.items():
                    result[name][part] += weight * slot[part]
        return result


def _raised_cosine(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 up to 0, 1 from 1 on."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(at, 0, 1))


@dataclass(frozen=True)
class Score:
    """What the monitor thinks of a recording, on average over all looks that had something to judge."""

    confidence: dict[str, float | None]  # by domain: silhouette x posterior strength, [-1, 1]; None: never any
    estimate_db: dict[str, float | None]  # by domain: the SI-SDR improvement that its model promises
    best: str | None  # the domain whose model promises most
    looks: int  # that had something to judge
    decisions: tuple[Evaluation, ...]  # every look


def score(samples: Block, rate: int, config: str | Path | Mapping[str, Any] = "default", **settings: Any) -> Score:
    """How confident every domain's model is of a whole recording; arguments and errors as of `separate`, but there is
    no domain to name."""
    if "domain" in settings:
        raise ConfigError("domain: all of them are scored; leave it out")
    seen = separate(samples, rate, config, "auto", **settings).decisions
    domains = tuple(seen[0].raw) if seen else ()

    def mean(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None

    confidence = {domain: mean([look.raw[domain] for look in seen]) for domain in domains}
    estimate_db = {domain: mean([look.score[domain] for look in seen]) for domain in domains}
    known = {domain: value for domain, value in estimate_db.items() if value is not None}
    judged = sum(any(value is not None for value in look.score.values()) for look in seen)
    return Score(confidence, estimate_db, max(known, key=known.__getitem__, default=None), judged, seen)
