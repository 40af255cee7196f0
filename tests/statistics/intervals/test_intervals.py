"""Intervals against the enumeration of all resamples, SciPy, and simulated truths."""

import math
import time

import numpy as np
import pytest
from scipy import stats

from populace.statistics import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    mean_intervals,
    median_interval,
    summarize,
)
from populace.statistics.intervals import bootstrap
from populace.statistics.intervals.levels import tail
from tests.statistics.references import assert_interval, columns, every_resample, middle_half

# Bootstrap.


@pytest.mark.parametrize("confidence", [0.5, 0.85, 0.95])
@pytest.mark.parametrize("statistic", [interquartile_mean, np.mean, np.median])
def test_interval_of_one_task_equals_the_enumeration_of_all_resamples(statistic, confidence):
    scores = [0.0, 1.0, 7.0, 8.0, 20.0]
    known = {np.median: lambda drawn: sorted(drawn)[2], np.mean: lambda drawn: math.fsum(drawn) / 5}
    plain = known.get(statistic, middle_half)
    replicates = [plain(drawn) for (drawn,) in every_resample([scores])]
    assert len(replicates) == 5**5
    got = bootstrap_interval(scores, statistic, confidence=confidence, resamples=40_000)
    assert got.range_of == 0
    assert_interval(got, plain(scores), replicates, 1 - 2 * tail(confidence, 5))


@pytest.mark.parametrize(
    "table",
    [
        [[0.0, 5.0], [4.0, 0.0], [9.0, 7.0]],
        [[0.0, 3.0, -7.0], [1.0, 8.0, 20.0]],
    ],
)
@pytest.mark.parametrize("statistic", [interquartile_mean, np.mean])
@pytest.mark.parametrize("confidence", [0.72, 0.95])
def test_interval_over_tasks_equals_the_enumeration(table, statistic, confidence):
    plain = middle_half if statistic is interquartile_mean else lambda flat: sum(flat) / len(flat)
    replicates = [
        plain([score for column in drawn for score in column]) for drawn in every_resample(columns(table))
    ]
    got = bootstrap_interval(table, statistic, confidence=confidence, resamples=40_000)
    sure = 1 - 2 * tail(confidence, len(table), len(table[0]))
    assert_interval(got, plain([s for row in table for s in row]), replicates, sure)


def test_tasks_are_never_mixed():
    # Each task is certain in itself: from the pooled scores one would draw about [30, 70].
    table = np.tile([0.0, 100.0], (10, 1))
    assert bootstrap_interval(table, np.mean) == Interval(50, 50, 50)


def test_tasks_are_drawn_independently():
    # Whole rows would give the mean 0.5 every time; each task alone can turn out all 0 or 1.
    got = bootstrap_interval([[0.0, 1.0], [1.0, 0.0]], np.mean, confidence=0.95)
    assert got == Interval(0.5, 0, 1)


def test_more_confidence_is_wider():
    scores = np.random.default_rng(0).normal(size=20)
    narrow, wide = (bootstrap_interval(scores, confidence=c) for c in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@pytest.mark.parametrize("call", [bootstrap_interval, median_interval, mean_interval])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_of_fewer_than_five_runs_the_bounds_are_their_range(call, count):
    scores = [7.0, -1.0, 3.0, 12.0][:count]
    got = call(scores)
    assert (got.low, got.high, got.range_of) == (min(scores), max(scores), count)


def test_few_runs_of_many_tasks_have_an_interval():
    got = bootstrap_interval(np.random.default_rng(0).normal(size=(2, 26)))
    assert got.low < got.value < got.high
    assert got.range_of == 0


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(7, 3))
    whole = bootstrap_interval(scores)
    monkeypatch.setattr(bootstrap, "_BLOCK", 500)
    assert bootstrap_interval(scores) == whole


def test_weights_of_ranks_give_the_resamples_themselves():
    scores = np.sort(np.random.default_rng(0).normal(size=9))
    by_rank = bootstrap_interval(scores, seed=4)
    drawn = bootstrap_interval(scores, lambda s, axis: interquartile_mean(s, axis=axis), seed=4)
    assert by_rank.as_list() == pytest.approx(drawn.as_list(), rel=1e-12)


@pytest.mark.parametrize("shape", ["normal", "heavy tails", "dice"])
def test_many_runs_are_resampled_by_parts_with_the_same_bounds(shape):
    generator = np.random.default_rng(3)
    draw = {
        "normal": lambda size: generator.normal(size=size),
        "heavy tails": lambda size: generator.standard_cauchy(size),
        "dice": lambda size: generator.integers(1, 7, size).astype(float),
    }[shape]
    scores = draw(700)
    parts = bootstrap_interval(scores)
    whole = bootstrap_interval(scores, lambda s, axis: interquartile_mean(s, axis=axis))
    assert parts.value == pytest.approx(whole.value, rel=1e-12)
    # The bounds of 5,000 resamples have an error of a hundredth of their distance.
    assert np.abs(np.subtract(parts.as_list(), whole.as_list())).max() < 0.05 * (whole.high - whole.low)


