"""What a calibration is fitted to: of every validation mixture, how well every model of a bank separates it, and what
its measures say of it after some seconds. Kept in a file, because this takes minutes and fitting takes seconds."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.augment import colour, tilt
from export.corpus import NoClipsError
from export.mixtures import RECIPES, Mixer
from streamsep.errors import ModelError
from streamsep.evaluation.lists import LENGTH, Mixture, mixtures
from streamsep.evaluation.metrics import best_order, si_sdr_improvement_db
from streamsep.evaluation.references import analyse, synthesise
from streamsep.models.loader import Batch
from streamsep.monitor.activity import ActivityOptions, is_active, levels_dbfs
from streamsep.monitor.confidence import ALL
from streamsep.monitor.look_back import BROAD, Watch
from streamsep.monitor.placed import measure_look_back
from streamsep.monitor.texture import PREFIX
from streamsep.pool import pool_of

MOMENTS_S = (2, 3, 4, 5)  # of a mixture, at which it is measured
LOOK_BACK_S = 2.0  # the measures vary little with it: maps that were fitted to 2 s choose as well on 1.5 s
PROCESSES = 2
MEASURES = tuple(name for name in ALL if name != "divergence")  # that takes longer than all others together
FROM_TRAINING = 200  # mixtures of a domain made of training clips, to recognise the domain by
REMIXED = 80  # mixtures of a domain that are made of the list's sources, beside the list's own
RATIOS_DB = {"noise": (-5.0, 10.0), "music": (-2.5, 2.5)}  # of slot 0 over slot 1, as in the lists
OTHER_RATIOS_DB = (-5.0, 5.0)
LEVELS_DB = (-40.0, -20.0)  # of full scale
COLUMNS = ("truth", "groups", "listed", "measures", "si_sdri_db")  # of the table, a row a mixture

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Models and domains are both in the order of `domains`."""

    domains: tuple[str, ...]
    names: tuple[str, ...]  # of the measures
    truth: NDArray[np.intp]  # (mixtures,): number of the domain
    groups: NDArray[np.str_]  # (mixtures, 2): the talkers, songs or kinds of sound in it
    listed: NDArray[np.bool_]  # (mixtures,): whether it is one of the list, or remixed
    measures: Floats  # (mixtures, moments, models, names)
    si_sdri_db: Floats  # (mixtures, models): of the whole mixture, mean over the slots

    def of(self, name: str, model: int) -> Floats:
        """(mixtures, moments): a measure of one model."""
        values: Floats = self.measures[:, :, model, self.names.index(name)]
        return values

    def only(self, rows: NDArray[np.bool_]) -> "Table":
        """Of these mixtures."""
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in COLUMNS},
        )


def gather(bank: Path, data: Path, cache: Path, precision: str) -> tuple[Table, Path]:
    """The table of this bank, and the file that it is kept in. Raises ModelError when the bank lacks a graph, and
    AudioError when there is no list for one of its domains."""
    graphs = find_graphs(bank, precision)
    for domain in graphs:
        next(mixtures(data, "val", domain))  # raises where there is none
    print_of_all = _fingerprint(graphs, data)
    path = cache / f"{print_of_all}.npz"
    table = _kept(path, partial(_measured, graphs, data))
    try:
        mixers = {domain: RECIPES[domain](data, "train", cache.parent / "cache") for domain in graphs}
    except (KeyError, NoClipsError) as error:  # domains without a recipe, or data without clips to train on
        print(f"without mixtures of training clips: {error}", flush=True)
        return table, path
    more = _kept(cache / f"{print_of_all}-train-{FROM_TRAINING}.npz", partial(_measured_training, graphs, mixers))
    return joined(table, more), path


def joined(table: Table, more: Table) -> Table:
    """Two tables of one bank, one below the other."""
    both = {name: np.concatenate([getattr(table, name), getattr(more, name)]) for name in COLUMNS}
    return replace(table, **both)


