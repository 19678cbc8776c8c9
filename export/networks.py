"""The chimera network: one causal recurrent trunk, a mask head and a deep clustering head (Luo et al. 2017)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

FLOOR = 1e-6  # of the running level: what is 60 dB below it is as good as silent
SILENCE = 1e-10  # power per bin that keeps the level's logarithm finite; -160 dB under a full-scale sine's bin
FRAMES_PER_S = 250.0
LEVEL_TIME_S = 1.0  # how long the running level remembers


@dataclass(frozen=True)
class Shape:
    """The size of a chimera network."""

    bins: int = 257
    sources: int = 2
    hidden: int = 288
    layers: int = 2
    dims: int = 20

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of everything the network remembers between frames, as in the exported graphs."""
        return {
            "level": (2,),
            "lstm_hidden": (self.layers, self.hidden),
            "lstm_cell": (self.layers, self.hidden),
        }


class Chimera(nn.Module):
    """Spectrum in, masks and embeddings out, causal; every method takes (batch, frames, ...) and a state."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("feature_mean", torch.full((shape.bins,), -3.0))
        self.register_buffer("feature_scale", torch.full((shape.bins,), 1.5))
        self.trunk = nn.ModuleList(
            nn.LSTM(shape.bins if layer == 0 else shape.hidden, shape.hidden, batch_first=True)
            for layer in range(shape.layers)
        )
        self.mask_head = nn.Linear(shape.hidden, shape.sources * shape.bins)
        self.embedding_head = nn.Linear(shape.hidden, shape.bins * shape.dims)
        for lstm in self.trunk:  # remember by default: forget gates start open
            nn.init.constant_(lstm.bias_ih_l0[shape.hidden : 2 * shape.hidden], 1.0)

    def start(self, batch: int) -> dict[str, Tensor]:
        """The state before the first frame: (batch, *shape) zeros by name."""
        weight = self.mask_head.weight
        return {name: weight.new_zeros(batch, *shape) for name, shape in self.shape.state_shapes().items()}

    def features(self, spectrum: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, bins, 2), (batch, 2) -> features (batch, frames, bins) and the next level.

        The power of each bin over a running mean power, so that the features do not depend on the input's level. The
        mean forgets exponentially; `level` holds its numerator and its denominator, so that it is unbiased from the
        first frame on. In float64 inside, because a long sequence spans many decades of forgetting.
        """
        power = spectrum.square().sum(-1)
        frames = power.shape[1]
        keep = torch.exp(
            torch.arange(1, frames + 1, device=power.device, dtype=torch.float64)
            * (-1 / (LEVEL_TIME_S * FRAMES_PER_S))
        )
        new = torch.stack([power.mean(-1).double(), torch.ones_like(power[..., 0], dtype=torch.float64)], -1)
        levels = keep[:, None] * (level[:, None].double() + torch.cumsum(new / keep[:, None], 1))
        mean = (levels[..., 0] / levels[..., 1]).float()
        relative = torch.log10(power / (mean[..., None] + SILENCE) + FLOOR)
        return (relative - self.feature_mean) / self.feature_scale, levels[:, -1].float()

    def forward(self, spectrum: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """(batch, frames, bins, 2), state -> trunk output (batch, frames, hidden), next state."""
        x, level = self.features(spectrum, state["level"])
        hidden, cell = [], []
        for layer, lstm in enumerate(self.trunk):
            before = (
                state["lstm_hidden"][:, layer][None].contiguous(),
                state["lstm_cell"][:, layer][None].contiguous(),
            )
            x, (h, c) = lstm(x, before)
            hidden.append(h[0])
            cell.append(c[0])
        return x, {"level": level, "lstm_hidden": torch.stack(hidden, 1), "lstm_cell": torch.stack(cell, 1)}

    def masks(self, trunk: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames, sources, bins), in [0, 1], adding up to 1 over the sources."""
        logits = self.mask_head(trunk).unflatten(-1, (self.shape.sources, self.shape.bins))
        return torch.softmax(logits.float(), dim=-2)

    def embeddings(self, trunk: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames, bins, dims), unit norm."""
        raw = torch.tanh(self.embedding_head(trunk).float()).unflatten(-1, (self.shape.bins, self.shape.dims))
        return raw / raw.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()
