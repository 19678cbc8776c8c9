"""The chimera network, with either trunk: the same in pieces, causal, and deaf to the level of its input."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import network, shapes
from torch import Tensor, nn

import streamsep
from export.corpus import RATE
from export.frontend import FrontEnd
from export.networks import BandEntry, BandLayer, Chimera, GroupedLayer, Shape
from export.parity import speech_like
from streamsep.demo.run import bundled_scene
from streamsep.evaluation.metrics import si_sdr_db

FRONT = FrontEnd(64, 32, 16)
FRAMES = 300
seeds = st.integers(0, 2**31)


def spectrum_of(seed: int, frames: int = FRAMES) -> Tensor:
    """(1, frames, bins, 2)."""
    sound = speech_like(np.random.default_rng(seed), frames * FRONT.hop / RATE)
    return torch.view_as_real(FRONT.analyse(torch.from_numpy(sound)))[None]


@torch.no_grad()
def results(net: Chimera, spectrum: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Masks, embeddings and next state."""
    trunk, state = net(spectrum, state)
    return net.masks(trunk), net.embeddings(trunk), state


@settings(max_examples=20, deadline=None)
@given(shapes(most_sources=4), seeds, st.lists(st.integers(1, FRAMES - 1), unique=True, max_size=20))
def test_a_sequence_in_pieces_gives_what_it_gives_at_once(shape: Shape, seed: int, cuts: list[int]) -> None:
    net, spectrum = network(shape, seed), spectrum_of(seed)
    masks, embeddings, last = results(net, spectrum, net.start(1))
    state, pieces = net.start(1), []
    for piece in spectrum.tensor_split(sorted(cuts), dim=1):
        *found, state = results(net, piece, state)
        pieces.append(found)
    for whole, parts in zip((masks, embeddings), zip(*pieces, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-5)
    for name, value in last.items():
        torch.testing.assert_close(state[name], value, rtol=1e-5, atol=1e-5)


@settings(max_examples=3, deadline=None)
@given(shapes(), seeds)
def test_a_frame_at_a_time_gives_what_all_give_at_once(shape: Shape, seed: int) -> None:
    net, spectrum = network(shape, seed), spectrum_of(seed, 100)
    state, steps = net.start(1), []
    for frame in spectrum.split(1, dim=1):
        masks, _, state = results(net, frame, state)
        steps.append(masks)
    torch.testing.assert_close(torch.cat(steps, 1), results(net, spectrum, net.start(1))[0], rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(shapes(), seeds, st.integers(1, FRAMES - 1), st.sampled_from([np.nan, 1e6]))
def test_the_past_does_not_depend_on_the_future(shape: Shape, seed: int, now: int, poison: float) -> None:
    net, spectrum = network(shape, seed), spectrum_of(seed)
    other = spectrum.clone()
    other[:, now:] = poison
    for value, same in zip(*(results(net, frames, net.start(1))[:2] for frames in (spectrum, other)), strict=True):
        assert torch.equal(value[:, :now], same[:, :now])


@settings(max_examples=10, deadline=None)
@given(shapes(), seeds, st.floats(-40, 0))
def test_the_level_of_the_input_changes_nothing(shape: Shape, seed: int, level_db: float) -> None:
    net, loud = network(shape, seed), spectrum_of(seed, 500)
    quiet = loud * 10 ** (level_db / 20)
    source = np.random.default_rng(seed).normal(size=500 * FRONT.hop)
    figures, masks = [], []
    for spectrum in (loud, quiet):
        masks.append(results(net, spectrum, net.start(1))[0])
        estimate = FRONT.synthesise(masks[-1][0, :, 0] * torch.view_as_complex(spectrum[0])).numpy()
        figures.append(si_sdr_db(estimate, source))
    torch.testing.assert_close(masks[1], masks[0], rtol=0, atol=1e-3)
    assert abs(figures[1] - figures[0]) < 0.3


@pytest.mark.parametrize("domain", ["noise", "music", "speech", "environment"])
def test_the_shipped_models_separate_quiet_sound_as_loud_sound(domain: str) -> None:
    voice, hiss = speech_like(np.random.default_rng(1), 1.0), 0.03 * np.random.default_rng(2).normal(size=16_000)
    figures = []
    for gain in (0.3, 0.003):
        engine = streamsep.load(domain=domain, rate=16_000)
        _, sources = engine.process((gain * (voice + hiss)).astype(np.float32), separate=True)
        late = engine.latency.samples
        figures.append([si_sdr_db(source[late:], voice[: len(source) - late]) for source in sources])
    assert np.abs(np.subtract(*figures)).max() < 0.3


@pytest.mark.parametrize(("domain", "seconds", "slot"), [("noise", 11.0, 0), ("speech", 3.0, None)])
def test_a_voice_alone_comes_through_and_is_in_one_slot(domain: str, seconds: float, slot: int | None) -> None:
    """slot: the voice's; None: any. The scene's first voice, until another one answers."""
    scene = bundled_scene()
    voice = scene.sources[0, : round(seconds * scene.rate)]
    engine = streamsep.load(domain=domain, rate=scene.rate)
    _, sources = engine.process(voice, separate=True)
    late = engine.latency.samples
    levels_db = 10 * np.log10(np.square(sources[:, late:]).mean(axis=1) / np.square(voice[:-late]).mean())
    heard = levels_db.argmax() if slot is None else slot
    assert abs(levels_db[heard]) < 1
    assert levels_db[1 - heard] < -10


@settings(max_examples=20, deadline=None)
@given(shapes(most_sources=4), seeds)
def test_masks_add_up_to_one_and_embeddings_have_unit_norm(shape: Shape, seed: int) -> None:
    net = network(shape, seed)
    masks, embeddings, _ = results(net, spectrum_of(seed), net.start(1))
    assert masks.shape == (1, FRAMES, shape.sources, shape.bins)
    assert masks.min() >= 0
    torch.testing.assert_close(masks.sum(2), torch.ones_like(masks[:, :, 0]))
    assert embeddings.shape == (1, FRAMES, shape.bins, shape.dims)
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones_like(embeddings[..., 0]))


def test_embeddings_of_sigmoids_are_all_of_one_sign_and_those_of_tangents_are_not() -> None:
    for activation in ("sigmoid", "tanh"):
        net, spectrum = network(Shape(33, hidden=8, activation=activation)), spectrum_of(0)
        embeddings = results(net, spectrum, net.start(1))[1]
        assert (embeddings.min() < 0) == (activation == "tanh")


@settings(max_examples=10, deadline=None)
@given(shapes(), seeds)
def test_every_weight_learns(shape: Shape, seed: int) -> None:
    net = network(shape, seed)
    trunk, _ = net(spectrum_of(seed, 20), net.start(1))
    (net.masks(trunk)[:, :, 0].square().sum() + net.embeddings(trunk)[..., 0].square().sum()).backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in net.parameters())


