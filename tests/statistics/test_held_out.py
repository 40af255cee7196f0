"""Intervals over examples against SciPy, and over seeds and examples against simulated truths."""

import math

import numpy as np
import pytest
from scipy import stats

from populace.statistics import bootstrap_interval, held_out_intervals, interquartile_mean


def test_examples_are_resampled_alike_in_all_members():
    # One member, whose score is a mean: SciPy's percentile bootstrap of 400 examples.
    right = (np.random.default_rng(0).random(400) < 0.9).astype(float)
    found = held_out_intervals(right[None], resamples=8000)
    assert found is not None
    expected = stats.bootstrap((right,), np.mean, method="percentile", n_resamples=8000, rng=1)
    assert found.examples.as_list() == pytest.approx([right.mean(), *expected.confidence_interval], abs=0.004)
    assert (found.size, found.both) == (400, None)
    # Members that are right on the same examples are no better known than one of them.
    alike = held_out_intervals(np.tile(right, (6, 1)), resamples=8000)
    assert alike is not None
    assert alike.examples.as_list() == pytest.approx(found.examples.as_list())
    assert alike.both is not None
    assert alike.both.as_list() == pytest.approx(found.examples.as_list())


def test_seeds_and_examples_add_in_squares_less_what_is_in_both():
    table = np.random.default_rng(1).normal(size=(7, 60)) + np.random.default_rng(2).normal(size=60)
    found = held_out_intervals(table)
    assert found is not None
    assert found.both is not None
    seeds, mean = bootstrap_interval(table.mean(axis=1)), table.mean()
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    square = sum(7 * (c - mean) ** 2 for c in columns) / 59
    rest = sum((table[i, j] - rows[i] - columns[j] + mean) ** 2 for i in range(7) for j in range(60)) / (
        6 * 59
    )
    share = 1 - rest / square
    assert found.both.value == interquartile_mean(rows)
    for end in ("low", "high"):
        apart = [found.both.value - getattr(part, end) for part in (seeds, found.examples)]
        expected = math.sqrt(apart[0] ** 2 + share * apart[1] ** 2)
        assert abs(found.both.value - getattr(found.both, end)) == pytest.approx(expected)


def test_many_examples_are_resampled_in_groups_of_the_same_variance(monkeypatch):
    right = (np.random.default_rng(0).random((2, 3001)) < 0.8).astype(float)
    grouped = held_out_intervals(right)
    monkeypatch.setattr("populace.statistics.held_out._GROUPS", 10_000)
    single = held_out_intervals(right)
    assert grouped is not None
    assert single is not None
    assert grouped.examples != single.examples
    assert grouped.examples.as_list() == pytest.approx(single.examples.as_list(), abs=0.003)


def test_few_examples_have_no_interval_and_bad_ones_are_refused():
    assert held_out_intervals(np.ones((8, 29))) is None
    for bad in (np.ones(40), np.full((2, 40), np.nan), np.ones((0, 40))):
        with pytest.raises(ValueError, match="scores must"):
            held_out_intervals(bad)


def test_the_interval_over_seeds_and_examples_covers_the_population_of_both():
    # A member is right on an example if its skill there is above the difficulty of the example.
    generator, trials, covered = np.random.default_rng(3), 200, np.zeros(2)
    truth = interquartile_mean(
        stats.norm.cdf((1 + 0.1 * generator.normal(size=400_000)) / math.hypot(1, 0.5))
    )
    for _ in range(trials):
        skill = 1 + 0.1 * generator.normal(size=(8, 1)) + 0.5 * generator.normal(size=(8, 200))
        right = (skill > generator.normal(size=200)).astype(float)
        found, seeds = held_out_intervals(right, resamples=200), bootstrap_interval(right.mean(axis=1))
        assert found is not None
        assert found.both is not None
        covered += [i.low <= truth <= i.high for i in (found.both, seeds)]
    assert 0.92 <= covered[0] / trials <= 0.99
    assert covered[1] / trials < 0.8
