"""What the models of a bank make of a sound: the whole of it at once, or hop by hop through the engine; and what the
monitor thinks of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from streamsep.assembly import make_judge
from streamsep.config import Settings, load_settings
from streamsep.errors import ModelError
from streamsep.evaluation.lists import RATE
from streamsep.evaluation.references import analyse, synthesise
from streamsep.models.bank import open_look_backs
from streamsep.models.loader import Batch
from streamsep.models.manifest import Calibrations
from streamsep.models.subject import hear
from streamsep.monitor.calibration import PAPERS, by_name, estimate, estimates, names_needed, recognised
from streamsep.monitor.confidence import ALL, Measures
from streamsep.monitor.look_back import LookBack, Moment, Watch, at_once
from streamsep.monitor.placed import measure_look_back
from streamsep.monitor.texture import texture
from streamsep.realtime.engine import Engine
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.stft import FrontEnd
from streamsep.report.study import Lists

Sound = NDArray[np.float32]  # (samples,)
Slots = NDArray[np.floating]  # (slots, samples), aligned with the sound


@dataclass(frozen=True)
class Opened:
    """All of a bank, by domain: opened once in every process."""

    front_end: FrontEnd
    engines: Mapping[str, Engine]  # one for each model, for ever in its domain
    steps: Mapping[str, Batch]
    look_backs: Mapping[str, Batch]
    watch: Watch
    settings: Settings  # the default ones
    roles: Mapping[str, tuple[str, ...]]  # of the slots

    @property
    def domains(self) -> tuple[str, ...]:
        """In the bank's order."""
        return tuple(self.engines)

    @property
    def maps(self) -> dict[str, Calibrations | None]:
        """What every model's measures promise; None where it does not say."""
        return {domain: graph.manifest.calibration for domain, graph in self.look_backs.items()}


@lru_cache(maxsize=1)
def opened(lists: Lists) -> Opened:
    """The bank of these lists. Raises ModelError for one that cannot be used."""
    bank = lists.open_bank()
    front = bank.front_end
    if front.sample_rate != RATE:
        raise ModelError(f"{lists.bank}: the lists are at {RATE} Hz, these models work at {front.sample_rate} Hz")
    engines = {
        domain: Engine({domain: separator}, front, EngineOptions(), domain, RATE)
        for domain, separator in bank.separators().items()
    }
    look_backs, settings = open_look_backs(bank), load_settings()
    return Opened(
        front,
        engines,
        {domain: Batch(model.path) for domain, model in bank.models.items()},
        look_backs,
        Watch(look_backs, settings.monitor.look_back_s, settings.monitor.loudest),
        settings,
        {domain: model.manifest.sources for domain, model in bank.models.items()},
    )


def whole(step: Batch, sound: Sound) -> Slots:
    """All frames in one run of the graph."""
    front = step.manifest.front_end
    frames = analyse(front, sound)
    masks = all_frames(step, frames)
    return synthesise(front, masks.swapaxes(0, 1) * frames, len(sound))


def streamed(engine: Engine, sound: Sound) -> Slots:
    """Through the engine hop by hop, as it is heard, with the latency taken out."""
    engine.reset()
    late = engine.latency.samples
    _, slots = hear(engine, np.pad(sound, (0, late)))
    return slots[:, late:]


@dataclass(frozen=True)
class Opinion:
    """What the monitor thinks of one model; nan: nothing could be said."""

    silhouette: float  # [-1, 1]
    posterior_strength: float  # [0, 1]
    confidence: float  # their product
    own_db: float  # SI-SDR improvement by the model's own calibration
    promised_db: float  # the same, as `domain: auto` sees it: with what all models say of the domain, if they do


def of_the_whole(bank: Opened, sound: Sound) -> dict[str, Opinion]:
    """By domain, from the loudest bins of all of the sound at once, as the papers have it."""
    frames = analyse(bank.front_end, sound)
    magnitudes, share = np.abs(frames).astype(np.float32), bank.settings.monitor.loudest
    heard = texture(sound, RATE)
    backs = {
        domain: at_once(all_frames(graph, frames), magnitudes, share, heard)
        for domain, graph in bank.look_backs.items()
    }
    found, maps = _measured(bank, backs), bank.maps
    named = by_name(found)
    promised = estimates(maps, named, recognised(maps, named))
    return {domain: _opinion(maps[domain], [measures], promised[domain]) for domain, measures in found.items()}


def of_the_looks(bank: Opened, sound: Sound) -> dict[str, Opinion]:
    """By domain, from the looks that the monitor takes while the sound comes in: the mean of what they say, and of
    what it makes of them together the last."""
    watch, hop, every_s = bank.watch, bank.front_end.hop, bank.settings.monitor.every_s
    watch.restart(0)
    hops = sound[: len(sound) // hop * hop].reshape(-1, hop)
    maps, judge = bank.maps, None
    if None not in maps.values():
        judge = make_judge(bank.settings, {domain: graph.manifest for domain, graph in bank.look_backs.items()})
    looks: dict[str, list[Measures | None]] = {domain: [] for domain in bank.domains}
    promised: Mapping[str, float] = {}
    for number in range(1, int(len(sound) / RATE / every_s) + 1):
        watch.hear(hops[watch.hop : round(number * every_s * RATE / hop)])
        backs, time_s = watch.look_backs(), watch.hop * hop / RATE
        if judge is None:
            found = _measured(bank, backs)
        else:
            found = judge.measures(backs, Moment(watch.hop, time_s, watch.sound(), None, None))
            named = by_name(found)
            seen = recognised(maps, named)
            state, _ = judge.weigh(estimates(maps, named, seen), seen, time_s)
            promised = state.smoothed
        for domain, measures in found.items():
            looks[domain].append(measures)
    return {domain: _opinion(maps[domain], looks[domain], promised.get(domain)) for domain in bank.domains}


def all_frames(graph: Batch, frames: NDArray[np.complexfloating]) -> NDArray[np.float32]:
    """(frames, bins) -> what it gives for every one of them, its look-ahead taken out."""
    late = graph.manifest.look_ahead
    return graph.run(np.pad(frames, ((0, late), (0, 0))), graph.start())[0][late:]


def _measured(bank: Opened, backs: Mapping[str, LookBack]) -> dict[str, Measures | None]:
    """By domain; as the judge measures, but however soft it is. None: it is silent."""
    monitor, needed = bank.settings.monitor, {*PAPERS, *names_needed(bank.maps)}
    chosen = [name for name in ALL if name in needed]
    return {
        domain: measure_look_back(back, len(bank.roles[domain]), monitor.points, monitor.hardness, chosen)
        for domain, back in backs.items()
    }


def _opinion(maps: Calibrations | None, looks: Sequence[Measures | None], promised_db: float | None) -> Opinion:
    """Of one model; looks in which there was nothing to judge do not count."""
    named = [each.by_name for each in looks if each is not None]

    def mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else math.nan

    own_db = [value for each in named if maps and (value := estimate(maps.own, each)) is not None]
    silhouette, strength, confidence = (mean([each[name] for each in named]) for name in (*PAPERS, "confidence"))
    last_db = math.nan if promised_db is None else promised_db
    return Opinion(silhouette, strength, confidence, mean(own_db), last_db)
