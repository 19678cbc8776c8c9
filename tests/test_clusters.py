"""K-means settles, finds what there is to find, and says how firmly."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from points import NEARLY, embeddings, law, made
from sklearn.cluster import KMeans
from strategies import seeds

from streamsep.arrays import Array
from streamsep.monitor.clusters import cluster, soften
from streamsep.monitor.confidence import posterior_strength


@law
@given(embeddings(), st.integers(1, 9))
def test_every_point_is_with_the_nearest_centre_and_every_centre_amid_its_points(x: Array, sources: int) -> None:
    clusters = cluster(x, sources)
    assert clusters.sizes.sum() == len(x)
    assert np.count_nonzero(clusters.sizes) == min(sources, len(np.unique(x, axis=0)))
    own = clusters.distances[np.arange(len(x)), clusters.labels]
    np.testing.assert_array_equal(own, clusters.distances.min(axis=1))
    for source in np.flatnonzero(clusters.sizes):
        np.testing.assert_allclose(clusters.centres[source], x[clusters.labels == source].mean(axis=0), atol=1e-6)
    for source in np.flatnonzero(clusters.sizes == 0):
        np.testing.assert_array_equal(clusters.centres[source], clusters.centres[clusters.sizes.argmax()])


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(20, 400), st.integers(2, 3))
def test_without_a_random_start_it_is_as_good_as_the_best_of_ten(seed: int, points: int, sources: int) -> None:
    x = made(seed, points, sources, spread=np.random.default_rng(seed).uniform(0.01, 0.6))
    loss = float(np.square(cluster(x, sources).distances.min(axis=1)).sum())
    assert loss <= 1.01 * KMeans(sources, n_init=10, random_state=0).fit(x.astype(np.float64)).inertia_


@law
@given(embeddings(), st.integers(1, 4), seeds)
def test_from_its_own_centres_nothing_moves_and_from_any_others_it_ends_settled(
    x: Array, sources: int, seed: int
) -> None:
    cold = cluster(x, sources)
    warm = cluster(x, sources, start=cold.centres)
    np.testing.assert_array_equal(warm.owners @ warm.owners.T, cold.owners @ cold.owners.T)  # together or not
    lost = cluster(x, sources, start=np.random.default_rng(seed).normal(size=cold.centres.shape) + 100)
    assert np.count_nonzero(lost.sizes) == np.count_nonzero(cold.sizes)


def test_a_centre_that_lost_its_points_takes_those_that_are_furthest_from_theirs() -> None:
    clusters = cluster([[0.0], [0.0], [1.0], [3.0]], 3, start=[[100.0], [200.0], [300.0]])
    assert sorted(clusters.centres.ravel()) == [0, 1, 3]


@law
@given(embeddings(), st.integers(1, 6))
def test_harder_posteriors_are_stronger_and_always_sum_to_1(x: Array, sources: int) -> None:
    distances = cluster(x, sources).distances
    hardnesses = (0.1, 1.0, 5.0, 50.0)
    every = [soften(distances, hardness) for hardness in hardnesses]
    for posteriors, hardness in zip(every, hardnesses, strict=True):
        np.testing.assert_allclose(posteriors.sum(axis=1), 1, rtol=1e-12)
        slow = np.exp(-hardness * distances) / np.exp(-hardness * distances).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(posteriors, slow, atol=NEARLY)
    strengths = [posterior_strength(posteriors) for posteriors in every]
    assert all(softer <= harder + NEARLY for softer, harder in pairwise(strengths))