def test_groups_hear_one_another_a_layer_later() -> None:
    torch.manual_seed(0)
    layers = [GroupedLayer(12, 3) for _ in range(2)]
    for layer in layers:
        layer.norm = nn.Identity()  # which hears everything at once
    start = [(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))] * 3
    x = torch.randn(1, 5, 12)
    other = x.clone()
    other[..., 4:8] += 1  # the second group's part
    moved = []
    for layer in layers:
        x, other = layer(x, start)[0], layer(other, start)[0]
        moved.append((x != other).any(dim=1)[0])
    assert moved[0].tolist() == [unit % 3 == 1 or 4 <= unit < 8 for unit in range(12)]
    assert moved[1].all()


def test_a_band_hears_half_a_band_on_either_side_at_once_and_all_bands_after_they_met() -> None:
    torch.manual_seed(0)
    entry, layer = BandEntry(33, 8, 4, 6), BandLayer(4, 6)
    x = torch.randn(2, 5, 33)
    for bin_, hearing in ((0, {0}), (9, {0, 1}), (14, {1, 2}), (31, {3}), (32, {3})):
        other = x.clone()
        other[1, :, bin_] += 1
        bands, others = entry(x), entry(other)  # (5, 2 * 4, 6)
        moved = (bands != others).any(dim=(0, 2))
        assert set(moved.nonzero()[:, 0].tolist()) == {4 + band for band in hearing}  # of the second example
        start = [(torch.zeros(1, 8, 6), torch.zeros(1, 8, 6))]
        met = (layer(bands, start)[0] != layer(others, start)[0]).any(dim=(0, 2))
        assert met.tolist() == [False] * 4 + [True] * 4


def test_what_is_learnt_in_one_band_is_known_in_all() -> None:
    torch.manual_seed(0)
    entry, layer = BandEntry(33, 8, 4, 6), BandLayer(4, 6)
    layer.spread.weight.data.zero_()
    sound = torch.zeros(1, 5, 33)
    sound[..., 10:14] = torch.randn(1, 5, 4)
    start = [(torch.zeros(1, 4, 6), torch.zeros(1, 4, 6))]
    low, high = (layer(entry(each), start)[0] for each in (sound, sound.roll(8, dims=-1)))
    places = layer.spread.bias.view(4, 6)  # besides which the bands only differ by where they learnt to lie
    torch.testing.assert_close((low - places)[:, 1], (high - places)[:, 2])


def test_the_weights_of_an_lstm_trunk_have_the_names_that_checkpoints_know() -> None:
    gates = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    heads = [f"{head}.{name}" for head in ("mask_head", "embedding_head") for name in ("weight", "bias")]
    names = [f"trunk.{layer}.{name}" for layer in range(2) for name in gates]
    assert list(network(Shape()).state_dict()) == ["feature_mean", "feature_scale", *names, *heads]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"trunk": "transformer"}, r"trunk: should be one of \['lstm', 'grouped', 'bands'\], got 'transformer'"),
        ({"activation": "relu"}, r"activation: should be one of \['tanh', 'sigmoid'\], got 'relu'"),
        ({"groups": 2}, r"groups: should be 1, .* got 2"),
        ({"trunk": "grouped", "groups": 5}, r"groups: should divide hidden \(288\), got 5"),
        ({"trunk": "grouped", "groups": 0}, r"groups: should divide hidden \(288\), got 0"),
        ({"trunk": "bands", "groups": 12}, r"groups: should cut 256 bins .* even number of bins, got 12"),
        ({"trunk": "bands", "groups": 256}, r"groups: should cut 256 bins .* even number of bins, got 256"),
        ({"trunk": "bands", "groups": 1}, r"groups: should cut 256 bins into two or more bands .* got 1"),
    ],
)
def test_a_size_that_no_network_has_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Shape(**wrong)
