"""Profiles and the probability of improvement against loops, SciPy and simulated truths."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from populace.statistics import performance_profile, probability_of_improvement
from tests.statistics.references import columns, finite, improvement

# Performance profile.


def test_profile_counts_runs_strictly_above():
    table = [[1.0, 5.0], [2.0, 5.0], [3.0, -math.inf]]
    thresholds = [-10.0, 0.0, 1.0, 2.5, 5.0, 9.0]
    expected = [
        sum(sum(s > t for s in column) / len(column) for column in columns(table)) / 2 for t in thresholds
    ]
    fraction, low, high = performance_profile(table, thresholds)
    assert fraction == pytest.approx(expected)
    assert expected == pytest.approx([5 / 6, 5 / 6, 4 / 6, 3 / 6, 0, 0])
    assert low.shape == high.shape == (6,)
    assert (low <= fraction).all()
    assert (fraction <= high).all()


@pytest.mark.parametrize("confidence", [0.6, 0.95])
def test_profile_band_of_one_task_is_that_of_scipy(confidence):
    band = performance_profile(np.arange(1.0, 6.0), [0.0, 2.5, 5.0], confidence=confidence)
    for count, *found in zip([5, 3, 0], *band):
        expected = stats.binomtest(count, 5).proportion_ci(confidence, "wilson")
        assert found == pytest.approx([count / 5, *expected], abs=1e-12)


def test_profile_band_over_tasks_adds_the_widths_in_squares():
    task = [1.0, 2.0, 3.0, 4.0]
    one = [float(x[0]) for x in performance_profile(task, [2.5])]
    four = [float(x[0]) for x in performance_profile(np.tile(task, (4, 1)).T, [2.5])]
    assert four[0] == one[0]
    assert four[0] - four[1] == pytest.approx((one[0] - one[1]) / 2)
    assert four[2] - four[0] == pytest.approx((one[2] - one[0]) / 2)


@given(
    st.lists(st.tuples(finite, finite), min_size=1, max_size=9),
    st.lists(finite, min_size=1, max_size=9).map(sorted),
)
@settings(max_examples=50, deadline=None)
def test_profile_falls_with_the_threshold_and_stays_within_zero_and_one(table, thresholds):
    for curve in performance_profile(table, thresholds):
        assert (np.diff(curve) <= 1e-12).all()
        assert (curve >= 0).all()
        assert (curve <= 1).all()


# Probability of improvement.


def test_improvement_is_the_mean_over_tasks_of_mann_whitney():
    generator = np.random.default_rng(2)
    x = generator.integers(0, 6, size=(7, 3)).astype(float)
    y = generator.integers(1, 5, size=(4, 3)).astype(float)
    got = probability_of_improvement(x, y)
    per_task = [improvement(a, b) for a, b in zip(columns(x.tolist()), columns(y.tolist()))]
    assert got.value == pytest.approx(sum(per_task) / 3)
    u = stats.mannwhitneyu(x, y, axis=0).statistic
    assert got.value == pytest.approx(np.mean(u / (7 * 4)))
    assert got.low < got.value < got.high


def test_improvement_on_known_numbers():
    assert probability_of_improvement([3, 4], [1, 2]).value == 1
    assert probability_of_improvement([1, 1], [1, 1, 1]).value == 0.5
    assert probability_of_improvement([-math.inf, 2], [1.0]).value == 0.5


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([3.0, 4.0, 9.0], [1.0, 2.0]),
        ([1.0, 5.0, 2.0, 8.0], [3.0, 4.0, 0.0]),
        ([1.0, 1.0, 9.0, 9.0, 9.0], [2.0, 0.5, 9.0, 3.0, 2.5]),
        ([2.0], [1.0, 3.0, 0.0]),
    ],
)
def test_the_bounds_of_improvement_solve_their_equation(x, y):
    n, m = len(x), len(y)
    got = probability_of_improvement(x, y)
    beaten = [
        [sum(a > b or (a == b) / 2 for b in other) / len(other) for a in own]
        for own, other in ((x, y), (y, x))
    ]

    def exponential(p):
        k = (n + m) / 2 - 1
        return p * (1 - p) * (1 + k * ((1 - p) / (2 - p) + p / (1 + p))) / (n * m)

    ratio, held = 1.0, 0.1 / (n + m)
    if min(n, m) > 1:
        spread = sum(np.var(u, ddof=1) / len(u) for u in beaten)
        ratio = (spread + held) / (exponential(got.value) + held)

    def excess(p):
        variance = min(ratio * exponential(p), p * (1 - p) / min(n, m))
        return (got.value - p) ** 2 - stats.norm.ppf(0.975) ** 2 * variance

    below = optimize.brentq(excess, 1e-9, got.value - 1e-9) if got.value > 0 else 0.0
    assert got.low == pytest.approx(below, abs=1e-9)
    above = optimize.brentq(excess, got.value + 1e-9, 1 - 1e-9) if got.value < 1 else 1.0
    assert got.high == pytest.approx(above, abs=1e-9)


def test_a_sure_improvement_on_few_runs_has_a_width():
    few, more = (probability_of_improvement(np.arange(n) + n, np.arange(n)) for n in (3, 12))
    assert few.low < more.low < few.high == more.high == 1


@pytest.mark.parametrize(
    ("shape", "shift"), [("normal", 0.0), ("normal", 1.6), ("skewed", 1.6), ("failures", 1.6)]
)
def test_the_interval_of_improvement_covers_what_it_says(shape, shift):
    generator = np.random.default_rng(5)
    draw = {
        "normal": lambda size: generator.normal(size=size),
        "skewed": lambda size: generator.lognormal(size=size) / 1.18,
        "failures": lambda size: generator.normal(size=size) - 30 * (generator.random(size) < 0.15),
    }[shape]
    truth = probability_of_improvement(draw(200_000) + shift, draw(200_000)).value
    found = [probability_of_improvement(x, y) for x, y in zip(draw((700, 8)) + shift, draw((700, 8)))]
    assert 0.93 <= np.mean([i.low <= truth <= i.high for i in found]) <= 0.985


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=9),
    st.lists(st.integers(0, 9), min_size=1, max_size=9),
)
@settings(max_examples=50, deadline=None)
def test_improvement_of_either_adds_to_one(x, y):
    there, back = probability_of_improvement(x, y), probability_of_improvement(y, x)
    assert there.value == pytest.approx(improvement(x, y))
    assert there.value + back.value == pytest.approx(1)
    assert there.low + back.high == pytest.approx(1)
    assert 0 <= there.low <= there.value <= there.high <= 1