def test_the_cost_of_an_interval_does_not_grow_with_the_runs():
    sizes = [bootstrap.weights_of_parts(runs, 100, 0)[1].shape for runs in (257, 3_000, 100_001)]
    assert sizes == [(100, 256)] * 3
    edges, weights = bootstrap.weights_of_parts(1001, 2000, 0)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert np.diff(edges).sum() == 1001
    # Each run of the middle half has the same share, those outside of it have next to none.
    share = weights.mean(0) / np.diff(edges)
    np.testing.assert_allclose(share[70:186], 2 / 1001, rtol=0.2)
    assert share[:50].max() < 1e-6 > share[-50:].max()


# Levels and coverage.


@pytest.mark.parametrize("runs", [5, 8, 30])
def test_the_level_lies_between_the_plain_one_and_that_of_hesterberg(runs):
    wide = stats.norm.cdf(-np.sqrt(runs / (runs - 1)) * stats.t.ppf(0.975, runs - 1))
    assert tail(0.95, runs) == pytest.approx(0.025**0.2 * wide**0.8)


@pytest.mark.parametrize("shape", ["normal", "skewed", "two clusters"])
@pytest.mark.parametrize("runs", [8, 12])
def test_the_interval_of_the_interquartile_mean_covers_what_it_says(shape, runs):
    generator = np.random.default_rng(runs)
    draw = {
        "normal": lambda size: generator.normal(size=size),
        "skewed": lambda size: generator.lognormal(size=size),
        "two clusters": lambda size: (generator.random(size) < 0.5) + generator.normal(0, 0.1, size),
    }[shape]
    truth = interquartile_mean(draw(400_000))
    found = [bootstrap_interval(row) for row in draw((2000, runs))]
    covered = np.mean([i.low <= truth <= i.high for i in found])
    assert 0.93 <= covered <= 0.98  # the error of 2,000 trials is half a percent


@pytest.mark.parametrize(("runs", "sure"), [(5, 0.9375), (6, 0.95), (12, 0.95), (25, 0.95), (40, 0.95)])
def test_the_interval_of_the_median_covers_it_for_any_shape(runs, sure):
    rows = np.random.default_rng(runs).lognormal(size=(4000, runs))
    found = [median_interval(row) for row in rows]
    covered = np.mean([i.low <= 1 <= i.high for i in found])
    assert covered == pytest.approx(sure, abs=0.015)
    ends = np.sort(rows[0])
    if runs == 5:
        assert (found[0].low, found[0].high) == (ends[0], ends[-1])


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_interval_of_the_mean_is_that_of_scipy(confidence):
    scores = np.random.default_rng(3).normal(size=9)
    low, high = stats.ttest_1samp(scores, 0).confidence_interval(confidence)
    assert mean_interval(scores, confidence=confidence).as_list() == pytest.approx([scores.mean(), low, high])


def test_the_mean_of_folds_is_corrected_for_the_examples_that_they_share():
    # Nadeau and Bengio: of 10 folds, two scores correlate by the tenth of the examples that is tested. The
    # corrected interval is then exact for normal scores.
    generator = np.random.default_rng(0)
    shared, own = generator.normal(size=(3000, 1)), generator.normal(size=(3000, 10))
    rows = np.sqrt(0.1) * shared + np.sqrt(0.9) * own
    covered = []
    for ratio in (1 / 9, 0.0):
        found = [mean_interval(row, test_to_train=ratio) for row in rows]
        covered.append(np.mean([i.low <= 0 <= i.high for i in found]))
    assert covered[0] == pytest.approx(0.95, abs=0.012)
    assert covered[1] < 0.85
    plain, corrected = mean_interval(rows[0]), mean_interval(rows[0], test_to_train=1 / 9)
    assert corrected.high - corrected.value == pytest.approx((plain.high - plain.value) * np.sqrt(1 + 10 / 9))
    with pytest.raises(ValueError, match="test_to_train must be a ratio"):
        mean_interval(rows[0], test_to_train=-0.1)


@pytest.mark.parametrize("runs", [3, 6])
def test_means_of_many_quantities_are_each_by_itself(runs):
    scores = np.random.default_rng(0).normal(size=(runs, 2, 3))
    found = mean_intervals(scores)
    for place in np.ndindex(2, 3):
        alone = mean_interval(scores[:, *place])
        got = [bound[place] for bound in (found.value, found.low, found.high)]
        assert got == pytest.approx(alone.as_list())
        assert found.range_of == alone.range_of
    with pytest.raises(ValueError, match="scores must not be NaN or infinite"):
        mean_intervals([[np.nan]])


def test_ten_thousand_settings_take_seconds():
    rows = np.random.default_rng(0).normal(size=(1000, 8))
    summarize(rows[0])
    start = time.process_time()
    for row in rows:
        summarize(row)
    assert time.process_time() - start < 2.0
