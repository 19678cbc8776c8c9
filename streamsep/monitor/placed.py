"""Where a model puts a sound, and what the sound is like by itself: measures of a look back beside how well its
points fall into clusters.

A model puts the sounds it knows in other places of its embedding space than those it does not. The mean embedding of
the louder bins tells the domains apart as well as the clusters do, says something else, and costs next to nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from streamsep.monitor.confidence import ALL, Measures, measure
from streamsep.monitor.look_back import LookBack

MEAN = "mean_"  # and the number of the dimension: the name of a component


@dataclass(frozen=True)
class PlacedMeasures(Measures):
    """All measures of one model on one look back; those named "mean_0" and so on, and those of the texture, are
    neither good nor bad in themselves."""

    mean: tuple[float, ...] = ()  # (dims,), [-1, 1] each: of the louder bins' embeddings
    texture: Mapping[str, float] = field(default_factory=dict)  # by name; the same for every model

    @property
    def by_name(self) -> dict[str, float]:
        """Those that were asked for, "confidence", the components of the mean and the texture."""
        mean = {f"{MEAN}{number}": value for number, value in enumerate(self.mean)}
        return super().by_name | mean | dict(self.texture)


def measure_look_back(
    look_back: LookBack, sources: int, most: int = 1000, hardness: float = 1.0, chosen: Collection[str] = ALL
) -> PlacedMeasures | None:
    """As `confidence.measure`, whose measures are chosen, and mean and texture besides, where the look back has them.
    None, which is no decision, where it is silent. Raises ConfigError for a measure that does not exist."""
    found = measure(look_back.embeddings, sources, look_back.magnitudes, most, hardness, chosen)
    if found is None:
        return None
    mean = () if look_back.mean is None else tuple(look_back.mean.tolist())
    return PlacedMeasures(**{name: getattr(found, name) for name in ALL}, mean=mean, texture=look_back.texture)
