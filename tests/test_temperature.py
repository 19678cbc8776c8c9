"""One factor on the mask logits: found where it is known, and harmless."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import NOISE, network, shapes
from torch import Tensor

from export.frontend import FrontEnd
from export.networks import Chimera, Shape
from export.parity import speech_like
from export.temperature import FACTORS, best_temperature, scale_logits

FRONT = FrontEnd(NOISE.window, NOISE.synthesis, NOISE.hop)
SHAPE = NOISE.shape()


def logits_and_masks(net: Chimera, seed: int) -> tuple[Tensor, Tensor]:
    sound = torch.from_numpy(speech_like(np.random.default_rng(seed), 0.3))
    with torch.no_grad():
        trunk, _ = net(torch.view_as_real(FRONT.analyse(sound))[None], net.start(1))
        return net.logits(trunk), net.masks(trunk)


def oracle(shape: Shape, factor: float) -> tuple[Chimera, list[Tensor]]:
    """A network that is too sure by 1 / factor, and mixtures of which its masks are right but for that: sound that is
    made by the masks themselves, at the right temperature."""
    net = network(shape, 3)
    with torch.no_grad():
        net.mask_head.weight.mul_(8)  # else its masks hardly stir
        lists = []
        for seed in range(3):
            mixture = torch.from_numpy(speech_like(np.random.default_rng(seed), 1.0))
            mixed = FRONT.analyse(mixture)[None]
            trunk, _ = net(torch.view_as_real(mixed), net.start(1))
            lists.append(FRONT.synthesise(net.masks(trunk)[0].transpose(0, 1) * mixed))
    scale_logits(net, 1 / factor)
    return net, lists


@pytest.mark.parametrize("trunk", [{}, {"trunk": "bands", "groups": 4}])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.1])
def test_what_is_too_sure_by_a_known_factor_is_found_and_undone(factor: float, trunk: dict[str, object]) -> None:
    net, lists = oracle(Shape(**vars(SHAPE) | trunk), factor)
    for symmetric in (False, True):
        found = best_temperature(net, FRONT, lists, symmetric)
        assert (found.factor, found.mixtures) == (factor, 3)
        assert found.gain_db > 0.1 or (factor == 1 and found.gain_db == 0)
        half_silent = lists[0] * torch.tensor([[1.0], [0.0]])  # no figure for it
        assert best_temperature(net, FRONT, [*lists, half_silent], symmetric).gain_db == found.gain_db
    scale_logits(net, found.factor)
    assert best_temperature(net, FRONT, lists, False).factor == 1
    assert f"multiplied by {factor:g} " in str(found)


@settings(max_examples=20, deadline=None)
@given(shapes(most_sources=3), st.sampled_from(FACTORS), st.integers(0, 2**31))
def test_softer_or_harder_masks_keep_their_order_and_their_sum(shape: Shape, factor: float, seed: int) -> None:
    net = network(shape, seed)
    logits, masks = logits_and_masks(net, seed)
    scale_logits(net, factor)
    scaled, others = logits_and_masks(net, seed)
    torch.testing.assert_close(scaled, factor * logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(others.sum(2), torch.ones_like(others[:, :, 0]))
    clear = (masks.sort(2).values.diff(dim=2) > 1e-4).all(2)
    assert clear.any()
    assert torch.equal(masks.argsort(2).movedim(2, -1)[clear], others.argsort(2).movedim(2, -1)[clear])


def test_a_factor_of_one_changes_nothing_to_the_bit() -> None:
    net = network(SHAPE)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    scale_logits(net, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
