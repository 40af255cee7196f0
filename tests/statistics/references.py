"""Statistics in plain Python, nothing shared with the code under test."""

import itertools
import math

import pytest
from hypothesis import strategies as st

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
samples = st.lists(finite, min_size=1, max_size=23)


def middle_half(scores):
    ordered = sorted(scores)
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return math.fsum(kept) / len(kept)


def improvement(x, y):
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y)
    return wins / (len(x) * len(y))


def columns(table):
    return [list(column) for column in zip(*table)]


def every_resample(tasks):
    """All equally likely stratified resamples: per task every tuple of its runs, combined."""
    return itertools.product(*(itertools.product(runs, repeat=len(runs)) for runs in tasks))


def assert_interval(interval, value, replicates, confidence):
    """The ends lie where the exact distribution has its quantiles, give or take 1 % of probability.

    Where the distribution makes no jump within that 1 %, this is equality.
    """
    replicates = sorted(replicates)
    assert interval.value == pytest.approx(value)
    quantiles = (1 - confidence) / 2, (1 + confidence) / 2
    for end, quantile in zip((interval.low, interval.high), quantiles):
        ranks = (quantile - 0.01) * len(replicates), (quantile + 0.01) * len(replicates)
        least = replicates[max(0, math.ceil(ranks[0]) - 1)]
        most = replicates[min(len(replicates), math.ceil(ranks[1])) - 1]
        assert least - 1e-9 <= end <= most + 1e-9
