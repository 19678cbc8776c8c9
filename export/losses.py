"""What the networks are trained on. Every loss is a mean over the batch; smaller is better."""

from itertools import permutations

import torch
from torch import Tensor


def deep_clustering(embeddings: Tensor, owners: Tensor, weights: Tensor) -> Tensor:
    """How far the affinities of the embeddings are from those of the true assignment, in [0, 1] or so.

    embeddings: (batch, points, dims), unit norm; owners: (batch, points, sources), one-hot; weights: (batch, points).
    |VV' - YY'|^2 = |V'V|^2 - 2|V'Y|^2 + |Y'Y|^2, which never forms the points x points matrix (Hershey et al. 2016),
    with every point weighted (Wang et al. 2018), over the total weight squared.
    """
    root = (weights / weights.sum(-1, keepdim=True).clamp_min(1e-12)).sqrt()[..., None]
    v, y = embeddings * root, owners * root

    def energy(a: Tensor, b: Tensor) -> Tensor:
        return (a.transpose(1, 2) @ b).square().sum((1, 2))

    return (energy(v, v) - 2 * energy(v, y) + energy(y, y)).mean()


def error_ratios_db(estimates: Tensor, heard: Tensor, mixture: Tensor, limit: float = 1e-3) -> Tensor:
    """10 log10 |error|^2 / |source|^2 of every estimate held against every source: minus the signal-to-noise ratio.

    estimates, heard: (batch, sources, samples); mixture: (batch, samples) -> (batch, estimates, sources), in dB. Both
    energies are softened by `limit` times the mixture's: nothing is gained below -30 dB, and a source that is silent
    asks for silence and not for the impossible.
    """
    soft = limit * mixture.square().sum(-1)[:, None, None] + 1e-9
    error = (estimates[:, :, None] - heard[:, None]).square().sum(-1)
    return 10 * torch.log10((error + soft) / (heard.square().sum(-1)[:, None] + soft))


def scale_invariant_ratios_db(estimates: Tensor, heard: Tensor, mixture: Tensor, limit: float = 1e-3) -> Tensor:
    """Minus the scale-invariant signal-to-distortion ratio (Le Roux et al. 2019); shapes and `limit` as above.

    The source is scaled as the estimate has it before the two are compared, and nothing is gained above 30 dB.
    However soft an estimate is, it is told how wrong it is: a network must not hide a source that it cannot find. A
    silent source has no scale, so it asks for silence, as above.
    """
    whole, energy = mixture.square().sum(-1)[:, None, None], heard.square().sum(-1)[:, None]
    soft = torch.where(energy > 1e-6 * whole, 1e-7, limit) * whole + 1e-9
    alike = estimates @ heard.transpose(1, 2)  # (batch, estimates, sources)
    wanted = alike.square() / energy.clamp_min(1e-9)
    error = (estimates.square().sum(-1)[:, :, None] - wanted).clamp_min(0)
    return 10 * torch.log10((error + limit * wanted + soft) / (wanted + soft))


def best_order(cost: Tensor) -> Tensor:
    """(batch, estimates, sources) -> (batch, estimates): the source of every estimate, for the least sum of costs.

    Over all permutations (Kolbaek et al. 2017, utterance-level).
    """
    slots = range(cost.shape[1])
    orders = torch.tensor(list(permutations(slots)), device=cost.device)  # (orders, estimates)
    sums = cost[:, torch.arange(len(slots), device=cost.device), orders].sum(-1)  # (batch, orders)
    return orders[sums.argmin(-1)]


def whitened_k_means(embeddings: Tensor, owners: Tensor, weights: Tensor) -> Tensor:
    """How far the embeddings, whitened, are from being told apart by their owner, in [0, 1] or so; shapes as above.

    1 - tr[(V'V)^-1 V'Y (Y'Y)^-1 Y'V] / sources, weighted points (Wang, Le Roux & Hershey 2018): scale and
    skew of the embeddings do not matter, so it pulls harder than the classic form where clusters are already apart.
    """
    root = (weights / weights.sum(-1, keepdim=True).clamp_min(1e-12)).sqrt()[..., None]
    v, y = embeddings * root, owners * root
    dims, sources = v.shape[-1], y.shape[-1]
    spread = v.transpose(1, 2) @ v + 1e-4 / dims * torch.eye(dims, device=v.device)
    sizes = y.square().sum(1).clamp_min(1e-6)  # (batch, sources)
    cross = v.transpose(1, 2) @ y / sizes.sqrt()[:, None]
    return (1 - (cross * torch.linalg.solve(spread, cross)).sum((1, 2)) / sources).mean()


def phase_sensitive(masks: Tensor, sources: Tensor, mixture: Tensor, power: float = 0.3) -> Tensor:
    """Distance of the masked magnitudes from the truncated phase-sensitive target, compressed so that quiet bins
    count.

    masks: (batch, frames, sources, bins); sources: the same, complex; mixture: (batch, frames, bins), complex. The
    target is the source's projection on the mixture, kept within [0, |mixture|] (Erdogan et al. 2015).
    """
    magnitude = mixture.abs().clamp_min(1e-8)
    along = (sources * mixture[:, :, None].conj()).real / magnitude[:, :, None]
    target = along.clamp_min(0).minimum(magnitude[:, :, None])
    scale = magnitude.square().mean((1, 2), keepdim=True).sqrt()[:, :, None].clamp_min(1e-8)
    heard = (masks * magnitude[:, :, None] / scale + 1e-4) ** power
    wanted = (target / scale + 1e-4) ** power
    return (heard - wanted).square().mean()
