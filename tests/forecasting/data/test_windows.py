"""Windows: where they begin, what is left out, and how they are centered."""

import warnings

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.forecasting import Linear, Panel
from populace.forecasting.data.windows import centered, enough, windows
from populace.forecasting.learner import SeriesData


def test_every_run_without_a_gap_is_a_window():
    panel = Panel.of([[0.0, 1, 2, np.nan, 4, 5, 6], [7.0, 8], [10.0, 11, 12, 13]])
    found = windows(panel, 3)
    assert found.take(slice(None)).tolist() == [[0, 1, 2], [4, 5, 6], [10, 11, 12], [11, 12, 13]]
    assert found.series.tolist() == [0, 0, 2, 2]
    assert [len(found.take(part)) for part in found.parts(3)] == [3, 1]


def test_centering_uses_the_history_alone():
    history = np.array([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]])
    for center, level in (("last", [6, 5]), ("mean", [3, 5]), ("none", [0, 0])):
        inputs, found, scale = centered(history, center)
        assert found[:, 0].tolist() == level
        assert np.allclose(inputs * scale + found, history)
    scale = centered(history, "mean", "deviation")[2]
    assert np.allclose(scale[:, 0], [np.std([1, 2, 6]), 1])
    assert np.allclose(centered(history, "mean", "difference")[2][:, 0], [2.5, 1])
    assert np.allclose(centered(history, "mean", "difference", 2)[2][:, 0], [5, 1])
    assert np.allclose(centered(history, "mean", "difference", 7)[2][:, 0], [2.5, 1])


def test_too_little_history_is_refused_with_the_longest_series():
    panel = Panel.of([[1.0, 2.0], [1.0, 2.0, 3.0]])
    with pytest.raises(UsageError, match=r"need 5 observations, and the longest series, 1, has 3"):
        enough(panel, 3, 2)
    with pytest.raises(UsageError, match="the window must be a whole number"):
        enough(panel, 0, 2)


def test_series_too_short_to_learn_from_are_named():
    series = [np.arange(30.0), np.arange(6.0), np.arange(7.0)]
    with pytest.warns(UserWarning, match=r"1 of 3 series are not learned from, .* 7 .*: 1 \(6\); the others"):
        Linear(window=5, horizon=2).fit(series)
    with pytest.warns(UserWarning, match=r"1 of 3 series .*: 1 \(6\); the others"):
        SeriesData.of(Panel.of(series), 5, 2)
    with warnings.catch_warnings(action="error"):
        Linear(window=4, horizon=2).fit(series)
