"""Predictions over members: means and intervals by their formulas, ranges of few, and what has no mean."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.population import Member
from populace.runs.outcome.member_predictions import member_predictions
from populace.runs.trained_member import Trained


class Told(Learner):
    """Says what its model holds."""

    def init(self, key: Any) -> Any:
        return key

    def step(self, state: Any, key: Any) -> Any:
        return state, {}

    def evaluate(self, state: Any, key: Any) -> Any:
        return {}

    def predict(self, model: Any, x: Any = None, /) -> Any:
        return model[x]


class Likely(Told):
    def predict_proba(self, model: Any, x: Any = None, /) -> Any:
        return model[x]


class Acting(Told):
    def policy(self, model: Any) -> Any:
        return model


def members(learner: Learner, values: np.ndarray) -> list[Trained]:
    return [Trained(Member(i, 0, i), {}, learner, value) for i, value in enumerate(values)]


def test_the_mean_and_its_interval_are_students() -> None:
    values = np.random.default_rng(0).normal(size=(6, 5, 2))
    found = member_predictions(members(Told(), values), slice(1, 4))
    each = values[:, 1:4]
    np.testing.assert_array_equal(found.each, each)
    low, high = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    for got, wanted in ((found.mean, each.mean(0)), (found.low, low), (found.high, high)):
        np.testing.assert_allclose(got, wanted)
    assert found.range_of == 0


def test_bounds_of_probabilities_end_at_zero_and_one() -> None:
    values = np.float32([0.99, 1, 0.2, 1, 1, 1])[:, None, None]
    found = member_predictions(members(Likely(), values), slice(None))
    assert found.high.tolist() == [[1.0]]
    assert 0 < found.low[0, 0] < found.mean[0, 0] < 1
    assert member_predictions(members(Told(), values), slice(None)).high > 1


def test_of_fewer_than_five_members_there_is_a_range() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5))
    found = member_predictions(members(Told(), values), slice(None))
    assert found.range_of == 4
    np.testing.assert_array_equal(found.low, values.min(0))
    np.testing.assert_array_equal(found.high, values.max(0))


def test_what_has_no_mean_is_refused() -> None:
    values = np.zeros((2, 3))
    with pytest.raises(UsageError, match="predictions of no members have no mean"):
        member_predictions([])
    with pytest.raises(UsageError, match="Acting acts, and actions of members have no mean"):
        member_predictions(members(Acting(), values), 0)
    one, other = members(Told(), values)
    with pytest.raises(UsageError, match="the predictions of member 1 are not finite; leave it out"):
        member_predictions([one, replace(other, model=np.full(3, np.nan))], slice(None))
    with pytest.raises(UsageError, match=r"arrays of shapes \(3,\) and \(4,\); give members of one task"):
        member_predictions([one, replace(other, model=np.zeros(4))], slice(None))
