"""Clustering with the whole file at hand, and the warm start that is found on training mixtures."""

import json
from pathlib import Path

import numpy as np
import pytest
from embedded import bands, clusters, make_bands
from graphs import MANIFEST
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from export.centres import examples, fit, warm_starts
from streamsep.arrays import Block
from streamsep.errors import AudioError
from streamsep.evaluation.clustering import global_masks, loud, oracle_masks
from streamsep.models.loader import Batch
from streamsep.models.manifest import parse_manifest


@settings(max_examples=15, deadline=None)
@given(seed=seeds, sources=st.integers(2, 4))
def test_with_the_whole_file_clusters_that_are_apart_are_found(seed: int, sources: int) -> None:
    random = np.random.default_rng(seed)
    embeddings, owner = clusters(random, np.linalg.qr(random.normal(size=(7, 7)))[0][:sources], 20, np.ones(sources))
    owners = np.eye(sources)[owner]
    weights = random.exponential(size=owner.shape).astype(np.float32)
    truth = oracle_masks(embeddings, owners, weights)
    np.testing.assert_allclose(truth.sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(truth.argmax(1), owner)
    found = global_masks(embeddings, weights, sources, seed)
    order = [int(np.bincount(owner[found.argmax(1) == slot], minlength=sources).argmax()) for slot in range(sources)]
    assert sorted(order) == list(range(sources))
    np.testing.assert_allclose(found, truth[:, order], atol=1e-5)
    np.testing.assert_array_equal(found, global_masks(embeddings, weights, sources, seed))


def test_what_has_no_weight_does_not_count_and_who_owns_nothing_gets_nothing() -> None:
    random = np.random.default_rng(0)
    embeddings, owner = clusters(random, np.eye(2, 5), 10, np.ones(2))
    magnitudes = random.uniform(0.1, 1, size=owner.shape)
    magnitudes[5:] *= 0.001
    weights = loud(magnitudes)
    assert np.array_equal(weights > 0, np.arange(10)[:, None] < np.full(owner.shape, 5))
    other = embeddings.copy()
    other[5:] = 0
    owners = np.eye(3)[owner]
    np.testing.assert_array_equal(
        oracle_masks(embeddings, owners, weights)[:5], oracle_masks(other, owners, weights)[:5]
    )
    assert not oracle_masks(embeddings, owners, weights)[:, 2].any()
    np.testing.assert_array_equal(global_masks(embeddings, weights, 2, 0)[:5], global_masks(other, weights, 2, 0)[:5])
    with pytest.raises(AudioError, match="to find 2 clusters takes as many loud bins, got 0"):
        global_masks(embeddings, loud(np.zeros(owner.shape)), 2, 0)
    np.testing.assert_allclose(global_masks(embeddings[:1] * 0, weights[:1], 2, 0), 0.5)


# --------------------------------------------------------------------------------------------------- the warm start


class BandMixer:
    """Mixtures of two bands at a time; alike: in any order, otherwise the low one first."""

    def __init__(self, alike: bool) -> None:
        self.symmetric = alike

    def example(self, random: np.random.Generator, samples: int) -> Block:
        sources = bands(int(random.integers(1000)), samples) * np.float32(random.uniform(0.1, 1))
        chosen = random.permutation(3)[:2] if self.symmetric else [0, 1 + random.integers(2)]
        return sources[chosen] * np.float32([[1], [random.random() > 0.2]])


def test_centres_of_roles_are_the_means_of_their_owners_in_their_slots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.centres.MIXTURES", 8)
    look_back = Batch(make_bands(tmp_path / "a.onnx", "noise", ("speech", "noise")))
    found = warm_starts(look_back, BandMixer(alike=False))
    assert list(found) == [2]
    np.testing.assert_allclose(found[2][0], [1, 0, 0], atol=0.03)
    assert found[2][1][0] < 0.03
    assert min(found[2][1][1:]) > 0.3
    parse_manifest(json.dumps(MANIFEST | {"embedding_dims": 3, "centres": found}), "a.onnx")
    assert warm_starts(look_back, BandMixer(alike=False)) == found


def test_centres_of_sources_that_are_alike_are_brought_into_one_order_for_two_and_for_three(tmp_path: Path) -> None:
    look_back = Batch(make_bands(tmp_path / "a.onnx"))
    found = fit(
        look_back, [bands(seed, 16_000)[np.random.default_rng(seed).permutation(3)] for seed in range(8)], True
    )
    assert sorted(found.argmax(1)) == [0, 1, 2]
    np.testing.assert_allclose(found.max(1), 1, atol=0.03)
    with pytest.raises(ValueError, match="no mixture in which every source has a loud bin"):
        fit(look_back, [bands(0, 16_000) * np.float32([[1], [1], [0]])], True)
    for sources in examples(BandMixer(alike=True), 3, 0):
        assert len(sources) == 3
        assert np.all(np.abs(sources).max(1) > 0)
        break
