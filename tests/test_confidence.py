"""Every measure equals a slow, obvious one, and is defined whatever a model gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from points import NEARLY, embeddings, labelled, law, made
from sklearn.metrics import silhouette_score
from strategies import seeds

from export import losses
from streamsep.arrays import Array
from streamsep.demo.run import bundled_scene
from streamsep.errors import ConfigError
from streamsep.models.bank import ZOO
from streamsep.models.loader import Batch
from streamsep.models.subject import hops_of
from streamsep.monitor.clusters import cluster, distances_to, one_hot
from streamsep.monitor.confidence import (
    ALL,
    Measures,
    balance,
    deep_clustering_loss,
    drawn,
    loudest,
    measure,
    posterior_strength,
    silhouette,
    simplified_silhouette,
    whitened_k_means_loss,
)

RANGES = dict.fromkeys(ALL, (0.0, 1.0)) | {
    "silhouette": (-1.0, 1.0), "confidence": (-1.0, 1.0), "deep_clustering": (-3.0, 1.0)
}  # fmt: skip


# --------------------------------------------------------------------------------------------------- the silhouette


def slow_silhouettes(x: Array, labels: Array) -> list[float]:
    """Rousseeuw 1987, word by word."""
    clusters = {label: x[labels == label] for label in labels}
    scores = []
    for point, label in zip(x, labels, strict=True):
        away = {other: np.linalg.norm(members - point, axis=1) for other, members in clusters.items()}
        own = away.pop(label)
        if not away or len(own) == 1:
            scores.append(0.0)
            continue
        a, b = own.sum() / (len(own) - 1), min(distances.mean() for distances in away.values())
        scores.append((b - a) / max(a, b) if max(a, b) > 0 else 0.0)
    return scores


@law
@given(labelled())
def test_the_silhouette_is_rousseeuws(case: tuple[Array, Array]) -> None:
    x, labels = case
    x = x.astype(np.float64)
    assert silhouette(x, labels) == pytest.approx(np.mean(slow_silhouettes(x, labels)), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(3, 700), st.integers(2, 9), st.booleans())
def test_the_silhouette_is_that_of_scikit_learn(seed: int, points: int, sources: int, chance: bool) -> None:
    x = made(seed, points, sources).astype(np.float64)
    labels = np.random.default_rng(seed).integers(0, sources, points) if chance else cluster(x, sources).labels
    if 2 <= len(np.unique(labels)) < points:  # scikit-learn knows no others
        assert silhouette(x, labels) == pytest.approx(silhouette_score(x, labels), abs=1e-6)


@law
@given(labelled(), seeds, st.integers(-9, 9))
def test_the_silhouette_minds_neither_place_nor_scale_nor_direction_nor_order_nor_names(
    case: tuple[Array, Array], seed: int, octaves: int
) -> None:
    """All of it exact: where two points are one, or all but one, the last digit would decide."""
    x, labels = np.round(case[0].astype(np.float64) * 64) / 64, case[1]
    random = np.random.default_rng(seed)
    axes, signs = random.permutation(x.shape[1]), random.choice([-1, 1], x.shape[1])
    order, names = random.permutation(len(x)), random.permutation(7)
    moved = 2.0**octaves * (x[:, axes] * signs + random.integers(-99, 99, x.shape[1]))
    assert silhouette(moved[order], names[labels][order]) == pytest.approx(silhouette(x, labels), abs=1e-6)


@law
@given(labelled())
def test_the_simplified_silhouette_is_the_one_with_centres_for_points(case: tuple[Array, Array]) -> None:
    x, chosen = case
    filled, labels = np.unique(chosen, return_inverse=True)
    centres = np.stack([x[labels == label].mean(axis=0) for label in range(len(filled))]).astype(np.float64)
    empty = x[:1].astype(np.float64)  # a centre without points is no neighbour
    distances = distances_to(x.astype(np.float64), np.concatenate([centres, empty]))
    scores = []
    for row, label in zip(distances[:, : len(filled)], labels, strict=True):
        a, b = row[label], min(np.delete(row, label), default=0.0)
        alone = len(filled) == 1 or np.count_nonzero(labels == label) == 1
        scores.append(0.0 if alone or max(a, b) == 0 else (b - a) / max(a, b))
    assert simplified_silhouette(distances, labels) == pytest.approx(np.mean(scores), abs=NEARLY)


def look_backs() -> list[tuple[Array, Array]]:
    """Embeddings and magnitudes of the loud bins of every second of the bundled scene, by every shipped model."""
    scene, found = bundled_scene(), []
    for path in sorted(ZOO.glob("*-look-back-int8.onnx")):
        graph = Batch(path)
        spectra = hops_of(graph.manifest.front_end, scene.sources.sum(axis=0)).spectra
        every, _ = graph.run(spectra, graph.start())
        for at in range(0, len(spectra) - 250, 250):
            magnitudes = np.abs(spectra[at : at + 250]).ravel()
            loud = loudest(magnitudes, len(magnitudes) // 100)
            found.append((every[at : at + 250].reshape(len(magnitudes), -1)[loud], magnitudes[loud]))
    return found


def test_on_real_look_backs_the_simplified_silhouette_ranks_as_the_exact_one_does() -> None:
    measured = [measure(points, 2, magnitudes) for points, magnitudes in look_backs()]
    both = np.array([(of.silhouette, of.simplified_silhouette) for of in measured if of is not None])
    ranks = both.argsort(axis=0).argsort(axis=0)
    assert len(both) > 30
    assert np.corrcoef(ranks.T)[0, 1] > 0.95  # Spearman


# ------------------------------------------------------------------------------------------------ posterior strength


@law
@given(seeds, st.integers(1, 60), st.integers(2, 9))
def test_posterior_strength_is_0_for_coin_tosses_and_1_for_owners(seed: int, points: int, sources: int) -> None:
    owners = one_hot(np.random.default_rng(seed).integers(0, sources, points), sources)
    assert posterior_strength(np.full((points, sources), 1 / sources)) == pytest.approx(0, abs=NEARLY)
    assert posterior_strength(owners) == 1
    assert posterior_strength(0.5 * owners + 0.5 / sources) == pytest.approx(0.5)


@pytest.mark.parametrize(("second", "strength"), [([0.0, 1.0], 0.609), ([-1.0, 0.0], 0.762)])
def test_at_hardness_1_it_goes_no_higher_than_the_unit_sphere_allows(second: list[float], strength: float) -> None:
    clusters = cluster(np.repeat([[1.0, 0.0], second], 5, axis=0), 2)
    assert posterior_strength(clusters.posteriors) == pytest.approx(strength, abs=1e-3)


def test_where_there_is_one_source_it_owns_everything_and_there_is_no_confidence() -> None:
    found = measure(made(0, 50, 3), 1)
    assert found is not None
    assert (found.posterior_strength, found.silhouette, found.confidence) == (1, 0, 0)


# --------------------------------------------------------------------------------------------------- balance, losses


@law
@given(embeddings(), st.integers(1, 6))
def test_balance_is_the_smallest_share_over_an_equal_one(x: Array, sources: int) -> None:
    clusters = cluster(x, sources)
    shares = [np.mean(clusters.labels == source) for source in range(sources)]
    assert balance(clusters.sizes) == pytest.approx(min(shares) * sources)


@law
@given(seeds, st.integers(1, 60), st.integers(1, 6))
def test_the_losses_are_those_of_the_matrices_written_out_and_those_of_training(
    seed: int, points: int, sources: int
) -> None:
    v = made(seed, points, sources).astype(np.float64)
    y = cluster(v, sources).owners
    weights = np.random.default_rng(seed).uniform(0.01, 1, points)
    shares = np.sqrt(np.outer(weights, weights)) / weights.sum()
    slow = np.square((v @ v.T - y @ y.T) * shares).sum()
    assert deep_clustering_loss(v, y, weights) == pytest.approx(slow, abs=NEARLY)
    batch = [torch.from_numpy(array)[None] for array in (v, y, weights)]
    assert deep_clustering_loss(v, y, weights) == pytest.approx(float(losses.deep_clustering(*batch)), abs=NEARLY)
    assert whitened_k_means_loss(v, y, weights) == pytest.approx(float(losses.whitened_k_means(*batch)), abs=1e-6)


@law
@given(seeds, st.integers(2, 4), st.floats(1e-3, 1e3))
def test_the_whitened_loss_is_what_is_left_after_the_best_linear_guess_at_the_owners(
    seed: int, sources: int, scale: float
) -> None:
    x = made(seed, 300, sources, spread=0.5).astype(np.float64)
    y = cluster(x, sources).owners
    guess = x @ np.linalg.lstsq(x, y, rcond=None)[0]
    left = np.square(y - guess).sum(axis=0) / y.sum(axis=0)  # of the owners' own energy
    ones = np.ones(len(x))
    assert whitened_k_means_loss(x, y, ones) == pytest.approx(left.mean(), abs=2e-3)
    assert whitened_k_means_loss(scale * x, y, ones) == pytest.approx(whitened_k_means_loss(x, y, ones))


# ----------------------------------------------------------------------------------------------------- all of them


def check(found: Measures | None) -> dict[str, float]:
    assert found is not None
    for name, value in found.by_name.items():
        least, most = RANGES[name]
        assert least - NEARLY <= value <= most + NEARLY, (name, value)
    return found.by_name


@law
@given(embeddings(), st.integers(1, 9), seeds)
def test_every_measure_is_in_its_range_whatever_there_is_to_cluster(x: Array, sources: int, seed: int) -> None:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    x = np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)
    assert set(check(measure(x, sources, np.random.default_rng(seed).uniform(0.01, 1, len(x))))) == set(RANGES)


@law
@given(st.integers(1, 40), st.integers(2, 5), seeds)
def test_where_all_points_are_one_nothing_is_told_apart(points: int, sources: int, seed: int) -> None:
    found = check(measure(np.repeat(made(seed, 1, 1), points, axis=0), sources))
    nothing = {name: found[name] for name in ("silhouette", "confidence", "simplified_silhouette", "divergence")}
    assert nothing == dict.fromkeys(nothing, 0)
    assert found["balance"] == 0
    assert found["posterior_strength"] == pytest.approx(0, abs=NEARLY)


@law
@given(seeds, st.integers(1, 5), st.integers(0, 3))
def test_fewer_points_than_sources_each_stand_alone(seed: int, points: int, more: int) -> None:
    found = check(measure(made(seed, points, 1), points + more))
    assert (found["silhouette"], found["simplified_silhouette"], found["confidence"]) == (0, 0, 0)


@law
@given(embeddings(), seeds, st.integers(1, 4))
def test_points_that_are_silent_or_not_finite_change_nothing(x: Array, seed: int, sources: int) -> None:
    random = np.random.default_rng(seed)
    junk = random.choice([np.nan, np.inf, -np.inf, 0.3], size=(20, x.shape[1]))
    junk[:, 0] = np.nan
    silent = random.normal(size=(20, x.shape[1]))
    weights = random.uniform(0.01, 1, len(x))
    faulty = np.array([0.0, np.nan, np.inf])[random.integers(0, 3, 20)]
    order = np.sort(random.permutation(len(x) + 40)[: len(x)])
    everything, loudness = np.empty((len(x) + 40, x.shape[1])), np.empty(len(x) + 40)
    others = np.setdiff1d(np.arange(len(everything)), order)
    everything[order], everything[others] = x, np.concatenate([junk, silent])
    loudness[order], loudness[others] = weights, np.concatenate([np.ones(20), faulty])
    assert measure(everything, sources, loudness) == measure(x, sources, weights)


@pytest.mark.parametrize("points", [np.zeros((0, 20)), np.full((5, 20), np.nan), np.full((5, 20), 1e300)])
def test_where_there_is_nothing_to_judge_there_is_no_decision(points: Array) -> None:
    assert measure(points, 2) is None
    assert measure(np.ones((5, 20)), 2, np.zeros(5)) is None


@pytest.mark.parametrize("scale", [1e-45, 1e-30, 1.0, 1e30, 3e37])
def test_embeddings_of_any_size_have_finite_measures(scale: float) -> None:
    found = measure(made(0, 300, 3).astype(np.float64) * scale, 3)
    assert found is not None
    assert np.isfinite(list(found.by_name.values())).all()
    if scale >= 1e-30:
        assert found.silhouette == pytest.approx(measure(made(0, 300, 3), 3).silhouette, abs=1e-4)


@law
@given(seeds, st.integers(2, 3))
def test_the_order_of_the_points_changes_no_measure(seed: int, sources: int) -> None:
    x = made(seed, 200, sources, spread=0.3)
    order = np.random.default_rng(seed).permutation(len(x))
    first, second = measure(x, sources), measure(x[order], sources)
    assert first is not None
    assert second is not None
    assert second.by_name == pytest.approx(first.by_name, abs=1e-6)


@law
@given(seeds, st.integers(1, 80), st.integers(1, 4))
def test_magnitudes_weigh_the_two_losses_and_nothing_else(seed: int, points: int, sources: int) -> None:
    x, weights = made(seed, points, sources), np.random.default_rng(seed).exponential(size=points)
    weighted, alike, clusters = measure(x, sources, weights), measure(x, sources), cluster(x, sources)
    assert weighted is not None
    assert alike is not None
    v, y = clusters.points, clusters.owners
    assert weighted.by_name == alike.by_name | {
        "deep_clustering": 1 - deep_clustering_loss(v, y, weights),
        "whitened_k_means": 1 - whitened_k_means_loss(v, y, weights),
    }


@law
@given(st.sets(st.sampled_from(ALL)))
def test_a_chosen_measure_is_the_same_as_among_all(chosen: set[str]) -> None:
    x = made(0, 60, 3, spread=0.5)
    some, every = measure(x, 3, chosen=chosen), measure(x, 3)
    assert some is not None
    assert every is not None
    assert {name: value for name, value in some.by_name.items() if name != "confidence"} == {
        name: every.by_name[name] for name in ALL if name in chosen
    }
    assert ("confidence" in some.by_name) == ({"silhouette", "posterior_strength"} <= chosen)


def test_a_measure_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"no measure 'confidence'; there are \['silhouette', "):
        measure(np.ones((3, 2)), 2, chosen=("silhouette", "confidence"))


def test_the_more_the_clusters_stand_apart_the_higher_every_measure_but_balance() -> None:
    tight, loose = (check(measure(made(1, 500, 2, spread=spread), 2)) for spread in (0.1, 1.0))
    assert all(tight[name] > loose[name] for name in tight.keys() - {"balance"})


# ------------------------------------------------------------------------------------------------ which are looked at


@law
@given(seeds, st.integers(0, 300), st.integers(0, 400), st.floats(1e-20, 1e20))
def test_the_loudest_are_the_loudest_on_any_scale_and_of_equals_the_first(
    seed: int, points: int, count: int, scale: float
) -> None:
    random = np.random.default_rng(seed)
    magnitudes = random.integers(0, 5, points).astype(np.float64)  # many alike, some silent
    faulty = random.random(points) < 0.1
    found = loudest(np.where(faulty, random.choice([np.nan, np.inf]), scale * magnitudes), count)
    magnitudes[faulty] = 0
    best_first = sorted(np.flatnonzero(magnitudes), key=lambda point: (-magnitudes[point], point))
    assert found.tolist() == sorted(best_first[:count])


@law
@given(st.integers(0, 5000), st.integers(1, 2000))
def test_drawn_points_are_the_same_every_time_and_all_where_there_are_few(points: int, most: int) -> None:
    chosen = drawn(points, most)
    np.testing.assert_array_equal(chosen, drawn(points, most))
    assert len(chosen) == min(points, most)
    assert np.all(np.diff(chosen) > 0)
    assert not len(chosen) or (chosen[0] >= 0 and chosen[-1] < points)


def test_no_more_points_are_measured_than_asked_and_those_that_are_drawn() -> None:
    x = made(3, 500, 2)
    assert measure(x, 2, most=100) == measure(x[drawn(500, 100)], 2)
    assert measure(x, 2, most=500) == measure(x, 2)
