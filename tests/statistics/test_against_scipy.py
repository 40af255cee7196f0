"""The results of SciPy on 300 random inputs: normal, skewed, whole numbers with ties, and on a ceiling."""

import numpy as np
import pytest
from scipy import stats

from populace.statistics import (
    bootstrap_interval,
    brunner_munzel,
    holm,
    interquartile_mean,
    mean_interval,
    performance_profile,
    probability_of_improvement,
    signed_rank,
)
from populace.statistics.intervals.levels import tail

INPUTS = pytest.mark.parametrize("inputs", [60, pytest.param(300, marks=pytest.mark.slow)])


def draws(inputs, runs, seed):
    """Yield what draws an input, of every shape in turn, and a number of runs."""
    generator = np.random.default_rng(seed)
    shapes = (
        lambda n: generator.normal(500, 20, n),
        lambda n: generator.lognormal(size=n),
        lambda n: generator.integers(0, 6, n).astype(float),
        lambda n: np.minimum(generator.normal(480, 60, n), 500.0),
    )
    for number in range(inputs):
        yield shapes[number % len(shapes)], int(generator.integers(*runs))


@INPUTS
def test_aggregates_and_their_intervals_are_those_of_scipy(inputs):
    for number, (draw, runs) in enumerate(draws(inputs, (5, 24), 0)):
        scores = np.sort(draw(runs))  # resamples are drawn by rank
        assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25))
        level = 1 - 2 * tail(0.95, runs)
        known = stats.bootstrap(  # the generator of the same seed draws the same resamples
            (scores,), lambda x, axis: stats.trim_mean(x, 0.25, axis=axis), n_resamples=300,
            confidence_level=level, method="percentile", rng=np.random.default_rng(number),
        ).confidence_interval  # fmt: skip
        found = bootstrap_interval(scores, resamples=300, seed=number)
        assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=1e-9)
        student = stats.ttest_1samp(scores, 0).confidence_interval() if np.ptp(scores) else (scores[0],) * 2
        mean = mean_interval(scores)
        assert (mean.low, mean.high) == pytest.approx(tuple(student))


@INPUTS
def test_comparisons_are_those_of_scipy(inputs):
    for draw, runs in draws(inputs, (4, 20), 1):
        x, y = draw(runs), draw(runs + 3)
        u = stats.mannwhitneyu(x, y).statistic
        assert probability_of_improvement(x, y).value == pytest.approx(u / (runs * (runs + 3)))
        threshold = float(np.median(y))
        band = [float(part[0]) for part in performance_profile(x, [threshold])]
        above = int((x > threshold).sum())
        wilson = stats.binomtest(above, runs).proportion_ci(method="wilson")
        assert band == pytest.approx([above / runs, *wilson], abs=1e-12)
        differences = np.unique(np.round(x[: len(set(x))] - x.mean(), 6))
        if len(set(np.abs(differences))) == len(differences):  # SciPy is exact only without ties
            expected = stats.wilcoxon(differences, method="exact").pvalue
            assert signed_rank(differences) == pytest.approx(expected)


def by_ranks(x, y, axis):
    """Return the statistic of Brunner and Munzel from ranks, whole permutations at a time."""
    n, m = x.shape[axis], y.shape[axis]
    pooled = stats.rankdata(np.concatenate([x, y], axis=axis), axis=axis)
    first, second = np.split(pooled, [n], axis=axis)
    spread = [
        (size * (above - stats.rankdata(own, axis=axis)).var(axis=axis, ddof=1))
        for size, above, own in ((n, first, x), (m, second, y))
    ]
    apart = n * m * (second.mean(axis=axis) - first.mean(axis=axis)) / (n + m)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = abs(apart) / np.sqrt(spread[0] + spread[1])
    return np.minimum(np.nan_to_num(found, nan=0.0, posinf=1e9), 1e9)  # SciPy subtracts what may be infinite


@INPUTS
def test_the_permutation_test_is_that_of_scipy(inputs):
    for draw, _ in draws(inputs, (4, 5), 2):
        x, y = draw(4), draw(5)
        known = stats.permutation_test((x, y), by_ranks, alternative="greater", vectorized=True)
        assert brunner_munzel(x, y) == pytest.approx(known.pvalue)
    x, y = np.random.default_rng(3).normal(size=(2, 120))
    known = stats.brunnermunzel(x, y, distribution="normal")
    assert brunner_munzel(x, y) == pytest.approx(known.pvalue)
    assert by_ranks(x, y, 0) == pytest.approx(abs(known.statistic))


@INPUTS
def test_holm_is_the_procedure_step_by_step(inputs):
    generator = np.random.default_rng(4)
    for _ in range(inputs):
        p = generator.beta(0.3, 2, int(generator.integers(1, 12)))
        rejected = set()
        for step, index in enumerate(np.argsort(p)):  # the smallest first, until one is not rejected
            if p[index] > 0.05 / (len(p) - step):
                break
            rejected.add(int(index))
        assert set(np.flatnonzero(holm(p) <= 0.05)) == rejected
