"""Every statistic against loops, exact enumeration of all resamples, and what must always hold."""

import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populace import statistics
from populace.statistics import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    summarize,
)

finite = st.floats(-1e6, 1e6, allow_subnormal=False)
samples = st.lists(finite, min_size=1, max_size=23)


# References: plain Python, nothing shared with the code under test.


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


# Interquartile mean.


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


# Bootstrap.


@pytest.mark.parametrize("confidence", [0.5, 0.85, 0.95])
@pytest.mark.parametrize("statistic", [interquartile_mean, np.mean, np.median])
def test_interval_of_one_task_equals_the_enumeration_of_all_resamples(statistic, confidence):
    scores = [0.0, 1.0, 7.0]
    plain = {np.median: lambda drawn: sorted(drawn)[1]}.get(statistic, middle_half)
    replicates = [plain(drawn) for (drawn,) in every_resample([scores])]
    assert len(replicates) == 27
    got = bootstrap_interval(scores, statistic, confidence=confidence, resamples=40_000)
    assert_interval(got, plain(scores), replicates, confidence)


@pytest.mark.parametrize(
    "table",
    [
        [[0.0, 10.0], [1.0, 13.0]],
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
    assert_interval(got, plain([s for row in table for s in row]), replicates, confidence)


def test_tasks_are_never_mixed():
    # Each task is certain in itself: from the pooled scores one would draw about [30, 70].
    table = np.tile([0.0, 100.0], (10, 1))
    assert bootstrap_interval(table, np.mean) == Interval(50, 50, 50)


def test_tasks_are_drawn_independently():
    # Whole rows would give the mean 0.5 every time; each task alone can turn out all 0 or 1.
    got = bootstrap_interval([[0.0, 1.0], [1.0, 0.0]], np.mean, confidence=0.95)
    assert got == Interval(0.5, 0, 1)


def test_interval_covers_the_true_mean_as_often_as_it_says():
    generator = np.random.default_rng(11)
    intervals = [
        bootstrap_interval(row, np.mean, resamples=500, seed=i)
        for i, row in enumerate(generator.normal(3.0, 2.0, size=(600, 40)))
    ]
    covered = np.mean([interval.low <= 3.0 <= interval.high for interval in intervals])
    # On 40 runs the percentile interval covers about 94 %; the error of 600 trials is 1 %.
    assert 0.91 < covered < 0.97
    width = np.mean([interval.high - interval.low for interval in intervals])
    assert width == pytest.approx(2 * 1.96 * 2.0 / math.sqrt(40), rel=0.05)


def test_more_confidence_is_wider():
    scores = np.random.default_rng(0).normal(size=20)
    narrow, wide = (bootstrap_interval(scores, confidence=c) for c in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@given(st.lists(finite, min_size=1, max_size=9))
@settings(max_examples=30, deadline=None)
def test_one_run_has_an_interval_of_zero_width(row):
    for statistic in (interquartile_mean, np.mean, np.median):
        got = bootstrap_interval([row], statistic, resamples=50)
        assert got.low == got.value == got.high
    one = probability_of_improvement([row], [row[::-1]], resamples=50)
    assert one.low == one.value == one.high
    fraction, low, high = performance_profile([row], [0.0, 1.0], resamples=50)
    assert fraction.tolist() == low.tolist() == high.tolist()


def test_the_size_of_a_block_changes_nothing(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(7, 3))
    whole = bootstrap_interval(scores), performance_profile(scores, [0.0, 1.0])
    monkeypatch.setattr(statistics, "_BLOCK", 500)
    blocked = bootstrap_interval(scores), performance_profile(scores, [0.0, 1.0])
    assert blocked[0] == whole[0]
    np.testing.assert_array_equal(blocked[1], whole[1])


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


def test_profile_band_equals_the_enumeration_of_all_stratified_resamples():
    table = [[0.0, 5.0], [4.0, 2.0], [9.0, 7.0]]
    thresholds = [1.0, 3.0, 6.0]
    curves = performance_profile(table, thresholds, confidence=0.9, resamples=40_000)
    for threshold, value, low, high in zip(thresholds, *curves):
        above = sum(score > threshold for row in table for score in row) / 6
        replicates = [
            sum(score > threshold for column in drawn for score in column) / 6
            for drawn in every_resample(columns(table))
        ]
        assert_interval(Interval(value, low, high), above, replicates, 0.9)


def test_profile_band_is_stratified():
    table = np.tile([0.0, 100.0], (10, 1))
    fraction, low, high = performance_profile(table, [50.0])
    assert fraction == low == high == 0.5
    _, low, high = performance_profile([[0.0, 1.0], [1.0, 0.0]], [0.5])
    assert (low, high) == (0, 1)


@given(
    st.lists(st.tuples(finite, finite), min_size=1, max_size=9),
    st.lists(finite, min_size=1, max_size=9).map(sorted),
)
@settings(max_examples=50, deadline=None)
def test_profile_falls_with_the_threshold_and_stays_within_zero_and_one(table, thresholds):
    for curve in performance_profile(table, thresholds, resamples=50):
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
    assert probability_of_improvement([3, 4], [1, 2]).as_list() == [1, 1, 1]
    assert probability_of_improvement([1, 1], [1, 1, 1]).as_list() == [0.5, 0.5, 0.5]
    assert probability_of_improvement([-math.inf, 2], [1.0]).value == 0.5


@pytest.mark.parametrize("confidence", [0.6, 0.95])
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([[2.0], [5.0]], [[1.0], [2.0], [4.0]]),
        ([[0.0], [1.0]], [[0.0], [1.0]]),
        ([[0.0, 6.0], [3.0, 9.0]], [[1.0, 7.0], [2.0, 6.0]]),
    ],
)
def test_improvement_interval_equals_the_enumeration_of_all_resamples(x, y, confidence):
    tasks = len(x[0])
    replicates = [
        sum(improvement(a, b) for a, b in zip(x_drawn, y_drawn)) / tasks
        for x_drawn in every_resample(columns(x))
        for y_drawn in every_resample(columns(y))
    ]
    value = sum(improvement(a, b) for a, b in zip(columns(x), columns(y))) / tasks
    got = probability_of_improvement(x, y, confidence=confidence, resamples=40_000)
    assert_interval(got, value, replicates, confidence)


def test_improvement_draws_tasks_independently():
    # Whole rows would give the same replicate 0.5 each time: what one task wins, the other loses.
    got = probability_of_improvement([[0.0, 1.0], [1.0, 0.0]], [[0.5, 0.5]], confidence=0.95)
    assert got == Interval(0.5, 0, 1)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=9),
    st.lists(st.integers(0, 9), min_size=1, max_size=9),
)
@settings(max_examples=50, deadline=None)
def test_improvement_of_either_adds_to_one(x, y):
    there = probability_of_improvement(x, y, resamples=20)
    back = probability_of_improvement(y, x, resamples=20)
    assert there.value == pytest.approx(improvement(x, y))
    assert there.value + back.value == pytest.approx(1)
    assert 0 <= there.low <= there.high <= 1


