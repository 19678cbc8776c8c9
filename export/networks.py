"""The chimera network: one causal recurrent trunk, a mask head and a deep clustering head (Luo et al. 2017).

Three trunks. `lstm`: a stack of LSTM layers, as in the deep clustering papers. `grouped`: the features are brought to
the layers' size, and each layer is several narrow LSTMs side by side, whose outputs are shuffled so that each hears
all of them a layer later (Gao et al. 2018). With G groups a layer has a G-th of the weights, but not of the time: to
the runtime every LSTM costs some microseconds of its own. `bands`: the spectrum is cut into bands, and each layer is
one narrow LSTM that runs over every band with the same weights, the bands being its batch, then a bottleneck through
which the bands hear each other (after the band-split network of Luo & Yu 2023, whose second direction, over the
bands, is recurrent; a bottleneck costs a hop less). What is learnt of a harmonic in one band is known in all.
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
TRUNKS = ("lstm", "grouped", "bands")
ACTIVATIONS = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}  # of the embeddings, before they get unit norm

Memory = list[tuple[Tensor, Tensor]]  # hidden and cell, (1, batch, units) each, of LSTMs one by one


@dataclass(frozen=True)
class Shape:
    """The size of a chimera network. Raises ValueError, naming the field, when there can be none of that size."""

    bins: int = 257
    sources: int = 2
    hidden: int = 288
    layers: int = 2
    dims: int = 20
    trunk: str = "lstm"
    groups: int = 1  # LSTMs side by side in a layer, each of a part of `hidden`; or bands, each of `hidden`
    activation: str = "tanh"  # of the embeddings

    def __post_init__(self) -> None:
        if self.trunk not in TRUNKS:
            raise ValueError(f"trunk: should be one of {list(TRUNKS)}, got {self.trunk!r}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: should be one of {list(ACTIVATIONS)}, got {self.activation!r}")
        if self.trunk == "lstm" and self.groups != 1:
            raise ValueError(f"groups: should be 1, for the trunk 'lstm' has none, got {self.groups}")
        if self.trunk == "grouped" and (self.groups < 1 or self.hidden % self.groups):
            raise ValueError(f"groups: should divide hidden ({self.hidden}), got {self.groups}")
        if self.trunk == "bands" and (self.groups < 2 or (self.bins - 1) % self.groups or self.band_bins % 2):
            wanted = f"should cut {self.bins - 1} bins into two or more bands of an even number of bins"
            raise ValueError(f"groups: {wanted}, got {self.groups}")

    @property
    def band_bins(self) -> int:
        """Bins in a band; the topmost bin of all, at half the sample rate, is the last band's one more."""
        return (self.bins - 1) // self.groups

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of everything the network remembers between frames, as in the exported graphs.

        Of every recurrent operator (1, 1 or bands, units), hidden and cell: just what it takes and gives in ONNX, for
        anything else would cost more operators in every hop. Bands are its batch.
        """
        if self.trunk == "bands":
            operators, rows, units = self.layers, self.groups, self.hidden
        else:
            operators, rows, units = self.layers * self.groups, 1, self.hidden // self.groups
        numbers = range(operators)
        shapes: dict[str, tuple[int, ...]] = {"level": (1, 1, 2)}
        return shapes | {f"{name}_{number}": (1, rows, units) for number in numbers for name in ("hidden", "cell")}


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


class BandEntry(nn.Module):
    """Features cut into bands: each sees its own bins and half a band on either side, by the same weights, and learns
    where it lies."""

    def __init__(self, bins: int, width: int, bands: int, hidden: int) -> None:
        super().__init__()
        self.before, self.after = width // 2, (bands + 1) * width - width // 2 - bins
        self.conv = nn.Conv1d(1, hidden, 2 * width, width)
        self.place = nn.Parameter(torch.zeros(bands, hidden))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, bins) -> (frames, batch * bands, hidden)."""
        frames_first = nn.functional.pad(x, (self.before, self.after)).transpose(0, 1)
        bands = self.conv(frames_first.flatten(0, 1)[:, None]).transpose(1, 2)  # (frames * batch, bands, hidden)
        return (bands + self.place).reshape(len(frames_first), -1, bands.shape[-1])


