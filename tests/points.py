"""Embeddings nobody chose."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from strategies import seeds

from streamsep.arrays import Array

NEARLY = 1e-9
law = settings(max_examples=50, deadline=None)


def made(seed: int, points: int, sources: int, dims: int = 20, spread: float | None = None) -> Array:
    """(points, dims), unit norm, float32: about `sources` directions, as far from them as nobody chose."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.01, 1.5) if spread is None else spread
    directions = random.normal(size=(sources, dims))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x = directions[random.integers(0, sources, points)] + spread * random.normal(size=(points, dims)) / np.sqrt(dims)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@st.composite
def embeddings(draw: st.DrawFn, most: int = 60) -> Array:
    """Any number of points, from one; dense or scattered, and some of them more than once."""
    points, dims = draw(st.integers(1, most)), draw(st.integers(1, 20))
    x = made(draw(seeds), points, draw(st.integers(1, 6)), dims)
    if draw(st.booleans()):  # a grid so coarse that points fall together
        x = np.round(2 * x)
    return x


@st.composite
def labelled(draw: st.DrawFn, most: int = 60) -> tuple[Array, Array]:
    """Points with labels of any kind: clusters of one, clusters of none, all in one."""
    x = draw(embeddings(most))
    return x, np.array(draw(st.lists(st.integers(0, 6), min_size=len(x), max_size=len(x))))
