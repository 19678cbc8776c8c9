"""Training hears what the listener hears, its losses are what they say, its mixtures are a function of the seed."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import NOISE, network
from tiny_data import make_data

from export.augment import (
    Sound,
    another_speed,
    colour,
    faster,
    pauses,
    pitched_noise,
    rms,
    room,
    synthetic_noise,
    tilt,
)
from export.corpus import RATE, Clip, Clips
from export.frontend import FrontEnd
from export.losses import (
    best_order,
    deep_clustering,
    error_ratios_db,
    phase_sensitive,
    scale_invariant_ratios_db,
    whitened_k_means,
)
from export.mixtures import RECIPES, SpeechMixer
from export.networks import Chimera, Shape
from export.parity import speech_like
from export.to_onnx import export_graph, save
from export.train import RATIO_LOSSES, Objective, validate
from streamsep.evaluation.metrics import si_sdr_db
from streamsep.models.loader import open_model
from streamsep.models.manifest import Manifest
from streamsep.realtime.engine import Engine
from streamsep.realtime.options import EngineOptions
from streamsep.realtime.stft import Analysis, Synthesis

torch.set_num_threads(1)

Ratios = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Drawn = tuple[str, np.ndarray]  # a recipe and (examples, sources, samples)


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([(512, 128, 64), (256, 256, 64), (128, 64, 16), (96, 32, 16)]),
    st.integers(1, 60),
    st.integers(0, 2**31),
)
def test_training_and_engine_share_one_front_end(lengths: tuple[int, int, int], hops: int, seed: int) -> None:
    window, synthesis, hop = lengths
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=hops * hop)
    mask = rng.uniform(size=(hops, window // 2 + 1))
    analysis, spoken = Analysis(1, *lengths), Synthesis(1, *lengths)
    spectra, heard = [], []
    for piece, gains in zip(sound.reshape(hops, 1, hop), mask, strict=True):
        spectra.append(analysis.process(piece).copy())
        spoken.masked[:] = spectra[-1] * gains
        heard.append(spoken.process().copy())
    front = FrontEnd(*lengths)
    trained = front.analyse(torch.tensor(sound, dtype=torch.float32))
    assert np.allclose(trained, np.concatenate(spectra), atol=1e-3)
    late = synthesis - hop
    wanted = np.concatenate(heard, axis=1)[0, late:]
    got = front.synthesise(trained * torch.tensor(mask, dtype=torch.float32)).numpy()[: len(wanted)]
    assert np.allclose(got, wanted, atol=1e-4)


def test_the_engine_gives_what_the_training_network_gives(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = Chimera(Shape(bins=129, hidden=16)).eval()
    manifest = Manifest(
        format=1, domain="noise", version="1", graph="step", precision="fp32", sample_rate=RATE, window=256,
        synthesis_window=64, hop=32, sources=("speech", "noise"), states=net.shape.state_shapes(), licence="MIT",
    )  # fmt: skip
    path = tmp_path / "noise-step-fp32.onnx"
    save(export_graph(net, "step"), manifest, path)
    sound = speech_like(np.random.default_rng(4), 1.5).astype(np.float32)
    front = FrontEnd(256, 64, 32)
    with torch.no_grad():
        spectrum = front.analyse(torch.tensor(sound))[None]
        trunk, _ = net(torch.view_as_real(spectrum), net.start(1))
        masks = net.masks(trunk)[0]
        wanted = front.synthesise(masks.transpose(0, 1) * spectrum).numpy()
    assert masks.std(0).median() > 1e-3  # a mask that stands still would prove little
    _, separator = open_model(path)
    engine = Engine({"noise": separator}, manifest.front_end, EngineOptions(), "noise", RATE)
    _, sources = engine.process(sound, separate=True)
    late = engine.latency.samples
    peak = np.abs(wanted).max()
    assert np.abs(sources[:, late:] - wanted[:, : len(sound) - late]).max() < 1e-4 * peak


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 3), st.integers(4, 40))
def test_deep_clustering_is_the_distance_of_the_affinity_matrices(seed: int, sources: int, points: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    v = torch.nn.functional.normalize(torch.randn(2, points, 5, generator=generator, dtype=torch.float64), dim=-1)
    y = torch.eye(sources, dtype=torch.float64)[torch.randint(sources, (2, points), generator=generator)]
    w = torch.rand(2, points, generator=generator, dtype=torch.float64) + 0.1
    share = w / w.sum(-1, keepdim=True)
    pairs = share[:, :, None] * share[:, None]
    slow = (pairs * (v @ v.transpose(1, 2) - y @ y.transpose(1, 2)) ** 2).sum((1, 2)).mean()
    assert torch.allclose(deep_clustering(v, y, w), slow)
    # embeddings that are the assignment itself leave nothing to be desired
    assert deep_clustering(y, y, w) < 1e-12


@settings(max_examples=20, deadline=None)
@given(st.floats(-25, 25), st.integers(0, 2**31))
def test_the_error_ratio_is_minus_the_signal_to_noise_ratio(ratio_db: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, error = (torch.tensor(rng.normal(size=(1, 8000))) for _ in range(2))
    error = error * source.norm() / error.norm() * 10 ** (-ratio_db / 20)
    found = error_ratios_db((source + error)[None], source[None], source, limit=1e-9)
    assert abs(float(found) + ratio_db) < 1e-2


@settings(max_examples=20, deadline=None)
@given(st.floats(-15, 20), st.floats(-30, 12), st.integers(0, 2**31))
def test_the_scale_invariant_ratio_is_minus_si_sdr_and_takes_no_notice_of_loudness(
    ratio_db: float, gain_db: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    source, error = (torch.tensor(rng.normal(size=(1, 8000))) for _ in range(2))
    estimate = source + error * source.norm() / error.norm() * 10 ** (-ratio_db / 20)
    louder = estimate * 10 ** (gain_db / 20)
    found = float(scale_invariant_ratios_db(louder[None], source[None], source + error, limit=0.0))
    exact = -si_sdr_db(estimate[0].numpy(), source[0].numpy())
    assert found == pytest.approx(exact, abs=0.1)
    usual = float(scale_invariant_ratios_db(louder[None], source[None], source + error))
    assert usual == pytest.approx(10 * math.log10(10 ** (exact / 10) + 1e-3), abs=0.1)  # no more than 30 dB


@pytest.mark.parametrize("ratios", list(RATIO_LOSSES.values()))
def test_a_silent_source_asks_for_silence_and_not_for_the_impossible(ratios: Ratios) -> None:
    mixture = torch.ones(1, 100)
    silent = torch.zeros(1, 100)
    assert float(ratios(silent[None], silent[None], mixture)) == pytest.approx(0)
    assert float(ratios(mixture[None], silent[None], mixture)) == pytest.approx(30, abs=0.1)
    estimate = (0.5 * mixture).requires_grad_()
    ratios(estimate[None], silent[None], mixture).sum().backward()
    assert (estimate.grad > 0).all()  # softer is better


@pytest.mark.parametrize("trunk", [{}, {"trunk": "grouped", "groups": 2}, {"trunk": "bands", "groups": 4}])
@pytest.mark.parametrize("ratio_loss", list(RATIO_LOSSES))
def test_a_step_in_16_bits_is_nearly_one_in_32(trunk: dict[str, object], ratio_loss: str) -> None:
    recipe = replace(NOISE, **trunk, ratio_loss=ratio_loss)
    net, front = network(recipe.shape()), FrontEnd(recipe.window, recipe.synthesis, recipe.hop)
    sources = torch.from_numpy(
        np.stack([[speech_like(np.random.default_rng([i, j]), 0.5) for j in range(2)] for i in range(4)])
    )
    losses, steps = [], []
    for bf16 in (False, True):
        net.zero_grad()
        loss, parts = Objective(recipe, net, front, symmetric=True, bf16=bf16)(sources, 0)
        loss.backward()
        assert torch.isfinite(parts).all()
        losses.append(loss.item())
        steps.append(torch.cat([weight.grad.flatten() for weight in net.parameters()]))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert torch.nn.functional.cosine_similarity(*steps, dim=0) > 0.98
    assert float(steps[1].norm()) == pytest.approx(float(steps[0].norm()), rel=0.1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 4))
def test_the_best_order_finds_every_estimate_its_source(seed: int, sources: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    heard = torch.randn(3, sources, 400, generator=generator)
    shuffled = torch.stack([torch.randperm(sources, generator=generator) for _ in heard])
    estimates = heard.gather(1, shuffled[:, :, None].expand(heard.shape))
    estimates = estimates + 0.3 * torch.randn(estimates.shape, generator=generator)
    assert torch.equal(best_order(error_ratios_db(estimates, heard, heard.sum(1))), shuffled)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 3))
def test_the_whitened_loss_does_not_mind_skewed_embeddings_and_is_nought_when_owners_are_told_apart(
    seed: int, sources: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.eye(sources)[torch.randint(sources, (2, 300), generator=generator)]
    w = torch.rand(2, 300, generator=generator) + 0.1
    skewed = y @ (torch.eye(sources, 5) + 0.3 * torch.rand(sources, 5, generator=generator))
    assert whitened_k_means(skewed, y, w) < 0.02
    assert whitened_k_means(torch.randn(2, 300, 5, generator=generator), y, w) > 0.5


def test_the_phase_sensitive_loss_is_nought_for_the_target_and_grows_away_from_it() -> None:
    generator = torch.Generator().manual_seed(1)
    mixture = torch.randn(1, 6, 9, generator=generator, dtype=torch.complex64)
    share = torch.rand(1, 6, 2, 9, generator=generator)
    sources = share * mixture[:, :, None]
    assert phase_sensitive(share, sources, mixture) < 1e-9
    assert phase_sensitive((share * 0.8).clamp(0, 1), sources, mixture) < phase_sensitive(
        share * 0.3, sources, mixture
    )


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_a_batch_is_a_function_of_seed_and_step(recipe: str, tmp_path: Path) -> None:
    mixer = RECIPES[recipe](make_data(tmp_path / "data"), "train", tmp_path / "cache")
    batch = mixer.batch(1, 5, range(6), 8000)
    assert batch.shape == (6, 2, 8000)
    pieces = [mixer.batch(1, 5, examples, 8000) for examples in (range(1), range(1, 4), range(4, 6))]
    assert np.array_equal(batch, np.concatenate(pieces))
    assert not np.array_equal(batch[:2], batch[2:4])
    assert not np.array_equal(batch, mixer.batch(1, 6, range(6), 8000))
    assert not np.array_equal(batch, mixer.batch(2, 5, range(6), 8000))
    assert np.isfinite(batch).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(4000, 20_000))
def test_what_varies_a_sound_keeps_its_length_and_makes_it_finite(seed: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=samples).astype(np.float32)
    varied = [tilt(rng, sound), room(rng, sound), colour(rng, sound, 12.0), synthetic_noise(rng, samples)]
    varied += [pitched_noise(rng, samples), faster(rng.normal(size=samples * 3 // 4 + 1), 4, 3, samples)]
    varied += [pauses(rng, sound), another_speed(rng, lambda wanted: rng.normal(size=wanted), samples, 1.4)]
    for other in varied:
        assert other.shape == (samples,)
        assert np.isfinite(other).all()
        assert rms(other) > 0
        assert not np.array_equal(other, sound)


@pytest.fixture(scope="module", params=sorted(RECIPES))
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A recipe, and 500 examples of it."""
    folder = tmp_path_factory.mktemp("drawn")
    mixer = RECIPES[request.param](make_data(folder / "data"), "train", folder / "cache")
    return request.param, mixer.batch(1, 3, range(500), 6000)


