"""How sure of itself the mask head is allowed to be: one factor on its logits, found on the validation list.

A mask head that was trained on little sound is surer of voices it has never heard than it should be. Scaling its
logits by one number mends that: which source gets the most of a bin stays as it was (temperature scaling, Guo et al.
2017; here for the SI-SDR of what is heard). The factor is one over their temperature: below 1 the masks are softer;
at 0 each source would get the same of everything.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from export.frontend import FrontEnd
from export.networks import Chimera
from export.train import improvement_db

FACTORS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 1.1, 1.2)  # 1 first: of equals the first is the best


@dataclass(frozen=True)
class Temperature:
    """The factor on the mask logits, and what it gains in SI-SDR on the validation list, in dB."""

    factor: float
    gain_db: float
    mixtures: int

    def __str__(self) -> str:
        return (
            f"The mask logits are multiplied by {self.factor:g} (temperature {1 / self.factor:.2f}), the best of "
            f"{len(FACTORS)} factors from {min(FACTORS):g} to {max(FACTORS):g} on the {self.mixtures} validation "
            f"mixtures, where it gains {self.gain_db:.2f} dB of SI-SDR over 1."
        )


@torch.no_grad()
def best_temperature(net: Chimera, front: FrontEnd, lists: Iterable[Tensor], symmetric: bool) -> Temperature:
    """The factor with the best mean SI-SDR improvement; lists: (sources, samples) each. The network runs once a
    mixture."""
    rows = []
    for sources in lists:
        mixed = front.analyse(sources.sum(0))[None]
        logits = net.logits(net(torch.view_as_real(mixed), net.start(1))[0])[0]
        masks = (torch.softmax(factor * logits, dim=-2) for factor in FACTORS)
        rows.append(torch.stack([improvement_db(front, each, mixed, sources, symmetric) for each in masks]))
    means = torch.stack(rows).nanmean(0).tolist()  # without those that have a silent source
    best = max(means)
    return Temperature(FACTORS[means.index(best)], best - means[0], len(rows))


@torch.no_grad()
def scale_logits(net: Chimera, factor: float) -> None:
    """Multiply the mask head's logits; 1 changes nothing, to the bit."""
    net.mask_head.weight.mul_(factor)
    net.mask_head.bias.mul_(factor)