def _kept(path: Path, make: Callable[[], Table]) -> Table:
    """What was measured before, or is now."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _keep(make(), path)
    with np.load(path) as kept:
        content: dict[str, Any] = dict(kept)
    for name in ("domains", "names"):
        content[name] = tuple(map(str, content[name]))
    return Table(**content)


def find_graphs(bank: Path, precision: str) -> dict[str, tuple[Path, Path]]:
    """Step and look-back graph by domain. Raises ModelError when there is none, or one without the other."""
    kinds = [
        {
            path.name.removesuffix(f"-{kind}-{precision}.onnx"): path
            for path in bank.glob(f"*-{kind}-{precision}.onnx")
        }
        for kind in ("step", "look-back")
    ]
    if not kinds[0] or kinds[0].keys() != kinds[1].keys():
        found = [sorted(kind) for kind in kinds]
        raise ModelError(
            f"{bank}: expected DOMAIN-step-{precision}.onnx and DOMAIN-look-back-{precision}.onnx for the same "
            f"domains, found step graphs of {found[0]} and look-back graphs of {found[1]}"
        )
    return {domain: (kinds[0][domain], kinds[1][domain]) for domain in sorted(kinds[0])}


def remixed(domain: str, listed: Sequence[Mixture]) -> Iterator[Mixture]:
    """More mixtures of the list's own sources, so that a map is fitted to more than the list: other pairs, of music
    half the time the same pair, each source of another colour, at another ratio and level."""
    rng = np.random.default_rng(0)
    for number in range(REMIXED):
        first = listed[int(rng.integers(len(listed)))]
        others = [other for other in listed if not set(other.pieces_of) & set(first.pieces_of)]
        second = (
            first
            if not others or (domain == "music" and rng.random() < 0.5)
            else others[int(rng.integers(len(others)))]
        )
        pair = first.sources[0], second.sources[1]
        groups = first.pieces_of[0], second.pieces_of[1]
        one, other = (tilt(rng, colour(rng, source, 6.0)) for source in pair)
        ratio_db = rng.uniform(*RATIOS_DB.get(domain, OTHER_RATIOS_DB))
        sources = np.stack([_at(one, 0.0), _at(other, -ratio_db)])
        sources *= 10 ** (rng.uniform(*LEVELS_DB) / 20) / max(float(np.sqrt(np.square(sources.sum(0)).mean())), 1e-9)
        clips = first.clips[0], second.clips[1]
        yield Mixture(f"{domain}-remixed-{number:03d}", domain, clips, sources, groups)


def graph_bytes(path: Path) -> bytes:
    """All of a model file but what it says of itself."""
    content: bytes = onnx.load(path).graph.SerializeToString(deterministic=True)
    return content


def _at(sound: NDArray[np.float32], level_db: float) -> NDArray[np.float32]:
    rms = max(float(np.sqrt(np.square(sound).mean())), 1e-9)
    return sound * np.float32(10 ** (level_db / 20) / rms)


def from_training(domain: str, mixer: Mixer) -> Iterator[Mixture]:
    """Mixtures as the model of this domain was trained on, to recognise the domain by: they are varied, and of many
    more clips; but of its own kind alone. Nobody knows which clips, and how well a model separates them says little:
    it has heard them."""
    mixer.strangers = 0.0
    number = made = 0
    while made < FROM_TRAINING:
        sources = mixer.example(np.random.default_rng([0, number]), LENGTH)
        number += 1
        if sources.any(axis=1).all():
            yield Mixture(f"{domain}-training-{made:04d}", domain, (f"{domain}-training-{made}",) * 2, sources)
            made += 1


def _measured(graphs: dict[str, tuple[Path, Path]], data: Path) -> Table:
    listed = {domain: list(mixtures(data, "val", domain)) for domain in graphs}
    every = [mixture for each in listed.values() for mixture in each]
    more = [mixture for domain, each in listed.items() for mixture in remixed(domain, each)]
    return _table(graphs, every + more, len(every), scored=True)


def _measured_training(graphs: dict[str, tuple[Path, Path]], mixers: dict[str, Mixer]) -> Table:
    every = (mixture for domain, mixer in mixers.items() for mixture in from_training(domain, mixer))
    return _table(graphs, list(every), 0, scored=False)


def _table(graphs: dict[str, tuple[Path, Path]], every: Sequence[Mixture], listed: int, scored: bool) -> Table:
    task = partial(_rows, tuple(graphs.items()), scored)
    if PROCESSES == 1:
        rows = list(map(task, every))
    else:
        with pool_of(PROCESSES) as pool:
            rows = list(pool.map(task, every, chunksize=4))
    names = next(tuple(found) for looks, _ in rows for look in looks for found in look if found)
    return Table(
        domains=tuple(graphs),
        names=names,
        truth=np.array([tuple(graphs).index(mixture.domain) for mixture in every]),
        groups=np.array([mixture.pieces_of for mixture in every]),
        listed=np.arange(len(rows)) < listed,
        measures=np.array(
            [[[[found.get(name, np.nan) for name in names] for found in look] for look in looks] for looks, _ in rows]
        ),
        si_sdri_db=np.array([figures for _, figures in rows]),
    )


def _rows(
    paths: tuple[tuple[str, tuple[Path, Path]], ...], scored: bool, mixture: Mixture
) -> tuple[list[list[dict[str, float]]], list[float]]:
    """By moment and model: the measures by name, none where there is nothing to judge. By model: SI-SDRi, or nan."""
    graphs = _opened(paths)
    watch = Watch({domain: look_back for domain, (_, look_back) in graphs.items()}, LOOK_BACK_S)
    front = watch.front_end
    hops = mixture.sources.sum(axis=0)
    hops = hops[: len(hops) // front.hop * front.hop].reshape(-1, front.hop)
    looks = []
    for moment_s in MOMENTS_S:
        watch.hear(hops[watch.hop : round(moment_s * front.sample_rate / front.hop)])
        backs, active = (
            watch.look_backs(),
            is_active(levels_dbfs(watch.sound(), front.sample_rate), ActivityOptions()),
        )
        found = [
            measure_look_back(backs[domain], len(graph.manifest.sources), chosen=MEASURES)
            for domain, (_, graph) in graphs.items()
        ]
        looks.append([measures.by_name if measures and active else {} for measures in found])
    return looks, [improvement_db(step, mixture) if scored else np.nan for step, _ in graphs.values()]


def improvement_db(step: Batch, mixture: Mixture) -> float:
    """SI-SDRi of the whole mixture through a step graph, in dB, mean over the slots; nan where a source is silent.

    The slots of a model for another domain mean nothing here, and may come in any order."""
    said, total = step.manifest, mixture.sources.sum(axis=0)
    frames = analyse(said.front_end, total)
    late = said.look_ahead
    masks = step.run(np.pad(frames, ((0, late), (0, 0))), step.start())[0][late:]
    estimates = synthesise(said.front_end, masks.swapaxes(0, 1) * frames, len(total))
    roles = said.sources if said.domain == mixture.domain else ("",) * len(said.sources)
    order = best_order(estimates, mixture.sources, roles)
    pairs = zip(order, mixture.sources, strict=True)
    return float(np.mean([si_sdr_improvement_db(estimates[slot], source, total) for slot, source in pairs]))


@lru_cache(maxsize=1)
def _opened(paths: tuple[tuple[str, tuple[Path, Path]], ...]) -> dict[str, tuple[Batch, Batch]]:
    """Opened once in every process."""
    return {domain: (Batch(step), Batch(look_back)) for domain, (step, look_back) in paths}


def _fingerprint(graphs: dict[str, tuple[Path, Path]], data: Path) -> str:
    """Another one for other graphs or another list, not for another calibration inside the same graphs."""
    made_of = hashlib.sha256(repr((MOMENTS_S, LOOK_BACK_S, REMIXED, BROAD, PREFIX, COLUMNS, sorted(graphs))).encode())
    for step, look_back in graphs.values():
        for path in (step, look_back):
            made_of.update(graph_bytes(path))
    for table in (data / "mixtures.csv", data / "manifest.csv"):  # the latter says what clips are pieces of
        made_of.update(table.read_bytes() if table.is_file() else b"")
    return made_of.hexdigest()[:16]


def _keep(table: Table, path: Path) -> None:
    """Write it beside, then in its place."""
    part = path.with_name(f".{path.name}")
    with open(part, "wb") as file:
        np.savez_compressed(file, **vars(table))
    part.replace(path)
