"""Figures as text for tables."""

import math

from streamsep.evaluation.intervals import Interval


def with_interval(found: Interval, digits: int = 2) -> str:
    """The mean and its 95 % interval.

    >>> with_interval(Interval(5.417, 3.93, 7.191, 200))
    '5.42 (3.93 to 7.19)'
    """
    if math.isnan(found.mean) or math.isnan(found.low):
        return number(found.mean, digits)
    return f"{found.mean:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def percent(share: float, digits: int = 0) -> str:
    """A share, with so many digits after the point.

    >>> percent(0.784), percent(float("nan"))
    ('78 %', '-')
    """
    return "-" if math.isnan(share) else f"{100 * share:.{digits}f} %"


def percent_with_interval(found: Interval) -> str:
    """The same of a share.

    >>> percent_with_interval(Interval(0.784, 0.7, 0.81, 200))
    '78 % (70 to 81)'
    """
    if math.isnan(found.mean) or math.isnan(found.low):
        return percent(found.mean)
    return f"{percent(found.mean)} ({100 * found.low:.0f} to {100 * found.high:.0f})"


def number(value: float, digits: int = 2) -> str:
    """One figure.

    >>> number(-0.456), number(float("nan"))
    ('-0.46', '-')
    """
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def probability(p: float) -> str:
    """Three digits, or as a power of ten.

    >>> probability(0.034), probability(1e-9), probability(float("nan"))
    ('0.034', '1e-09', '-')
    """
    if math.isnan(p):
        return "-"
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"
