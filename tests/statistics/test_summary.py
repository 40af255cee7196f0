"""Summaries, seeds, and what every statistic refuses."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from populace import statistics
from populace.statistics import (
    Interval,
    bootstrap_interval,
    interquartile_mean,
    mean_interval,
    median_interval,
    performance_profile,
    probability_of_improvement,
    summarize,
    with_worst,
)


def test_summary_holds_the_three_aggregates_and_is_json():
    scores = [3.0, 1.0, 2.0, 10.0, 4.0]
    summary = summarize(scores)
    assert summary.iqm == bootstrap_interval(scores)
    assert summary.median == median_interval(scores)
    assert summary.mean == mean_interval(scores)
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
    assert summary.mean == mean_interval([5, 5, 5, 7])
    assert summarize(scores, mask, mode="min").scores == (5, 9, 9, 7)
    assert summarize(scores, mask, worst=-1.0).scores == (5, -1, -1, 7)
    assert summarize([math.inf, 1.0, -math.inf, 2.0]).scores == (1, 1, 1, 2)
    assert summarize([1.0, 2.0, 3.0], [True, False, False]).diverged == 1


def test_scores_of_diverged_members_are_the_worst_of_the_others():
    table = [[1.0, math.nan], [math.inf, 4.0]]
    np.testing.assert_array_equal(with_worst(table), [[1, 1], [1, 4]])
    np.testing.assert_array_equal(with_worst(table, "min"), [[1, 4], [4, 4]])
    assert np.isnan(with_worst([math.nan, math.inf])).all()


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
    assert summarize([math.nan, math.inf], worst=-3.0).mean == Interval(-3, -3, -3, 2)


# Seeds.


def results(seed):
    table = np.random.default_rng(5).normal(size=(9, 2))
    return bootstrap_interval(table, seed=seed), summarize(table[:, 0], seed=seed)


def test_same_seed_same_result_whatever_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()
    first = results(seed=3)
    after = np.random.get_state()
    assert before[2:] == after[2:]  # pyright: ignore[reportArgumentType]
    assert np.array_equal(before[1], after[1])  # pyright: ignore[reportArgumentType]
    np.random.seed(2)
    assert results(seed=3) == first
    other = results(seed=4)
    assert other[0] != first[0]
    assert other[1] != first[1]


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
        (lambda: bootstrap_interval([1, 2], lambda s, axis: s.mean()), r"\(1,\), got \(\)"),
        (lambda: bootstrap_interval([1, 2], lambda s, axis: s), r"got \(1, 2\)"),
        (lambda: bootstrap_interval([1.0], resamples=0), "resamples must be at least 1, got 0"),
        (lambda: mean_interval([]), r"must be \(runs,\), not empty, got \(0,\)"),
        (lambda: mean_interval([[1.0]]), r"got \(1, 1\)"),
        (lambda: median_interval([1.0, math.nan]), "must not be NaN, got 1 of 2"),
        (lambda: median_interval([1.0, math.inf]), "must not be infinite, got 1 of 2"),
        (
            lambda: median_interval([1.0], confidence=2.0),
            "like 0.95, got 2",
        ),
        (
            lambda: mean_interval([1.0], confidence=0.0),
            "like 0.95, got 0",
        ),
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
        (lambda: summarize([1.0], mode="more"), "mode must be 'max' or 'min', got 'more'"),  # pyright: ignore[reportArgumentType]
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
