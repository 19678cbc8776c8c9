"""What moves the weights: Muon for the matrices of the trunk, Adam for the rest.

Muon (Jordan et al. 2024) makes every step of a matrix orthogonal, so that all its directions learn alike, not only
the few that have large gradients. The heads and the entry, whose rows are outputs of their own, keep to Adam, as do
biases and norms.
"""

from typing import Any

import torch

from export.networks import Chimera


class Optimizer:
    """Both in one: it has the methods of torch's optimizers that the training needs."""

    def __init__(self, net: Chimera) -> None:
        matrices = [weights for weights in net.trunk.parameters() if weights.ndim == 2]
        inside = {id(weights) for weights in matrices}
        others = [weights for weights in net.parameters() if id(weights) not in inside]
        # its steps as large as Adam's usually are, as a root mean square: one learning rate does for both
        self._muon = torch.optim.Muon(matrices, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        self._adam = torch.optim.Adam(others)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._muon.zero_grad()
        self._adam.zero_grad()

    def step(self, rate: float) -> None:
        """Move the weights along their gradients. rate: the learning rate of this step."""
        for optimizer in (self._muon, self._adam):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"muon": self._muon.state_dict(), "adam": self._adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint. Raises KeyError when it is one of another optimizer."""
        self._muon.load_state_dict(state["muon"])
        self._adam.load_state_dict(state["adam"])
