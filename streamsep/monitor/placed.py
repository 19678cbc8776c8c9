"""Where a model puts a sound: one more measure of a look back, beside how well its points fall into clusters.

A model puts the sounds it knows in other places of its embedding space than those it does not. The mean of the loud
bins' embeddings tells the domains apart as well as the clusters do, says something else, and costs next to nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamsep.monitor.confidence import ALL, Measures, measure
from streamsep.monitor.look_back import LookBack

MEAN = "mean_"  # and the number of the dimension: the name of a component


@dataclass(frozen=True)
class PlacedMeasures(Measures):
    """All measures of one model on one look back; those named "mean_0" and so on are neither good nor bad in
    themselves."""

    mean: tuple[float, ...] = ()  # (dims,), [-1, 1] each: of the loud bins' embeddings

    @property
    def by_name(self) -> dict[str, float]:
        """Those that were asked for, "confidence" and the components of the mean."""
        return super().by_name | {f"{MEAN}{number}": value for number, value in enumerate(self.mean)}


def measure_look_back(
    look_back: LookBack, sources: int, most: int = 1000, hardness: float = 1.0, chosen: Collection[str] = ALL
) -> PlacedMeasures | None:
    """As `confidence.measure`, whose measures are chosen, and the mean besides. None, which is no decision, where the
    look back is silent. Raises ConfigError for a measure that does not exist."""
    found = measure(look_back.embeddings, sources, look_back.magnitudes, most, hardness, chosen)
    if found is None:
        return None
    mean = mean_embedding(look_back.embeddings)
    return PlacedMeasures(**{name: getattr(found, name) for name in ALL}, mean=tuple(mean.tolist()))


def mean_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """(points, dims) -> (dims,), of the points that are finite, all alike; at least one must be."""
    mean: NDArray[np.float64] = embeddings[np.isfinite(embeddings).all(axis=1)].mean(axis=0, dtype=np.float64)
    return mean