class BandLayer(nn.Module):
    """One LSTM over every band, then a bottleneck in which they meet; both add to what they were given."""

    def __init__(self, bands: int, hidden: int) -> None:
        super().__init__()
        self.lstm_norm, self.lstm = nn.LayerNorm(hidden), nn.LSTM(hidden, hidden)
        self.meet_norm = nn.LayerNorm(hidden)
        self.gather = nn.Linear(bands * hidden, 2 * hidden)
        self.spread = nn.Linear(2 * hidden, bands * hidden)

    def forward(self, x: Tensor, before: Memory) -> tuple[Tensor, Memory]:
        """(frames, batch * bands, hidden), one entry -> the same."""
        new, after = self.lstm(self.lstm_norm(x), before[0])
        x = x + new
        together = self.meet_norm(x).view(len(x), -1, self.gather.in_features)
        return x + self.spread(torch.relu(self.gather(together))).view(x.shape), [after]


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
        elif shape.trunk == "bands":
            self.entry = BandEntry(shape.bins, shape.band_bins, shape.groups, shape.hidden)
            self.trunk = nn.ModuleList(BandLayer(shape.groups, shape.hidden) for _ in range(shape.layers))
        else:
            self.entry = nn.Sequential()
            self.trunk = nn.ModuleList(
                nn.LSTM(shape.bins if layer == 0 else shape.hidden, shape.hidden, batch_first=True)
                for layer in range(shape.layers)
            )
        width = shape.band_bins if shape.trunk == "bands" else shape.bins  # bins that a head has to do with at once
        self.mask_head = nn.Linear(shape.hidden, shape.sources * width)
        self.embedding_head = nn.Linear(shape.hidden, width * shape.dims)
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
        """(batch, frames, bins, 2), state -> trunk output, next state.

        The output is (batch, frames, hidden), or (batch, frames, bands, hidden) where there are bands.
        """
        x, level = self.features(spectrum, state["level"])
        x = self.entry(x)
        operators = range(len(state) // 2)
        # (batch, 1, bands or 1, units) -> (1, batch * bands, units)
        before: Memory = [
            (state[f"hidden_{number}"].flatten(0, 2)[None], state[f"cell_{number}"].flatten(0, 2)[None])
            for number in operators
        ]
        after: Memory = []
        for number, layer in enumerate(self.trunk):
            if isinstance(layer, nn.LSTM):
                x, memory = layer(x, before[number])
                after.append(memory)
            else:
                each = len(before) // len(self.trunk)
                x, last = layer(x, before[number * each : (number + 1) * each])
                after += last
        if self.shape.trunk == "bands":
            x = x.unflatten(1, (-1, self.shape.groups)).transpose(0, 1)
        following = {"level": level}
        for number, (hidden, cell) in enumerate(after):
            following[f"hidden_{number}"] = hidden.view(state[f"hidden_{number}"].shape)
            following[f"cell_{number}"] = cell.view(state[f"cell_{number}"].shape)
        return x, following

    def masks(self, trunk: Tensor) -> Tensor:
        """What `forward` gave -> (batch, frames, sources, bins), in [0, 1], adding up to 1 over the sources."""
        return torch.softmax(self.logits(trunk), dim=-2)

    def logits(self, trunk: Tensor) -> Tensor:
        """What `forward` gave -> (batch, frames, sources, bins), of which the masks are the softmax."""
        logits: Tensor = self.mask_head(trunk).float().unflatten(-1, (self.shape.sources, -1))
        if self.shape.trunk == "bands":  # (batch, frames, bands, sources, bins of a band)
            logits = top_bin_too(logits.transpose(2, 3).flatten(3), -1)
        return logits

    def embeddings(self, trunk: Tensor) -> Tensor:
        """What `forward` gave -> (batch, frames, bins, dims), unit norm."""
        raw = ACTIVATIONS[self.shape.activation](self.embedding_head(trunk).float())
        raw = raw.unflatten(-1, (-1, self.shape.dims))
        if self.shape.trunk == "bands":
            raw = top_bin_too(raw.flatten(2, 3), -2)
        return raw / raw.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()


def top_bin_too(bands: Tensor, axis: int) -> Tensor:
    """The bins of all bands and the last of them once more: the bin at half the sample rate does as its neighbour."""
    return torch.cat([bands, bands.narrow(axis, -1, 1)], axis)
