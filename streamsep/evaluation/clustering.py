"""What clustering could reach with the whole file at hand: k-means over all of it, and centres that know the truth.

References for `streamsep.realtime.centres`, with masks as soft as its: exp(-HARDNESS * squared distance) over their
sum. (The deep clustering paper gives every bin to one cluster, which loses about 1 dB of SI-SDR with these models.)
"""

import numpy as np
from numpy.typing import NDArray

from streamsep.arrays import Embeddings
from streamsep.errors import AudioError
from streamsep.realtime.centres import HARDNESS

LOUD_DB = -40.0  # of the loudest bin of a file: what is below it tells nothing of the sources (Hershey et al. 2016)
RESTARTS = 4
ITERATIONS = 100  # at most; it takes ten or twenty

Points = NDArray[np.floating]  # (points, dims)
Weights = NDArray[np.float32]  # (frames, bins) or (points,), none negative
Positions = NDArray[np.float64]  # (sources, dims)
FileMasks = NDArray[np.float32]  # (frames, sources, bins), adding up to 1 over the sources


def loud(magnitudes: NDArray[np.floating]) -> Weights:
    """(frames, bins) -> the same where a bin is loud, 0 elsewhere: weights for the functions below."""
    return np.where(magnitudes > magnitudes.max() * 10 ** (LOUD_DB / 20), magnitudes, 0).astype(np.float32)


def some_of(weights: Weights, most: int, seed: int) -> Weights:
    """The weights of `most` bins, drawn from those that have any, and 0 elsewhere: k-means of these finds the centres
    of all, and sooner."""
    heard = np.flatnonzero(weights)
    if len(heard) <= most:
        return weights
    chosen = np.random.default_rng(seed).choice(heard, most, replace=False)
    kept = np.zeros_like(weights)
    kept.ravel()[chosen] = weights.ravel()[chosen]
    return kept


def oracle_masks(embeddings: Embeddings, owners: NDArray[np.floating], weights: Weights) -> FileMasks:
    """The masks of centres that are the weighted means of the true owners' bins, over the whole file.

    owners: (frames, bins, sources), one-hot; weights: (frames, bins). A source that owns nothing gets nothing."""
    points, weight = embeddings.reshape(-1, embeddings.shape[-1]), weights.reshape(-1)
    centres = means(points, owners.reshape(-1, owners.shape[-1]) * weight[:, None])
    return shares(embeddings, centres)


def global_masks(embeddings: Embeddings, weights: Weights, sources: int, seed: int) -> FileMasks:
    """The masks of centres that weighted k-means finds in the whole file; the sources come in no particular order.

    Of RESTARTS beginnings (k-means++, Arthur & Vassilvitskii 2007) the tightest result. Raises AudioError when fewer
    bins than sources have a weight."""
    points, weight = embeddings.reshape(-1, embeddings.shape[-1]), weights.reshape(-1)
    points, weight = points[weight > 0], weight[weight > 0]
    if len(points) < sources:
        raise AudioError(f"to find {sources} clusters takes as many loud bins, got {len(points)}")
    random = np.random.default_rng(seed)
    found = [k_means(points, weight, scattered(points, weight, sources, random)) for _ in range(RESTARTS)]
    return shares(embeddings, min(found, key=lambda centres: spread(points, weight, centres)))


def shares(embeddings: Embeddings, centres: Positions) -> FileMasks:
    """(frames, bins, dims), (sources, dims) -> (frames, sources, bins); a centre that is nan gets nothing
    unless all of them are."""
    closeness = -HARDNESS * squared_distances(embeddings.reshape(-1, embeddings.shape[-1]), centres)
    closeness = np.nan_to_num(closeness, nan=-1e9)
    share = np.exp(closeness - closeness.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    masks: FileMasks = share.reshape(*embeddings.shape[:2], -1).swapaxes(1, 2).astype(np.float32)
    return masks


def k_means(points: Points, weights: Weights, start: Positions) -> Positions:
    """Weighted Lloyd iterations from `start` (sources, dims) until nothing changes its cluster.

    A cluster that loses all its points stays where it was, so that the order is that of `start`."""
    centres, before = start, None
    for _ in range(ITERATIONS):
        nearest = squared_distances(points, centres).argmin(axis=1)
        if before is not None and np.array_equal(nearest, before):
            break
        found = means(points, np.eye(len(centres), dtype=np.float32)[nearest] * weights[:, None])
        centres, before = np.where(np.isnan(found), centres, found), nearest
    return centres


def scattered(points: Points, weights: Weights, sources: int, random: np.random.Generator) -> Positions:
    """Points to begin from: each drawn with its weight times its squared distance to those before."""
    chosen = [points[random.choice(len(points), p=weights / weights.sum(dtype=np.float64))]]
    while len(chosen) < sources:
        far = weights * squared_distances(points, np.array(chosen)).min(axis=1)
        if not far.any():  # all the points there are have been chosen
            far = weights
        chosen.append(points[random.choice(len(points), p=far / far.sum(dtype=np.float64))])
    return np.array(chosen, np.float64)


def spread(points: Points, weights: Weights, centres: Positions) -> float:
    """Weighted sum of the squared distances to the nearest centre; the smaller, the tighter."""
    return float(weights @ squared_distances(points, centres).min(axis=1))


def means(points: Points, shares: NDArray[np.floating]) -> Positions:
    """(points, dims), (points, sources) -> (sources, dims): weighted means; nan where all weights are 0."""
    total = shares.sum(axis=0, dtype=np.float64)[:, None]
    sums = (shares.T @ points).astype(np.float64)
    found: Positions = np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)
    return found


def squared_distances(points: Points, centres: Positions) -> NDArray[np.float64]:
    """(points, dims), (sources, dims) -> (points, sources)."""
    far = np.square(points).sum(1)[:, None] - 2 * points @ centres.T + np.square(centres).sum(1)
    squares: NDArray[np.float64] = np.maximum(far, 0)
    return squares
