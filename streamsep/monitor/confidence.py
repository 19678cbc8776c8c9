"""How clearly a model's embeddings fall into clusters: measures that guess, without knowing the sources, how well it
separates. Pure functions; confidence = silhouette x posterior strength (Liu, Seetharaman & Pardo 2019).

In every function, `points` are the embeddings of the loud time-frequency bins of a look back, (points, dims).
"""

from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamsep.arrays import Posteriors
from streamsep.errors import ConfigError
from streamsep.monitor.clusters import Clusters, Labels, Points, Values, cluster, one_hot
from streamsep.monitor.gaussians import divergence

BLOCK = 128  # points against as many, at a time: their distances stay in the cache


@dataclass(frozen=True)
class Measures:
    """What there is to say of one model on one look back; of every measure, more is better. None: not asked for."""

    silhouette: float | None = None  # [-1, 1]
    posterior_strength: float | None = None  # [0, 1]
    simplified_silhouette: float | None = None  # [0, 1]
    balance: float | None = None  # [0, 1]
    divergence: float | None = None  # [0, 1], bits
    deep_clustering: float | None = None  # 1 - its loss: 1 at best, rarely below 0
    whitened_k_means: float | None = None  # 1 - its loss, [0, 1]

    @property
    def confidence(self) -> float | None:
        """Silhouette x posterior strength, [-1, 1]; None unless both were asked for."""
        if self.silhouette is None or self.posterior_strength is None:
            return None
        return self.silhouette * self.posterior_strength

    @property
    def by_name(self) -> dict[str, float]:
        """Those that were asked for, "confidence" too."""
        values = {name: getattr(self, name) for name in (*ALL, "confidence")}
        return {name: value for name, value in values.items() if value is not None}


ALL = tuple(field.name for field in fields(Measures))


def loudest(magnitudes: ArrayLike, count: int) -> NDArray[np.int64]:
    """Which of these time-frequency bins are the `count` loudest, in ascending order; of equals the first.

    magnitudes: (points,), at least 0, on any scale. Silent bins and those that are not finite are never among them:
    of silence there are none.
    """
    loudness = np.nan_to_num(np.asarray(magnitudes), nan=0.0, posinf=0.0)
    count = min(count, int(np.count_nonzero(loudness > 0)))
    if count == 0:
        return np.zeros(0, np.int64)
    least = np.partition(loudness, -count)[-count]
    louder = np.flatnonzero(loudness > least)
    as_loud = np.flatnonzero(loudness == least)[: count - len(louder)]
    return np.sort(np.concatenate([louder, as_loud]))


def drawn(points: int, most: int) -> NDArray[np.int64]:
    """Which of so many points are measured, in ascending order: all, or `most` of them, without preference. The same
    for every model, and every time."""
    if points <= most:
        return np.arange(points)
    return np.sort(np.random.default_rng(0).choice(points, most, replace=False))


def measure(
    embeddings: ArrayLike,
    sources: int,
    magnitudes: ArrayLike | None = None,
    most: int = 1000,
    hardness: float = 1.0,
    chosen: Collection[str] = ALL,
    start: ArrayLike | None = None,
) -> Measures | None:
    """Cluster the points, and take the chosen measures, all of the same clusters.

    embeddings: (points, dims). sources: of the model, at least 1. magnitudes: (points,), at least 0, the weights of
    the two losses; None: all alike. most: more points than this are not measured (`drawn`). hardness, start: see
    `cluster`. Points that are silent or not finite are left out; None, which is no decision, where nothing is left.
    Raises ConfigError for a measure that does not exist.
    """
    if unknown := sorted(set(chosen) - set(ALL)):
        raise ConfigError(f"there is no measure {unknown[0]!r}; there are {list(ALL)}")
    with np.errstate(over="ignore"):
        points = np.asarray(embeddings, np.float32)
    weights = np.ones(len(points)) if magnitudes is None else np.asarray(magnitudes, np.float64)
    usable = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(weights) & (weights > 0))
    if not len(usable):
        return None
    usable = usable[drawn(len(usable), most)]
    return measure_clusters(cluster(points[usable], sources, hardness, start), weights[usable], chosen)


