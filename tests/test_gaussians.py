"""One cloud or several: the fit is that of scikit-learn, and the divergence the integral it stands for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from points import law, made
from sklearn.mixture import GaussianMixture
from strategies import seeds

from streamsep.monitor.clusters import cluster
from streamsep.monitor.confidence import measure
from streamsep.monitor.gaussians import Mixture, divergence, fit


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(30, 300), st.integers(1, 4), st.integers(1, 20))
def test_the_fit_and_its_density_are_those_of_scikit_learn(seed: int, points: int, sources: int, dims: int) -> None:
    x = made(seed, points, sources, dims + 1, spread=0.8)[:, :dims].astype(np.float64)
    owns = cluster(x, sources).owners
    owns = owns[:, owns.any(axis=0)]
    means = owns.T @ x / owns.sum(axis=0)[:, None]
    variances = owns.T @ np.square(x) / owns.sum(axis=0)[:, None] - np.square(means) + 1e-6
    theirs = GaussianMixture(
        owns.shape[1], covariance_type="diag", weights_init=owns.mean(axis=0), means_init=means,
        precisions_init=1 / variances,
    ).fit(x)  # fmt: skip
    mine = fit(x, owns)
    np.testing.assert_allclose(mine.shares, theirs.weights_, atol=1e-6)
    np.testing.assert_allclose(mine.means, theirs.means_, atol=1e-6)
    np.testing.assert_allclose(mine.variances, theirs.covariances_, atol=1e-6)
    np.testing.assert_allclose(mine.log_density(x), theirs.score_samples(x), atol=1e-4)


def integrated(one: Mixture, other: Mixture) -> float:
    """Jensen-Shannon divergence of two mixtures on a line, in bits, by adding up."""
    line = np.linspace(-30, 30, 400_001)[:, None]
    p, q = np.exp(one.log_density(line)), np.exp(other.log_density(line))
    middle = (p + q) / 2
    both = [np.where(x > 0, x * np.log2(np.maximum(x, 1e-300) / np.maximum(middle, 1e-300)), 0) for x in (p, q)]
    return float((both[0] + both[1]).sum() / 2 * (line[1, 0] - line[0, 0]))


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(1, 3), st.floats(0.2, 6))
def test_the_divergence_is_the_integral_it_stands_for(seed: int, sources: int, apart: float) -> None:
    random = np.random.default_rng(seed)
    x = random.normal(size=(300, 1)) + apart * random.integers(0, sources, 300)[:, None]
    clusters = cluster(x, sources)
    one, several = fit(clusters.points, np.ones((300, 1))), fit(clusters.points, clusters.owners)
    assert divergence(clusters.points, clusters.labels) == pytest.approx(integrated(one, several), abs=0.03)


@law
@given(seeds, st.integers(2, 5))
def test_dense_clusters_are_no_cloud_and_one_cloud_is_one(seed: int, sources: int) -> None:
    dense, cloud = made(seed, 200, sources, spread=0.02), np.random.default_rng(seed).normal(size=(200, 20))
    apart = measure(dense, sources, chosen=("divergence",))
    assert apart is not None
    assert apart.divergence is not None
    assert apart.divergence > 0.9
    assert divergence(cloud, np.zeros(200, int)) == 0
