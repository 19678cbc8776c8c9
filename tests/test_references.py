"""What models are held against: ideal masks know the answer, random ones nothing; the front end is the engine's."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bank import make_model

from streamsep.demo.run import bundled_scene
from streamsep.errors import ModelError
from streamsep.evaluation.lists import Mixture
from streamsep.evaluation.metrics import si_sdr_db
from streamsep.evaluation.quality import Estimates
from streamsep.evaluation.references import (
    IDEAL,
    NAMES,
    analyse,
    ideal_binary,
    ideal_ratio,
    phase_sensitive,
    random_masks,
    reference,
    synthesise,
)
from streamsep.models.bank import BankModel, make_bank, open_bank
from streamsep.realtime.stft import Analysis, FrontEnd, Synthesis

FRONT = FrontEnd(16_000, 512, 128, 64)
FRONTS = st.sampled_from(
    [FRONT, FrontEnd(16_000, 512, 512, 128), FrontEnd(8000, 64, 32, 8), FrontEnd(16_000, 96, 96, 16)]
)
SEEDS = st.integers(0, 2**32 - 1)


def noises(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def spectra(seed: int, sources: int = 2) -> np.ndarray:
    """(sources, 5 frames, 7 bins), a third of it silent."""
    real, imaginary, there = noises(seed, 3, sources, 5, 7)
    return np.where(there > -0.4, real + 1j * imaginary, 0)


# -- the front end --------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(FRONTS, SEEDS, st.integers(1, 1500))
def test_a_sound_that_is_only_analysed_and_synthesised_is_itself(front: FrontEnd, seed: int, samples: int) -> None:
    sounds = noises(seed, 2, samples)
    np.testing.assert_allclose(synthesise(front, analyse(front, sounds), samples), sounds, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(FRONTS, SEEDS, st.integers(1, 8))
def test_it_is_the_engines_front_end(front: FrontEnd, seed: int, hops: int) -> None:
    lengths = front.window, front.synthesis_window, front.hop
    analysis, synthesis = Analysis(1, *lengths), Synthesis(1, *lengths)
    sound, masks = noises(seed, hops * front.hop), np.random.default_rng(seed).uniform(size=(hops, front.bins))
    frames, heard = [], []
    for hop, mask in zip(sound.reshape(hops, 1, front.hop), masks, strict=True):
        frames.append(analysis.process(hop)[0].copy())
        synthesis.masked[:] = frames[-1] * mask
        heard.append(synthesis.process()[0].copy())
    found = analyse(front, sound)[:hops]
    np.testing.assert_allclose(found, frames, atol=1e-12)
    late = front.synthesis_window - front.hop
    expected = np.concatenate(heard)[late:]
    np.testing.assert_allclose(synthesise(front, found * masks, len(sound))[: len(expected)], expected, atol=1e-12)


# -- masks ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 4))
def test_masks_are_masks(seed: int, sources: int) -> None:
    found = spectra(seed, sources)
    for masks in (*(make(found) for make in IDEAL.values()), random_masks(found.shape, seed)):
        assert masks.shape == found.shape
        assert masks.min() >= 0
        assert masks.max() <= 1
    for masks in (ideal_binary(found), ideal_ratio(found), random_masks(found.shape, seed)):
        np.testing.assert_allclose(masks.sum(axis=0), 1, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_where_a_source_is_alone_every_ideal_mask_gives_it_everything(seed: int) -> None:
    found = spectra(seed, 3)
    alone = (np.abs(found) > 0).sum(axis=0) == 1
    for make in IDEAL.values():
        heard = make(found) * found.sum(axis=0)
        np.testing.assert_allclose(heard[:, alone], found[:, alone], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_binary_masks_give_each_bin_to_the_loudest_and_ratio_masks_to_each_by_its_loudness(seed: int) -> None:
    found = spectra(seed, 3)
    loud = np.abs(found)
    heard = loud.max(axis=0) > 0
    binary, ratio = ideal_binary(found), ideal_ratio(found)
    assert set(np.unique(binary)) <= {0.0, 1.0}
    np.testing.assert_array_equal((binary * loud).sum(axis=0), loud.max(axis=0))
    np.testing.assert_allclose((ratio * loud.sum(axis=0))[:, heard], loud[:, heard], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_no_mask_is_nearer_to_the_sources_than_the_phase_sensitive_one(seed: int) -> None:
    found = spectra(seed)
    mixture = found.sum(axis=0)
    least = np.abs(phase_sensitive(found) * mixture - found)
    others = (ideal_binary(found), ideal_ratio(found), random_masks(found.shape, seed))
    for masks in others:
        assert (least <= np.abs(masks * mixture - found) + 1e-12).all()


def test_random_masks_are_uniform_and_the_same_for_the_same_seed() -> None:
    masks = random_masks((2, 100, 50), 3)
    np.testing.assert_array_equal(masks, random_masks((2, 100, 50), 3))
    assert (masks != random_masks((2, 100, 50), 4)).all()
    shares, _ = np.histogram(masks[0], bins=10, range=(0, 1))
    np.testing.assert_allclose(shares, 500, atol=120)  # more than five standard deviations


# -- systems --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> BankModel:
    """The shipped noise model."""
    return open_bank().models["noise"]


@pytest.fixture(scope="module")
def scene() -> Mixture:
    """Two seconds of the bundled scene's speech in noise."""
    bundled = bundled_scene()
    sources = bundled.sources[:, bundled.rate : 3 * bundled.rate]
    return Mixture("scene", "noise", ("voice", "site"), sources.astype(np.float32))


