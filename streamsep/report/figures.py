"""How good what was made of a mixture is, in the terms of all papers at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamsep.evaluation.metrics import best_order, sd_sdr_db, sdrs_db, si_sdr_improvement_db


def figures_db(slots: NDArray[np.floating], sources: NDArray[np.floating], roles: Sequence[str]) -> dict[str, float]:
    """Means over the sources in dB; slots, sources: (sources, samples), those of one role in any order.

    Improvements of SI-SDR and of BSS-eval SDR over the mixture, and scale-dependent SDR as it is. A source that is
    silent does not count; nan: all are."""
    sound = sources.sum(axis=0)
    slots = slots[list(best_order(slots, sources, roles))]
    sdrs = sdrs_db([sound, *slots], list(sources))
    each = [
        (
            si_sdr_improvement_db(slot, source, sound),
            sdrs[number, number + 1] - sdrs[number, 0],
            sd_sdr_db(slot, source),
        )
        for number, (slot, source) in enumerate(zip(slots, sources, strict=True))
        if source.any()
    ]
    means = np.mean(each, axis=0) if each else np.full(3, np.nan)
    return dict(zip(("si_sdri_db", "sdri_db", "sd_sdr_db"), means.tolist(), strict=True))