def test_some_examples_hold_one_source_or_none_and_none_is_louder_than_full_scale(drawn: Drawn) -> None:
    _, batch = drawn
    silent = (np.abs(batch).max(-1) == 0).sum(-1)  # sources of each example
    assert 0.02 < np.mean(silent == 1) < 0.3  # a beep may have a gap as long as this
    assert 0 < np.mean(silent == 2) < 0.05
    assert np.abs(batch.sum(1)).max() < 1
    level_db = 10 * np.log10(np.square(batch[silent == 0].sum(1)).mean(-1))
    assert -52.1 < level_db.min() < -50
    assert -16 < level_db.max() < -11.9


def test_the_ratio_of_the_sources_is_the_papers_and_a_decibel_more_at_either_end(drawn: Drawn) -> None:
    recipe, batch = drawn
    least, most = {"noise": (-6, 11), "music": (-3.5, 3.5)}.get(recipe, (-6, 6))
    levels = np.array([[rms(source) for source in example] for example in batch])
    ratios_db = 20 * np.log10(np.divide(*levels[levels.min(1) > 0].T))
    assert least - 0.01 < ratios_db.min() < least + 0.5
    assert most - 0.5 < ratios_db.max() < most + 0.01


def test_half_of_the_music_is_one_song_at_one_time_and_the_rest_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data(tmp_path / "data")
    for part in ("vocals", "accompaniment"):  # the same sound, so that they are alike only at the same time
        sf.write(data / f"e.{part}.wav", 0.1 * np.random.default_rng(0).standard_normal(3 * RATE), RATE)
    for name in ("tilt", "colour"):
        monkeypatch.setattr(f"export.mixtures.{name}", lambda _, sound, *more: sound)
    mixer = RECIPES["music"](data, "train", tmp_path / "cache")
    monkeypatch.setattr(mixer.rooms, "apply", lambda rng, sound: sound)
    pairs = (mixer.pair(np.random.default_rng(seed), 4000) for seed in range(300))
    alike = np.array([abs(np.corrcoef(*pair)[0, 1]) for pair in pairs])
    assert 0.4 < np.mean(alike > 0.999) < 0.6
    assert np.mean(alike < 0.3) > 0.4


