"""Deep clustering's own tables (Hershey et al. 2016) with this bank, on these lists: what k-means, live centres and
the mask head make of the same network, for two sources and three, between ideal masks and a classical baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamsep.errors import AudioError
from streamsep.evaluation.clustering import global_masks, loud, oracle_masks, some_of
from streamsep.evaluation.lists import Mixture, joined
from streamsep.evaluation.metrics import LIMIT_DB, si_sdr_db
from streamsep.evaluation.references import IDEAL, SpectralMasks, analyse, ideal_binary, seed_of, synthesise
from streamsep.evaluation.tables import read_clips
from streamsep.models.loader import Batch
from streamsep.models.manifest import Manifest
from streamsep.realtime.centres import Centres
from streamsep.report.clips import subgroup
from streamsep.report.clustering_section import KINDS, make_section
from streamsep.report.figures import figures_db
from streamsep.report.nmf import oracle_nmf
from streamsep.report.rendering import all_frames, opened
from streamsep.report.study import Job, Lists, Row, Section
from streamsep.report.voices import closed, same_voice

MOST = {"two": 50, "three": 30, "closed": 50, "same voice": 30, "alone": 30}  # mixtures of a domain
IDEAL_WAYS = {
    "ideal-binary": "ideal binary mask",
    "ideal-ratio": "ideal ratio mask",
    "phase-sensitive": "phase-sensitive mask",
}
POINTS = 10_000  # that k-means sees of a file
NEARBY = 8  # mixtures that a third source is looked for in


@dataclass(frozen=True)
class Model:
    """The two graphs of a domain, run over whole files."""

    step: Batch
    look_back: Batch

    @property
    def manifest(self) -> Manifest:
        """Of the step graph."""
        return self.step.manifest


@dataclass(frozen=True)
class Clustering:
    """A job is a mixture: of two sources, three, one, one voice twice, or of talkers that the model has heard."""

    name: str = "clustering"
    needs: tuple[str, ...] = ()

    def jobs(self, lists: Lists) -> list[Job]:
        """(kind, domain, number)."""
        found: list[Job] = []
        for domain, roles in opened(lists).roles.items():
            sources = set(roles)
            kinds = [
                kind
                for kind in KINDS
                if kind == "two" or (len(sources) == 1 and (kind in ("three", "alone") or sources == {"talker"}))
            ]
            found += [(kind, domain, n) for kind in kinds for n in range(min(lists.count(domain), MOST[kind]))]
        return found

    def run(self, lists: Lists, job: Job) -> list[Row]:
        """A row for every way of separating it; none where the lists do not have such a mixture."""
        kind, domain, number = str(job[0]), str(job[1]), int(job[2])
        mixture = made(lists, kind, domain, number)
        if mixture is None:
            return []
        bank = opened(lists)
        model = Model(bank.steps[domain], bank.look_backs[domain])
        told = {"kind": kind, "domain": domain, "mixture": mixture.name, "clips": list(mixture.clips)}
        if kind == "two":
            clips = read_clips(lists.folder)
            told["pairing"] = subgroup(0, model.manifest.sources, [clips.get(clip) for clip in mixture.clips])
        found = alone(model, mixture) if kind == "alone" else separated(model, mixture)
        return [told | {"way": way} | figures for way, figures in found.items()]

    def section(self, rows: list[Row], others: Mapping[str, list[Row]]) -> Section:
        """Tables."""
        return make_section(rows)


def made(lists: Lists, kind: str, domain: str, number: int) -> Mixture | None:
    """The mixture of this kind that comes of number so-and-so of the list; None: it cannot be made."""
    mixture = lists.mixture(domain, number)
    if kind == "three":
        every = replace(lists, limit=None).count(domain)
        near = [lists.mixture(domain, (number + step) % every) for step in range(1, min(NEARBY, every))]
        try:
            return next(joined([mixture, *near], 3))
        except AudioError:  # not so many talkers
            return None
    if kind == "closed":
        return closed(lists.folder, mixture, number)
    if kind == "same voice":
        return same_voice(lists.folder, mixture, number)
    if kind == "alone":
        return replace(mixture, clips=mixture.clips[:1], sources=mixture.sources[:1], groups=mixture.groups[:1])
    return mixture


def separated(model: Model, mixture: Mixture) -> dict[str, Row]:
    """By way: how good it is. Nobody says which cluster of global k-means is which source."""
    manifest, sources = model.manifest, len(mixture.sources)
    roles = manifest.sources if sources == len(manifest.sources) else manifest.sources[:1] * sources
    spectra = analyse(manifest.front_end, mixture.sources)
    total = spectra.sum(axis=0)
    embeddings = embedded(model, total)
    owners = np.moveaxis(ideal_binary(spectra), 0, -1)
    masks = masks_of(model, total, embeddings, sources, seed_of(mixture))
    masks["oracle k-means"] = oracle_masks(embeddings, owners, loud(np.abs(total))).swapaxes(0, 1)
    masks |= {IDEAL_WAYS[name]: make(spectra) for name, make in IDEAL.items()}
    masks["oracle NMF"] = oracle_nmf(spectra)
    found: dict[str, Row] = {}
    for way, mask in masks.items():
        slots = synthesise(manifest.front_end, mask * total, mixture.sources.shape[-1])
        found[way] = figures_db(slots, mixture.sources, [""] * sources if way == "global k-means" else roles)
    return found


def alone(model: Model, mixture: Mixture) -> dict[str, Row]:
    """Of one source alone, by way: SI-SDR of the slot that has most of it, and how loud the others are, together,
    against it all: 0 dB: as loud; the less, the better."""
    front, sources = model.manifest.front_end, len(model.manifest.sources)
    total = analyse(front, mixture.sources)[0]
    if not total.any():
        return {}
    found = {}
    for way, mask in masks_of(model, total, embedded(model, total), sources, seed_of(mixture)).items():
        slots = synthesise(front, mask * total, mixture.sources.shape[-1])
        order = np.square(slots).sum(axis=1).argsort()
        strayed = np.square(slots[order[:-1]].sum(axis=0)).sum() / np.square(slots.sum(axis=0)).sum()
        found[way] = {
            "si_sdr_db": si_sdr_db(slots[order[-1]], mixture.sources[0]),
            "strayed_db": float(10 * np.log10(max(strayed, 10 ** (-LIMIT_DB / 10)))),
        }
    return found


def masks_of(
    model: Model, total: NDArray[np.complex128], embeddings: NDArray[np.float32], sources: int, seed: int
) -> dict[str, SpectralMasks]:
    """What the network can make of a mixture by itself, by way: masks (sources, frames, bins).

    total: (frames, bins) of the mixture. The mask head is only for as many sources as it was trained for, live
    centres only where the manifest says where they begin."""
    manifest, magnitudes = model.manifest, np.abs(total).astype(np.float32)
    found: dict[str, SpectralMasks] = {}
    if sources == len(manifest.sources):
        found["mask head"] = all_frames(model.step, total).swapaxes(0, 1)
    if start := model.look_back.manifest.centres.get(sources):
        front = manifest.front_end
        centres = Centres(np.array(start, np.float32), front.bins, front.hop / front.sample_rate)
        every = [centres.process(*frame).copy() for frame in zip(embeddings, magnitudes, strict=True)]
        found["online centres"] = np.stack(every, axis=1)
    weights = some_of(loud(magnitudes), POINTS, seed)
    if np.count_nonzero(weights) >= sources:
        found["global k-means"] = global_masks(embeddings, weights, sources, seed).swapaxes(0, 1)
    return found


def embedded(model: Model, total: NDArray[np.complex128]) -> NDArray[np.float32]:
    """(frames, bins) of a mixture -> its embeddings (frames, bins, dims)."""
    return all_frames(model.look_back, total)
