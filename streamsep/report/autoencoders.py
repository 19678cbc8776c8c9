"""Choosing a model by reconstruction error: small autoencoders that know one domain each (after Kim 2017).

An autoencoder that was trained on some kind of sound reproduces that kind better than others. Two ways to choose by
it: on the mixture, with autoencoders of every domain's mixtures (as Liu et al. describe it); and on what each model
makes of it, with autoencoders of its domain's true sources (as Kim does). The model of the lowest error is picked.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamsep.evaluation import lists
from streamsep.evaluation.references import analyse
from streamsep.realtime.stft import FrontEnd
from streamsep.report.extras import package
from streamsep.report.features import decibels, powers

BANDS = 40
HIDDEN = (64, 8, 64)
EPOCHS = 40
EVERY = 2  # of the validation mixtures; the others are left to fit what the errors promise
FRAMES = 2  # frames of 16 ms that are trained on: one in so many
LOUD_DB = -40.0  # of the loudest frame: what is below says nothing

Frames = NDArray[np.float64]  # (frames, BANDS), dB


@dataclass(frozen=True)
class Autoencoders:
    """All of them see frames through the same scale, so that their errors compare; in units of its variance."""

    front: FrontEnd
    mean: Frames  # (BANDS,)
    deviation: Frames  # (BANDS,)
    of_mixtures: dict[str, Any]  # by domain: scikit-learn's MLPRegressor
    of_sources: dict[str, tuple[Any, ...]]  # by domain, one for every slot

    def mixture_error(self, domain: str, spectrum: NDArray[np.complex128]) -> float:
        """How badly this domain's autoencoder reproduces a mixture, (frames, bins): mean square, at least 0."""
        return self._error(self.of_mixtures[domain], spectrum)

    def estimates_error(self, domain: str, spectra: NDArray[np.complex128]) -> float:
        """How badly its autoencoders reproduce what a model made of one, (slots, frames, bins): mean of the slots."""
        known = zip(self.of_sources[domain], spectra, strict=True)
        return float(np.mean([self._error(network, spectrum) for network, spectrum in known]))

    def _error(self, network: Any, spectrum: NDArray[np.complex128]) -> float:
        """nan: there is nothing loud."""
        x = (loud_frames(self.front, spectrum) - self.mean) / self.deviation
        return float(np.mean(np.square(network.predict(x) - x))) if len(x) else float("nan")


@lru_cache(maxsize=1)
def trained(folder: Path, front: FrontEnd, domains: tuple[str, ...]) -> Autoencoders:
    """On every second validation mixture of these domains, within a minute, once in every process; the same every
    time."""
    heard = {domain: _heard(folder, front, domain) for domain in domains}
    mixtures = {domain: found[0] for domain, found in heard.items()}
    slots = {domain: found[1:] for domain, found in heard.items()}
    every = np.concatenate([frames for each in slots.values() for frames in each] + list(mixtures.values()))
    mean, deviation = every.mean(axis=0), np.maximum(every.std(axis=0), 1e-3)
    return Autoencoders(
        front,
        mean,
        deviation,
        {domain: _fitted((frames - mean) / deviation) for domain, frames in mixtures.items()},
        {domain: tuple(_fitted((frames - mean) / deviation) for frames in each) for domain, each in slots.items()},
    )


def loud_frames(front: FrontEnd, spectrum: NDArray[np.complex128]) -> Frames:
    """(frames, bins) -> those frames, 16 ms each, that are loud."""
    power = powers(front, spectrum, BANDS)
    level = power.sum(axis=1)
    found: Frames = decibels(power)[level > level.max(initial=0) * 10 ** (LOUD_DB / 10)]
    return found


def _heard(folder: Path, front: FrontEnd, domain: str) -> list[Frames]:
    """Of those validation mixtures: the mixture's frames, then every slot's."""
    found: list[list[Frames]] = []
    for number in range(0, lists.count(folder, "val", domain), EVERY):
        spectra = analyse(front, lists.mixture(folder, "val", domain, number).sources)
        found.append([loud_frames(front, each)[::FRAMES] for each in (spectra.sum(axis=0), *spectra)])
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def _fitted(frames: Frames) -> Any:
    """An autoencoder of these, seeded. Raises ConfigError when scikit-learn is missing."""
    network = package("sklearn.neural_network").MLPRegressor(
        hidden_layer_sizes=HIDDEN, max_iter=EPOCHS, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", package("sklearn.exceptions").ConvergenceWarning)  # it has had its epochs
        return network.fit(frames, frames)