def mean_db(estimates: Estimates, mixture: Mixture) -> float:
    """Mean SI-SDR of the slots, in the order that is best."""
    orders = ([0, 1], [1, 0]) if estimates.any_order else ([0, 1],)
    return max(
        np.mean(
            [si_sdr_db(estimates.sources[slot], source) for slot, source in zip(order, mixture.sources, strict=True)]
        )
        for order in orders
    )


def test_who_knows_more_separates_better(model: BankModel, scene: Mixture) -> None:
    found = {name: reference(name, model)(scene) for name in NAMES}
    for estimates in found.values():
        assert estimates.sources.shape == scene.sources.shape
        assert (estimates.roles, estimates.latency_ms) == (("speech", "noise"), None)
    figures = {name: mean_db(estimates, scene) for name, estimates in found.items()}
    assert figures["random"] < figures["mixture"] + 1
    assert figures["global-centres"] > figures["mixture"] + 1
    assert figures["oracle-centres"] > figures["mixture"] + 1
    assert min(figures[name] for name in IDEAL) > max(figures["oracle-centres"], figures["global-centres"])
    assert figures["phase-sensitive"] == max(figures.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_is_the_same_every_time(name: str, model: BankModel, scene: Mixture) -> None:
    part = Mixture(scene.name, scene.domain, scene.clips, scene.sources[:, :8000])
    first, second = reference(name, model)(part), reference(name, model)(part)
    np.testing.assert_array_equal(first.sources, second.sources)


@settings(max_examples=5, deadline=None)
@given(st.text(), st.text())
def test_random_masks_are_drawn_anew_for_every_mixture(model: BankModel, name: str, other: str) -> None:
    sources = noises(0, 2, 1000).astype(np.float32)
    heard = [
        reference("random", model)(Mixture(each, "noise", ("a", "b"), sources)).sources for each in (name, other)
    ]
    assert np.array_equal(*heard) == (name == other)


def test_a_model_at_another_rate_than_the_lists_is_refused(tmp_path: Path) -> None:
    path = make_model(tmp_path / "rain-step-fp32.onnx", "rain", ("rain", "rest"), sample_rate=24_000)
    slow = make_bank([path]).models["rain"]
    with pytest.raises(ModelError, match=r"rain-step-fp32.onnx.*16000 Hz.*24000 Hz"):
        reference("ideal-binary", slow)


def test_a_model_without_its_embeddings_cannot_be_clustered(tmp_path: Path) -> None:
    path = make_model(tmp_path / "rain-step-fp32.onnx", "rain", ("rain", "rest"))
    lonely = make_bank([path]).models["rain"]
    reference("ideal-binary", lonely)
    with pytest.raises(ModelError, match=r"rain-look-back-fp32.onnx: no such model file"):
        reference("oracle-centres", lonely)
