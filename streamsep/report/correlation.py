"""How one figure goes with another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from streamsep.report.extras import package


@dataclass(frozen=True)
class Correlation:
    """Of n pairs. All nan where there are fewer than three, or one of the two does not vary."""

    r: float  # Pearson's
    p: float  # of an r at least so far from 0 by chance, if the pairs knew nothing of each other
    rho: float  # Spearman's: of the ranks
    slope: float  # of the least-squares line
    intercept: float
    n: int


def correlation(x: ArrayLike, y: ArrayLike) -> Correlation:
    """By SciPy; x, y: (pairs,); pairs with a nan are left out. Raises ConfigError when SciPy is missing.

    >>> found = correlation([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    >>> round(found.r, 6), round(found.slope, 6), round(found.intercept, 6), found.n
    (1.0, 2.0, 1.0, 3)
    """
    stats = package("scipy.stats")
    both = np.stack([np.asarray(x, np.float64), np.asarray(y, np.float64)])
    first, second = both[:, np.isfinite(both).all(axis=0)]
    if len(first) < 3 or not np.ptp(first) or not np.ptp(second):
        nothing = float("nan")
        return Correlation(nothing, nothing, nothing, nothing, nothing, len(first))
    line = stats.linregress(first, second)
    rho = float(stats.spearmanr(first, second).statistic)
    return Correlation(
        float(line.rvalue), float(line.pvalue), rho, float(line.slope), float(line.intercept), len(first)
    )