def test_two_events_are_of_two_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_data(tmp_path / "data") / "manifest.csv"
    text = manifest.read_text()
    for clip in "cd":  # two clips of one kind, beside that of another
        text = text.replace(f"{clip}.wav,{clip}.wav", f"{clip}.wav,bell")
    manifest.write_text(text.replace("Street,noise,train", "Street,event,train"))
    mixer = RECIPES["environment"](manifest.parent, "train", tmp_path / "cache")
    real, heard = mixer.event, []

    def event(rng: np.random.Generator, clips: Clips, clip: Clip, samples: int) -> Sound:
        heard.append(clip)
        return real(rng, clips, clip, samples)

    monkeypatch.setattr(mixer, "event", event)
    twos: dict[float, list[set[str]]] = {}
    for strangers in (mixer.strangers, 0.0):  # the first to learn from, the second to know the domain by
        mixer.strangers, twos[strangers] = strangers, []
        for seed in range(60):
            mixer.pair(np.random.default_rng(seed), 2000)
            twos[strangers] += [{clip.group for clip in heard}] if len(heard) == 2 else []
            heard.clear()
    some, none = twos.values()
    assert len(none) > 40
    assert all(kinds == {"bell", "j.wav"} for kinds in none)
    others = [kinds - {"bell", "j.wav"} for kinds in some]
    assert 0.1 < np.mean([bool(kinds) for kinds in others]) < 0.5
    assert set().union(*others) == {"a.wav", "b.wav", "i.wav", "f.wav"}  # talkers and an instrument


