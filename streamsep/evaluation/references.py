"""What to hold a model against: masks that know the answer, masks that know nothing, and clusterings of a model's
embeddings, all at the models' own front end.

A whole mixture is analysed and synthesised at once, with the windows of the engine; the result is aligned with the
mixture. Spectra are (sources, frames, bins); masks are real, as large, and in [0, 1].
"""

import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamsep.errors import ModelError
from streamsep.evaluation.clustering import global_masks, loud, oracle_masks
from streamsep.evaluation.lists import RATE, Mixture
from streamsep.evaluation.quality import Estimates, System
from streamsep.models.bank import BankModel, look_back_beside
from streamsep.models.loader import Batch
from streamsep.realtime.stft import FrontEnd, analysis_taper, synthesis_taper

Spectra = NDArray[np.complex128]
SpectralMasks = NDArray[np.floating]


def analyse(front: FrontEnd, sounds: NDArray[np.floating]) -> Spectra:
    """(..., samples) -> (..., frames, bins): frame t ends with hop t, as in the engine.

    Silence goes before and after, so that `synthesise` gets every sample back."""
    samples = sounds.shape[-1]
    frames = (samples - 1 + front.synthesis_window) // front.hop
    past, rest = front.window - front.hop, frames * front.hop - samples
    padded = np.pad(sounds.astype(np.float64), [(0, 0)] * (sounds.ndim - 1) + [(past, rest)])
    looks = sliding_window_view(padded, front.window, axis=-1)[..., :: front.hop, :]
    return np.fft.rfft(looks * analysis_taper(front.window, front.synthesis_window))


def synthesise(front: FrontEnd, spectra: Spectra, samples: int) -> NDArray[np.float64]:
    """(..., frames, bins) -> (..., samples), aligned with the input of `analyse`."""
    window, synthesis, hop = front.window, front.synthesis_window, front.hop
    heard = np.fft.irfft(spectra, n=window)[..., -synthesis:] * synthesis_taper(window, synthesis, hop)
    *outer, frames, _ = heard.shape
    overlap = synthesis // hop
    pieces = heard.reshape(*outer, frames, overlap, hop)
    total = np.zeros((*outer, frames + overlap - 1, hop))
    for part in range(overlap):
        total[..., part : part + frames, :] += pieces[..., part, :]
    start = synthesis - hop
    return total.reshape(*outer, -1)[..., start : start + samples]


def ideal_binary(sources: Spectra) -> SpectralMasks:
    """Every bin wholly to the source that is loudest in it, the first of equals. They add up to 1."""
    slots = np.arange(len(sources))[:, None, None]
    masks: SpectralMasks = (np.abs(sources).argmax(axis=0) == slots).astype(np.float64)
    return masks


def ideal_ratio(sources: Spectra) -> SpectralMasks:
    """Every bin in proportion to the sources' magnitudes: |S| / sum |S|. They add up to 1."""
    magnitudes = np.abs(sources)
    total, even = magnitudes.sum(axis=0), np.full(sources.shape, 1 / len(sources))
    masks: SpectralMasks = np.divide(magnitudes, total, out=even, where=total > 0)
    return masks


def phase_sensitive(sources: Spectra) -> SpectralMasks:
    """The real mask that comes closest to the source, cut off at 0 and 1: |S| cos(phase difference) / |mixture|
    (Erdogan et al. 2015)."""
    mixture = sources.sum(axis=0)
    power = np.abs(mixture) ** 2
    shared = (sources * mixture.conj()).real
    masks: SpectralMasks = np.divide(shared, power, out=np.zeros(shared.shape), where=power > 0).clip(0, 1)
    return masks


def random_masks(shape: tuple[int, ...], seed: int) -> SpectralMasks:
    """(sources, frames, bins) that know nothing: drawn evenly from all that add up to 1; of two, each is uniform."""
    sources, *bins = shape
    return np.moveaxis(np.random.default_rng(seed).dirichlet(np.ones(sources), size=bins), -1, 0)


IDEAL: dict[str, Callable[[Spectra], SpectralMasks]] = {
    "ideal-binary": ideal_binary,
    "ideal-ratio": ideal_ratio,
    "phase-sensitive": phase_sensitive,
}
CLUSTERINGS = ("oracle-centres", "global-centres")
NAMES = ("mixture", "random", *CLUSTERINGS, *IDEAL)


def reference(name: str, model: BankModel) -> System:
    """The system of this name, one of NAMES, for mixtures of the model's domain; a `functools.partial` of a function
    of this module. Raises ModelError when the model works at another rate than the lists, or its embeddings are
    missing."""
    front, roles = model.manifest.front_end, model.manifest.sources
    if front.sample_rate != RATE:
        raise ModelError(f"{model.path}: the lists are at {RATE} Hz, the model works at {front.sample_rate} Hz")
    if name == "mixture":
        return partial(untouched, roles)
    if name not in CLUSTERINGS:
        return partial(masked, front, roles, name)
    graph = look_back_beside(model.path)
    look_back(graph)
    return partial(clustered, front, roles, name, graph)


def untouched(roles: tuple[str, ...], mixture: Mixture) -> Estimates:
    """The mixture itself in every slot."""
    return Estimates(np.stack([mixture.sources.sum(axis=0)] * len(roles)), roles)


def masked(front: FrontEnd, roles: tuple[str, ...], name: str, mixture: Mixture) -> Estimates:
    """Through one of the IDEAL masks, made from the true sources, or through random ones."""
    spectra = analyse(front, mixture.sources)
    masks = random_masks(spectra.shape, seed_of(mixture)) if name == "random" else IDEAL[name](spectra)
    return Estimates(synthesise(front, masks * spectra.sum(axis=0), mixture.sources.shape[-1]), roles)


def clustered(front: FrontEnd, roles: tuple[str, ...], name: str, graph: Path, mixture: Mixture) -> Estimates:
    """Through masks that come from one clustering of the whole mixture, its loud bins weighted by magnitude.

    oracle-centres: the centres are the means of what each source owns. global-centres: k-means finds them (the two
    k-means of Hershey et al. 2016); which cluster is which source nobody says, so any order is allowed."""
    spectra = analyse(front, mixture.sources)
    total = spectra.sum(axis=0)
    batch = look_back(graph)
    late = batch.manifest.look_ahead
    embeddings = batch.run(np.pad(total, ((0, late), (0, 0))), batch.start())[0][late:]
    weights = loud(np.abs(total))
    if name == "oracle-centres":
        masks = oracle_masks(embeddings, np.moveaxis(ideal_binary(spectra), 0, -1), weights)
    else:
        masks = global_masks(embeddings, weights, len(roles), seed_of(mixture))
    heard = synthesise(front, masks.swapaxes(0, 1) * total, mixture.sources.shape[-1])
    return Estimates(heard, roles, any_order=name == "global-centres")


@lru_cache(maxsize=1)
def look_back(graph: Path) -> Batch:
    """The embeddings of a model; opened once in every process. Raises ModelError."""
    return Batch(graph)


def seed_of(mixture: Mixture) -> int:
    """The same for a mixture in every run, and another one for every other."""
    return zlib.crc32(mixture.name.encode())
