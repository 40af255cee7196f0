"""Levels at which intervals are read: wider than their name on few runs, so that they cover what it says.

A bootstrap distribution of n runs is too narrow by `sqrt((n - 1) / n)`, and has the tails of a normal
distribution where a t distribution is due. Hesterberg 2015 reads the percentiles at

    a_H = Phi(-sqrt(n / (n - 1)) t_{n-1, 1 - a})     in the place of a = (1 - confidence) / 2

which is right for the mean of normal scores and too wide for the interquartile mean, whose bootstrap
distribution is coarser. `a^0.2 a_H^0.8` lies between. The 0.8 was chosen by simulation; what it covers for
which scores, and where it falls short, is measured by `benchmarks/coverage.py` and said in
docs/statistics.md.

Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (https://arxiv.org/abs/1411.5279).
"""

from functools import lru_cache
from typing import Any

FEWEST = 5
"""Runs below which there is no interval: the range of n scores covers the middle of a symmetric distribution
with probability `1 - 2^(1 - n)`, .875 for 4 and .9375 for 5, and nothing narrower than it covers more."""
MIN_RUNS_ANY_SHAPE = 8
"""Runs from which on an interval covers what it says for every shape that was simulated; with 5 to 7 it does
for symmetric ones only (docs/statistics.md)."""
_SHARE = 0.8


def scipy_special() -> Any:
    """Return `scipy.special`, imported when it is first asked for: at the start it would delay every run."""
    from scipy import special

    return special


def check_confidence(confidence: float) -> None:
    """Raise ValueError unless a confidence lies between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, like 0.95, got {confidence}")


@lru_cache(maxsize=4096)
def tail(confidence: float, runs: int, tasks: int = 1) -> float:
    """Return the probability that a percentile interval leaves out on each side, `a^0.2 a_H^0.8`.

    Args:
        confidence: of the interval, such as 0.95.
        runs: of each task, n.
        tasks: k; the t distribution of a_H has `k (n - 1)` degrees of freedom.

    """
    check_confidence(confidence)
    plain = (1 - confidence) / 2
    if runs < 2:
        return plain
    wide = scipy_special().ndtr(-((runs / (runs - 1)) ** 0.5) * student(confidence, tasks * (runs - 1)))
    return float(plain ** (1 - _SHARE) * wide**_SHARE)


@lru_cache(maxsize=4096)
def student(confidence: float, degrees: float) -> float:
    """Return the quantile of the t distribution between which and its negative `confidence` lies."""
    check_confidence(confidence)
    return float(scipy_special().stdtrit(degrees, (1 + confidence) / 2))


@lru_cache(maxsize=64)
def normal(confidence: float) -> float:
    """Return the quantile of the normal distribution between which and its negative `confidence` lies."""
    check_confidence(confidence)
    return float(scipy_special().ndtri((1 + confidence) / 2))
