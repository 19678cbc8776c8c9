"""The classical baseline: nonnegative matrix factorisation, with a dictionary of each source's own spectra. By
scikit-learn."""

import warnings

import numpy as np

from streamsep.evaluation.references import Spectra, SpectralMasks
from streamsep.report.extras import package

PARTS = 32  # spectra in the dictionary of a source
ROUNDS = 60
EVERY = 4  # frame, to learn from: neighbours overlap nearly wholly


def oracle_nmf(sources: Spectra) -> SpectralMasks:
    """(sources, frames, bins) -> masks that add up to 1.

    Every source's dictionary is learnt from that very source (that is the oracle), the mixture's magnitudes are made
    of all dictionaries together, and each bin is shared out by the power that each of them put into it. It bounds
    from above what a dictionary learnt from other recordings of the same talker could do (Hershey et al. 2016)."""
    sklearn, warning = package("sklearn.decomposition"), package("sklearn.exceptions").ConvergenceWarning
    magnitudes, total = np.abs(sources), np.abs(sources.sum(axis=0))
    settings = {"max_iter": ROUNDS, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", warning)  # the last rounds gain nothing that is heard
        dictionaries = [
            sklearn.NMF(PARTS, init="nndsvda", **settings).fit(source[::EVERY] + 1e-9).components_
            for source in magnitudes
        ]
        dictionary = np.concatenate(dictionaries)
        gains = sklearn.non_negative_factorization(
            total, H=dictionary, n_components=len(dictionary), init="random", update_H=False, **settings
        )[0]
    made = np.split(gains, len(sources), axis=1)
    power = np.square([gain @ part for gain, part in zip(made, dictionaries, strict=True)]) + 1e-12
    masks: SpectralMasks = power / power.sum(axis=0)
    return masks
