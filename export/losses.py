"""What the networks are trained on. Every loss is a mean over the batch; smaller is better."""

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


def error_ratio_db(error: Tensor, source: Tensor, mixture: Tensor, limit: float = 1e-3) -> Tensor:
    """(batch, samples) each -> mean of 10 log10 |error|^2 / |source|^2, in dB: minus the signal-to-noise ratio.

    Both energies are softened by `limit` times the mixture's: nothing is gained below -30 dB, and a source that is
    silent asks for silence and not for the impossible.
    """
    soft = limit * mixture.square().sum(-1) + 1e-9
    return (10 * torch.log10((error.square().sum(-1) + soft) / (source.square().sum(-1) + soft))).mean()


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