def test_a_mixture_of_talkers_is_of_two_different_ones(tmp_path: Path) -> None:
    mixer = SpeechMixer(make_data(tmp_path / "data"), "train", tmp_path / "cache")
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = mixer.talkers.draw_two(rng)
        assert first.group != second.group
    mixer.talkers.groups = {"a.wav": mixer.talkers.clips[:1]}
    with pytest.raises(ValueError, match=r"a\.wav"):
        mixer.talkers.draw_two(rng)


def test_what_a_recorder_makes_of_silence_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mixer = RECIPES["noise"](make_data(tmp_path / "data"), "train", tmp_path / "cache")
    for levels in ((0.1, 3e-5), (3e-5, 0.1), (3e-5, 3e-5)):
        made = [
            np.random.default_rng(slot).normal(0, level, 8000).astype(np.float32) for slot, level in enumerate(levels)
        ]
        monkeypatch.setattr(mixer, "pair", lambda *_, made=made: tuple(made))
        example = mixer.example(np.random.default_rng(5), 8000)  # none of those with a source left out
        assert [bool(source.any()) for source in example] == [level > 1e-4 for level in levels]


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_validation_mixture_with_a_silent_source_does_not_count(symmetric: bool) -> None:
    recipe = replace(NOISE, hidden=8)
    net, front = Chimera(recipe.shape()).eval(), FrontEnd(recipe.window, recipe.synthesis, recipe.hop)
    good = torch.randn(2, 4000, generator=torch.Generator().manual_seed(1))
    silent = good * torch.tensor([[1.0], [0.0]])
    alone = validate(net, front, [good], symmetric)
    assert math.isfinite(alone)
    assert validate(net, front, [silent, good, silent], symmetric) == alone
