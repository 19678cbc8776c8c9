"""The chimera network: one causal recurrent trunk, a mask head and a deep clustering head (Luo et al. 2017).

Two trunks. `lstm`: a stack of LSTM layers, as in the deep clustering papers. `grouped`: the features are brought to
the layers' size, and each layer is several narrow LSTMs side by side, whose outputs are shuffled so that each hears
all of them a layer later (Gao et al. 2018). With G groups a layer has a G-th of the weights, but not of the time: to
the runtime every LSTM costs some microseconds of its own.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

FLOOR = 1e-6  # of the running level: what is 60 dB below it is as good as silent
SILENCE = 1e-20  # power per bin that keeps the level from being 0; -240 dB under a full-scale sine's bin
FRAMES_PER_S = 250.0
LEVEL_TIME_S = 1.0  # how long the running level remembers
# What is left of it after a frame: a float32, so that the graphs, which know no other numbers, forget alike.
KEEP = float(np.float32(math.exp(-1 / (LEVEL_TIME_S * FRAMES_PER_S))))
TRUNKS = ("lstm", "grouped")

Memory = list[tuple[Tensor, Tensor]]  # hidden and cell, (1, batch, units) each, of LSTMs side by side


@dataclass(frozen=True)
class Shape:
    """The size of a chimera network. Raises ValueError, naming the field, when there can be none of that size."""

    bins: int = 257
    sources: int = 2
    hidden: int = 288
    layers: int = 2
    dims: int = 20
    trunk: str = "lstm"
    groups: int = 1  # LSTMs side by side in a layer, each of a part of `hidden`

    def __post_init__(self) -> None:
        if self.trunk not in TRUNKS:
            raise ValueError(f"trunk: should be one of {list(TRUNKS)}, got {self.trunk!r}")
        if self.trunk == "lstm" and self.groups != 1:
            raise ValueError(f"groups: should be 1, for the trunk 'lstm' has none, got {self.groups}")
        if self.groups < 1 or self.hidden % self.groups:
            raise ValueError(f"groups: should divide hidden ({self.hidden}), got {self.groups}")

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of everything the network remembers between frames, as in the exported graphs.

        (recurrent operators, 1, units): what these operators of ONNX take and give, for any other shape would cost
        operators in every hop.
        """
        units = self.layers * self.groups, 1, self.hidden // self.groups
        return {"level": (1, 1, 2), "lstm_hidden": units, "lstm_cell": units}


class GroupedLayer(nn.Module):
    """LSTMs side by side, each on its part of the features; their outputs, shuffled, are added to the features."""

    def __init__(self, hidden: int, groups: int) -> None:
        super().__init__()
        self.lstms = nn.ModuleList(
            nn.LSTM(hidden // groups, hidden // groups, batch_first=True) for _ in range(groups)
        )
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor, before: Memory) -> tuple[Tensor, Memory]:
        """(batch, frames, hidden), an entry a group -> the same."""
        parts = zip(self.lstms, x.chunk(len(self.lstms), -1), before, strict=True)
        outputs, after = zip(*(lstm(part, memory) for lstm, part, memory in parts), strict=True)
        shuffled = torch.stack(outputs, -1).flatten(-2)  # the first units of all groups, then the second ones, ...
        return self.norm(x + shuffled), list(after)


class Chimera(nn.Module):
    """Spectrum in, masks and embeddings out, causal; every method takes (batch, frames, ...) and a state."""

    feature_mean: Tensor
    feature_scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("feature_mean", torch.full((shape.bins,), -3.0))
        self.register_buffer("feature_scale", torch.full((shape.bins,), 1.5))
        if shape.trunk == "grouped":
            self.entry = nn.Sequential(nn.Linear(shape.bins, shape.hidden), nn.LayerNorm(shape.hidden))
            self.trunk = nn.ModuleList(GroupedLayer(shape.hidden, shape.groups) for _ in range(shape.layers))
        else:
            self.entry = nn.Sequential()
            self.trunk = nn.ModuleList(
                nn.LSTM(shape.bins if layer == 0 else shape.hidden, shape.hidden, batch_first=True)
                for layer in range(shape.layers)
            )
        self.mask_head = nn.Linear(shape.hidden, shape.sources * shape.bins)
        self.embedding_head = nn.Linear(shape.hidden, shape.bins * shape.dims)
        for lstm in self.modules():
            if isinstance(lstm, nn.LSTM):  # remember by default: forget gates start open
                bias = lstm.get_parameter("bias_ih_l0")
                nn.init.constant_(bias[lstm.hidden_size : 2 * lstm.hidden_size], 1.0)

    def start(self, batch: int) -> dict[str, Tensor]:
        """The state before the first frame: (batch, *shape) zeros by name."""
        weight = self.mask_head.weight
        return {name: weight.new_zeros(batch, *shape) for name, shape in self.shape.state_shapes().items()}

    def features(self, spectrum: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, bins, 2), (batch, 1, 1, 2) -> features (batch, frames, bins) and the next level.

        The power of each bin over a running mean power, so that the features do not depend on the input's level. The
        mean forgets exponentially; `level` holds its numerator and its denominator, so that it is unbiased from the
        first frame on. In float64 inside, because a long sequence spans many decades of forgetting.
        """
        power = spectrum.square().sum(-1)
        frames = power.shape[1]
        age = torch.arange(1, frames + 1, device=power.device, dtype=torch.float64)
        keep = torch.exp(age * math.log(KEEP))[:, None]
        mean = power.mean(-1).double() + SILENCE
        new = torch.stack([mean, torch.ones_like(mean)], -1)
        levels = keep * (level[:, 0].double() + torch.cumsum(new / keep, 1))
        mean = (levels[..., 0] / levels[..., 1]).float()
        relative = torch.log10(power / mean[..., None] + FLOOR)
        return (relative - self.feature_mean) / self.feature_scale, levels[:, None, -1:].float()

    def forward(self, spectrum: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """(batch, frames, bins, 2), state -> trunk output (batch, frames, hidden), next state."""
        x, level = self.features(spectrum, state["level"])
        x = self.entry(x)
        hidden, cell = (state[name].permute(1, 2, 0, 3) for name in ("lstm_hidden", "lstm_cell"))
        before: Memory = [(h.contiguous(), c.contiguous()) for h, c in zip(hidden, cell, strict=True)]
        after: Memory = []
        for first, layer in zip(range(0, len(before), self.shape.groups), self.trunk, strict=True):
            if isinstance(layer, GroupedLayer):
                x, last = layer(x, before[first : first + self.shape.groups])
                after += last
            else:
                x, memory = layer(x, before[first])
                after.append(memory)
        hidden, cell = (torch.stack(value).permute(2, 0, 1, 3) for value in zip(*after, strict=True))
        return x, {"level": level, "lstm_hidden": hidden, "lstm_cell": cell}

    def masks(self, trunk: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames, sources, bins), in [0, 1], adding up to 1 over the sources."""
        logits = self.mask_head(trunk).unflatten(-1, (self.shape.sources, self.shape.bins))
        return torch.softmax(logits.float(), dim=-2)

    def embeddings(self, trunk: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames, bins, dims), unit norm."""
        raw = torch.tanh(self.embedding_head(trunk).float()).unflatten(-1, (self.shape.bins, self.shape.dims))
        return raw / raw.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()
