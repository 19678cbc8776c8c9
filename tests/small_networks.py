"""Untrained chimera networks of any small size, with any trunk, and their checkpoints."""

from dataclasses import asdict
from pathlib import Path

import torch
from hypothesis import strategies as st

from export.networks import ACTIVATIONS, TRUNKS, Chimera, Shape
from export.recipe import Recipe

torch.set_num_threads(1)  # of such small networks, threads make nothing faster

NOISE = Recipe(
    recipe="noise", trunk="lstm", groups=1, hidden=8, layers=2, dims=20, window=64, synthesis=32, hop=16, seed=1,
    steps=100, batch=4, seconds=1.0, learning_rate=1e-3, embedding_loss="classic", embedding_weight=1.0,
    embedding_every=10, mask_weight=2.0, validate_every=50, patience=8,
)  # fmt: skip


@st.composite
def shapes(draw: st.DrawFn, bins: int = 33, most_sources: int = 2) -> Shape:
    """Sizes of networks, with either activation.

    With fewer units or dimensions, all of them are close to 0 now and then, and rounding alone decides.
    """
    trunk = draw(st.sampled_from(TRUNKS))
    if trunk == "bands":
        groups, hidden = draw(st.sampled_from([2, 4, 8])), draw(st.integers(6, 12))
    else:
        groups = 1 if trunk == "lstm" else draw(st.integers(1, 3))
        hidden = groups * draw(st.integers(-(-6 // groups), 12 // groups))
    sources, layers, dims = draw(st.integers(2, most_sources)), draw(st.integers(1, 3)), draw(st.integers(12, 24))
    activation = draw(st.sampled_from(list(ACTIVATIONS)))
    return Shape(bins, sources, hidden, layers, dims, trunk=trunk, groups=groups, activation=activation)


def network(shape: Shape, seed: int = 0) -> Chimera:
    """Untrained, with features of any mean and scale.

    Larger random weights make chaotic networks, which rounding alone drives further apart than is allowed.
    """
    torch.manual_seed(seed)
    net = Chimera(shape).eval()
    with torch.no_grad():
        net.feature_mean.normal_(-3, 1)
        net.feature_scale.uniform_(1, 2)
    return net


def write_checkpoint(path: Path, recipe: Recipe = NOISE, seed: int = 0) -> Chimera:
    """As export.train writes it; the network with the averaged weights is returned, the others are noise."""
    net = network(recipe.shape(), seed)
    average = torch.optim.swa_utils.AveragedModel(net, use_buffers=True)
    other = network(recipe.shape(), seed + 1).state_dict()
    torch.save({"recipe": asdict(recipe), "net": other, "average": average.state_dict(), "step": 70}, path)
    return net