# Summary.


def test_summary_holds_the_three_aggregates_and_is_json():
    scores = [3.0, 1.0, 2.0, 10.0, 4.0]
    summary = summarize(scores)
    assert summary.iqm == bootstrap_interval(scores)
    assert summary.median == bootstrap_interval(scores, np.median)
    assert summary.mean == bootstrap_interval(scores, np.mean)
    assert [summary.iqm.value, summary.median.value, summary.mean.value] == [3, 3, 4]
    written = summary.as_dict()
    assert list(written) == ["n", "diverged", "scores", "iqm", "median", "mean"]
    assert written["n"] == 5
    assert written["diverged"] == 0
    assert written["scores"] == scores
    assert written["mean"] == [4, summary.mean.low, summary.mean.high]
    assert json.loads(json.dumps(written, allow_nan=False)) == written


def test_a_diverged_member_is_counted_and_scored_as_worst():
    scores, mask = [5.0, 9.0, math.nan, 7.0], [False, True, False, False]
    summary = summarize(scores, mask)
    assert summary.n == 4
    assert summary.diverged == 2
    assert summary.scores == (5, 5, 5, 7)
    assert summary.mean == bootstrap_interval([5, 5, 5, 7], np.mean)
    assert summarize(scores, mask, mode="min").scores == (5, 9, 9, 7)
    assert summarize(scores, mask, worst=-1.0).scores == (5, -1, -1, 7)
    assert summarize([math.inf, 1.0, -math.inf, 2.0]).scores == (1, 1, 1, 2)
    assert summarize([1.0, 2.0, 3.0], [True, False, False]).diverged == 1


