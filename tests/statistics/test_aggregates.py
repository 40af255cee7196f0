"""The interquartile mean against loops and SciPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populace.statistics import interquartile_mean
from tests.statistics.references import columns, finite, middle_half, samples


@pytest.mark.parametrize("n", range(1, 14))
def test_interquartile_mean_is_the_mean_of_the_sorted_middle(n):
    scores = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(scores) == pytest.approx(middle_half(scores.tolist()))
    assert interquartile_mean(scores) == pytest.approx(stats.trim_mean(scores, 0.25))


def test_interquartile_mean_on_known_numbers():
    assert interquartile_mean([1000, 1, 2, -1000]) == 1.5
    assert interquartile_mean([5, 1, 2, 3, 999]) == pytest.approx(10 / 3)  # 3 of 5 are kept
    assert interquartile_mean([0, 0, 30]) == 10  # nothing is cut from three
    assert interquartile_mean([-np.inf, 1, 3, np.inf]) == 2


def test_interquartile_mean_along_an_axis():
    table = np.random.default_rng(0).normal(size=(5, 9))
    rows = [middle_half(row) for row in table.tolist()]
    assert interquartile_mean(table, axis=1) == pytest.approx(rows)
    assert interquartile_mean(table, axis=-1) == pytest.approx(rows)
    by_column = [middle_half(column) for column in columns(table.tolist())]
    assert interquartile_mean(table, axis=0) == pytest.approx(by_column)
    assert interquartile_mean(table) == pytest.approx(middle_half(table.ravel().tolist()))


@given(samples)
@settings(deadline=None)
def test_interquartile_mean_lies_between_the_extremes(scores):
    slack = 1e-9 * (1 + max(map(abs, scores)))
    assert min(scores) - slack <= interquartile_mean(scores) <= max(scores) + slack


@given(samples, finite, st.floats(0.01, 100))
@settings(deadline=None)
def test_interquartile_mean_follows_translation_and_scale(scores, shift, scale):
    moved = interquartile_mean(np.array(scores) * scale + shift)
    assert moved == pytest.approx(interquartile_mean(scores) * scale + shift, rel=1e-9, abs=1e-4)
    assert interquartile_mean(-np.array(scores)) == pytest.approx(-interquartile_mean(scores))