def measure_clusters(clusters: Clusters, weights: Values, chosen: Collection[str] = ALL) -> Measures:
    """The chosen measures of these clusters; weights: (points,)."""
    points, labels, owners = clusters.points, clusters.labels, clusters.owners
    functions = {
        "silhouette": lambda: silhouette(points, labels),
        "posterior_strength": lambda: posterior_strength(clusters.posteriors),
        "simplified_silhouette": lambda: simplified_silhouette(clusters.distances, labels),
        "balance": lambda: balance(clusters.sizes),
        "divergence": lambda: divergence(points, labels),
        "deep_clustering": lambda: 1 - deep_clustering_loss(points, owners, weights),
        "whitened_k_means": lambda: 1 - whitened_k_means_loss(points, owners, weights),
    }
    return Measures(**{name: functions[name]() for name in chosen})


# ------------------------------------------------------------------------------------------------- confidence itself


def silhouette(points: ArrayLike, labels: Labels) -> float:
    """How much nearer every point is to its own cluster than to the next one, on average, in [-1, 1].

    points: (points, dims), finite, at least one; labels: (points,), 0 and up. With a, the mean distance to the other
    points of its cluster, and b, the least of the mean distances to another cluster's points: the mean of
    (b - a) / max(a, b). 1: dense clusters far apart; 0: one cluster, or clusters on top of each other; below: points
    that are nearer to another cluster. A point alone in its cluster counts 0, and so does one with a = b = 0
    (Rousseeuw 1987).

    >>> round(silhouette([[0.0], [1.0], [10.0], [11.0]], np.array([0, 0, 1, 1])), 4)
    0.8997
    """
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)  # clusters without points are none
    if len(sizes) < 2:
        return 0.0
    x = np.asarray(points, np.float64)
    own = np.arange(len(x)), labels
    means = _sums_of_distances(x, one_hot(labels, len(sizes)))
    a = means[own] / np.maximum(sizes[labels] - 1, 1)
    means /= sizes
    means[own] = np.inf
    return float(np.mean(np.where(sizes[labels] > 1, _contrast(a, means.min(axis=1)), 0.0)))


def posterior_strength(posteriors: Posteriors) -> float:
    """How firmly each time-frequency bin is claimed by one source, in [0, 1].

    posteriors: (points, sources), rows sum to 1. 0: every bin is a coin toss; 1: every bin has an owner, as it must
    where there is only one source. Liu, Seetharaman & Pardo 2019, eq. 4.

    >>> posterior_strength(np.array([[1.0, 0.0], [0.5, 0.5]]))
    0.5
    """
    sources = posteriors.shape[-1]
    if sources == 1:
        return 1.0
    return float(np.mean((sources * posteriors.max(axis=-1) - 1) / (sources - 1)))


# ------------------------------------------------------------------------------------------------------------ its kin


def simplified_silhouette(distances: Points, labels: Labels) -> float:
    """The silhouette with distances to the centres instead of to all points, in [0, 1]; cheap enough for every hop.

    distances: (points, sources), to the centres; labels: (points,), the nearest. a is the distance to the own centre,
    b that to the next one of a cluster that is not empty; the rest as in `silhouette` (Hruschka et al. 2004).

    >>> simplified_silhouette(np.array([[1.0, 4.0], [1.0, 2.0], [3.0, 0.0]]), np.array([0, 0, 1]))
    0.4166666666666667
    """
    sizes = np.bincount(labels, minlength=distances.shape[1])
    if np.count_nonzero(sizes) < 2:
        return 0.0
    every = np.arange(len(labels))
    others = np.where(sizes > 0, distances, np.inf)
    others[every, labels] = np.inf
    scores = _contrast(distances[every, labels], others.min(axis=1))
    return float(np.mean(np.where(sizes[labels] > 1, scores, 0.0)))