def test_nothing_finite_is_nan_here_and_null_in_json():
    summary = summarize([math.nan, math.inf])
    assert summary.n == summary.diverged == 2
    assert all(map(math.isnan, (*summary.scores, summary.mean.value, summary.iqm.low)))
    written = json.loads(json.dumps(summary.as_dict(), allow_nan=False))
    assert written == {
        "n": 2,
        "diverged": 2,
        "scores": [None, None],
        "iqm": [None] * 3,
        "median": [None] * 3,
        "mean": [None] * 3,
    }
    assert summarize([math.nan, math.inf], worst=-3.0).mean == Interval(-3, -3, -3)


# Seeds.


def results(seed):
    table = np.random.default_rng(5).normal(size=(9, 2))
    profile = performance_profile(table, [-0.3, 0.1], seed=seed)
    return (
        bootstrap_interval(table, seed=seed),
        summarize(table[:, 0], seed=seed),
        tuple(tuple(curve) for curve in profile),
        probability_of_improvement(table, table[:5] + 0.1, seed=seed),
    )


def test_same_seed_same_result_whatever_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()
    first = results(seed=3)
    after = np.random.get_state()
    assert before[2:] == after[2:]
    assert np.array_equal(before[1], after[1])
    np.random.seed(2)
    assert results(seed=3) == first
    other = results(seed=4)
    assert other[0] != first[0]
    assert other[1] != first[1]
    assert other[3] != first[3]


# What is refused.


@pytest.mark.parametrize(
    "call",
    [
        bootstrap_interval,
        lambda scores, **options: performance_profile(scores, [0.0], **options),
        lambda scores, **options: probability_of_improvement(scores, scores, **options),
        lambda scores, **options: probability_of_improvement([1.0], scores, **options),
    ],
)
def test_bad_scores_and_options_are_refused_in_one_line(call):
    refused = [
        ([], {}, r"not empty, got \(0,\)"),
        (np.zeros((3, 0)), {}, r"not empty, got \(3, 0\)"),
        (np.zeros((2, 2, 2)), {}, r"\(runs, tasks\), not empty, got \(2, 2, 2\)"),
        (3.0, {}, r"got \(\)"),
        ([1.0, math.nan], {}, "must not be NaN, got 1 of 2"),
        ([1.0], {"confidence": 0.0}, "confidence must lie between 0 and 1, like 0.95, got 0.0"),
        ([1.0], {"confidence": 1.0}, "got 1.0"),
        ([1.0], {"confidence": 95}, "got 95"),
        ([1.0], {"confidence": math.nan}, "got nan"),
        ([1.0], {"resamples": 0}, "resamples must be at least 1, got 0"),
    ]
    for scores, options, message in refused:
        with pytest.raises(ValueError, match=message) as caught:
            call(scores, **options)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: interquartile_mean([]), r"at least one score, got shape \(0,\)"),
        (lambda: interquartile_mean([1, math.nan]), "must not be NaN, got 1 of 2"),
        (lambda: bootstrap_interval([1, math.inf]), "must not be infinite, got 1 of 2"),
        (lambda: bootstrap_interval([1, 2], lambda s, axis: s.mean()), r"\(2000,\), got \(\)"),
        (lambda: bootstrap_interval([1, 2], lambda s, axis: s), r"got \(2000, 2\)"),
        (lambda: performance_profile([1.0], []), r"thresholds .* got \(0,\)"),
        (lambda: performance_profile([1.0], 0.5), r"thresholds .* got \(\)"),
        (lambda: performance_profile([1.0], [math.nan]), "thresholds must not be NaN"),
        (
            lambda: probability_of_improvement([[1, 2]], [1, 2]),
            r"same tasks, got \(1, 2\), \(2, 1\)",
        ),
        (lambda: summarize([]), r"scores must have shape \(members,\), at least one, got \(0,\)"),
        (lambda: summarize([[1.0]]), r"got \(1, 1\)"),
        (lambda: summarize([1.0, 2.0], [True]), r"diverged must be \(2,\) bool, got \(1,\) bool"),
        (lambda: summarize([1.0, 2.0], [0, 7]), r"got \(2,\) int64"),
        (lambda: summarize([1.0], worst=math.nan), "worst must be finite, .* got nan"),
        (lambda: summarize([1.0], mode="more"), "mode must be 'max' or 'min', got 'more'"),
    ],
)
def test_bad_input_is_refused_with_what_came(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_needs_no_jax():
    program = (
        f"import runpy, sys; runpy.run_path({statistics.__file__!r}); "
        "sys.exit(any(name.partition('.')[0] == 'jax' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
