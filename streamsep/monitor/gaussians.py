"""Are these points rather one cloud, or several? Mixtures of Gaussians with diagonal covariances."""

from dataclasses import dataclass

import numpy as np

from streamsep.monitor.clusters import Labels, Points, Values, one_hot

LEAST_VARIANCE = 1e-6  # is added to every variance: points that agree in a dimension have a density there too
ROUNDS = 100  # of fitting at most
SETTLED = 1e-3  # nats a point: the fit is over when a round gains less
DRAWS = 1000  # from every component


@dataclass(frozen=True)
class Mixture:
    """Gaussians with diagonal covariances, and how much there is of each."""

    shares: Values  # (components,), above 0, sum to 1
    means: Values  # (components, dims)
    variances: Values  # (components, dims)

    def log_densities(self, points: Points) -> Values:
        """(points, dims) -> (points, components): log of share x density; their logsumexp is the mixture's."""
        precisions = 1 / self.variances
        squares = (
            np.square(points) @ precisions.T
            - 2 * points @ (self.means * precisions).T
            + (np.square(self.means) * precisions).sum(axis=1)
        )
        constants = np.log(2 * np.pi * self.variances).sum(axis=1)
        logs: Values = np.log(self.shares) - 0.5 * (constants + squares)
        return logs

    def log_density(self, points: Points) -> Values:
        """(points, dims) -> (points,), in nats."""
        return _log_sum(self.log_densities(points))


def fit(points: Points, owns: Values) -> Mixture:
    """Expectation maximisation (Dempster, Laird & Rubin 1977), to a maximum near where it begins.

    points: (points, dims), finite; owns: (points, components), rows sum to 1: how much of each point each component
    has to begin with, more than nothing.
    """
    mixture, before = _of(points, owns), -np.inf
    for _ in range(ROUNDS):
        logs = mixture.log_densities(points)
        total = _log_sum(logs)
        mixture = _of(points, np.exp(logs - total[:, None]))
        after = float(total.mean())
        if after - before < SETTLED:
            break
        before = after
    return mixture


def divergence(points: Points, labels: Labels) -> float:
    """How different one Gaussian is from one for each cluster, both fitted to the points, in [0, 1].

    The Jensen-Shannon divergence in bits (Seetharaman et al. 2019). points: (points, dims); labels: (points,), where
    the fit of the components begins; clusters without points have none. 0: one cloud is as good; 1: the clusters say
    where there are points, and one cloud does not. There is no closed form: it is a mean over DRAWS points of every
    component, the same draws every time, and within 0.02 as a rule.
    """
    clusters, labels = np.unique(labels, return_inverse=True)
    if len(clusters) == 1:
        return 0.0
    one = fit(points, np.ones((len(points), 1)))
    several = fit(points, one_hot(labels, len(clusters)))
    draws = np.random.default_rng(0).standard_normal((DRAWS, points.shape[1]))
    both = _surprise(one, several, draws), _surprise(several, one, draws)
    return float(np.clip(np.mean(both), 0, 1))


def _surprise(drawn: Mixture, other: Mixture, draws: Points) -> float:
    """Kullback-Leibler divergence, in bits, from one mixture to the mean of it and another; every component is drawn
    from alike, and counted by its share."""
    total = 0.0
    for share, mean, variance in zip(drawn.shares, drawn.means, drawn.variances, strict=True):
        points = mean + np.sqrt(variance) * draws
        here, there = drawn.log_density(points), other.log_density(points)
        total += share * float(np.mean(here - np.logaddexp(here, there)))
    return 1 + total / float(np.log(2))


def _of(points: Points, owns: Values) -> Mixture:
    """The most likely mixture for points that are owned so."""
    sizes = owns.sum(axis=0) + 10 * np.finfo(np.float64).eps
    means = owns.T @ points / sizes[:, None]
    squares = owns.T @ np.square(points) / sizes[:, None]
    variances = np.maximum(squares - np.square(means), 0) + LEAST_VARIANCE
    return Mixture(sizes / sizes.sum(), means, variances)


def _log_sum(logs: Values) -> Values:
    """(points, components) -> (points,): log of the sum of the exponentials."""
    most = logs.max(axis=1)
    total: Values = most + np.log(np.exp(logs - most[:, None]).sum(axis=1))
    return total