def balance(sizes: NDArray[np.intp]) -> float:
    """How evenly the points fall to the clusters: the smallest share over an equal one, in [0, 1]. sizes: (sources,).

    >>> balance(np.array([30, 10])), balance(np.array([7, 0])), balance(np.array([5, 5, 5]))
    (0.5, 0.0, 1.0)
    """
    return float(len(sizes) * sizes.min() / sizes.sum())


def deep_clustering_loss(points: Points, owners: Points, weights: Values) -> float:
    """How far the affinities of the embeddings are from those of their own clusters; for unit norm in [0, 4].

    points V: (points, dims); owners Y: (points, sources), one-hot; weights: (points,), at least 0, not all 0.
    |VV' - YY'|^2 with every point weighted, as |V'V|^2 - 2 |V'Y|^2 + |Y'Y|^2, which never forms the points x points
    matrices (Hershey et al. 2016; Wang et al. 2018). 0: all points of a cluster are the same, and at right angles to
    the others; above 1 only if points of one cluster look away from each other.
    """
    v, y = _weighted(points, owners, weights)
    return float(np.square(v.T @ v).sum() - 2 * np.square(v.T @ y).sum() + np.square(y.T @ y).sum())


def whitened_k_means_loss(points: Points, owners: Points, weights: Values) -> float:
    """How little of the clusters can be read from the embeddings, linearly, whatever their scale and skew; [0, 1].

    1 - tr[(V'V)^-1 V'Y (Y'Y)^-1 Y'V] / sources; arguments as in `deep_clustering_loss`, and a little is added to V'V,
    which keeps it regular (Wang, Le Roux & Hershey 2018). 0: everything can; 1: nothing, as of an empty cluster.
    """
    v, y = _weighted(points, owners, weights)
    dims, sources = v.shape[1], y.shape[1]
    spread = v.T @ v
    spread += (1e-4 * np.trace(spread) / dims or 1.0) * np.eye(dims)
    sizes = np.square(y).sum(axis=0)
    cross = v.T @ y[:, sizes > 0] / np.sqrt(sizes[sizes > 0])
    return float(1 - (cross * np.linalg.solve(spread, cross)).sum() / sources)


# -------------------------------------------------------------------------------------------------------------- parts


def _weighted(points: Points, owners: Points, weights: Values) -> tuple[Points, Points]:
    """Both with every row times the root of its share of the weights."""
    root = np.sqrt(weights / weights.sum())[:, None]
    return points * root, owners * root


def _sums_of_distances(points: Points, owns: Points) -> Points:
    """(points, dims), one-hot (points, clusters) -> (points, clusters): from every point to all of every cluster."""
    x = points - points.mean(axis=0)
    squares, ones = np.einsum("nd,nd->n", x, x), np.ones(len(x))
    # |x - y|^2 = |x|^2 + |y|^2 - 2xy as one product; in float64, because the difference of near ones is lost in it
    left = np.column_stack([x, squares, ones])
    right = np.column_stack([-2 * x, ones, squares]).T
    sums = np.zeros_like(owns)
    blocks = [slice(at, at + BLOCK) for at in range(0, len(x), BLOCK)]
    for index, rows in enumerate(blocks):
        for columns in blocks[index:]:  # what is below the diagonal is what is above it
            distances = left[rows] @ right[:, columns]
            np.maximum(distances, 0, out=distances)
            np.sqrt(distances, out=distances)
            if columns != rows:
                sums[columns] += distances.T @ owns[rows]
            sums[rows] += distances @ owns[columns]
    return sums


def _contrast(a: Values, b: Values) -> Values:
    """(b - a) / max(a, b), 0 where both are 0."""
    larger = np.maximum(a, b)
    return np.divide(b - a, larger, out=np.zeros_like(a), where=larger > 0)
