"""Rankings inside a program, against scikit-learn's: ties, gaps, columns without a yes or a no, many rows."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from populace.metrics.ranking import average_precision, roc_auc

PAIRS = [(roc_auc, roc_auc_score), (average_precision, average_precision_score)]


def expected(of, scores, truth, known):
    """Return scikit-learn's value of each column, NaN where it has none."""
    found = []
    for k in range(truth.shape[1]):
        rows = known[:, k]
        both = len(np.unique(truth[rows, k])) == 2
        found.append(of(truth[rows, k], scores[rows, k]) if both else np.nan)
    return np.array(found)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 40), levels=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_columns_with_ties_and_gaps(ours, theirs, seed, rows, levels):
    draws = np.random.default_rng(seed)
    rows = 8 * -(-rows // 8)  # few shapes, few compilations
    scores = draws.integers(0, levels, (rows, 5)).astype(np.float32) - 2
    truth = (draws.random((rows, 5)) < draws.random(5)).astype(np.float32)
    known = draws.random((rows, 5)) < draws.choice([0.1, 0.6, 1.0])
    given_truth = np.where(known, truth, np.nan)
    values, defined = jax.jit(ours)(scores, given_truth, known)
    wanted = expected(theirs, scores, truth, known)
    np.testing.assert_array_equal(defined, np.isfinite(wanted))
    np.testing.assert_allclose(np.where(defined, values, np.nan), wanted, atol=2e-6)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_many_rows_are_counted_exactly(ours, theirs):
    draws = np.random.default_rng(1)
    truth = (draws.random((200_000, 1)) < 0.03).astype(np.float32)
    scores = (draws.normal(size=truth.shape) + truth).astype(np.float32)
    values, _ = jax.jit(ours)(scores, truth, np.ones(truth.shape, bool))
    np.testing.assert_allclose(values[0], theirs(truth[:, 0], scores[:, 0]), rtol=3e-6)


@pytest.mark.parametrize("ours", [roc_auc, average_precision])
def test_members_are_ranked_each_for_itself(ours):
    draws = np.random.default_rng(2)
    scores = draws.normal(size=(3, 30, 2)).astype(np.float32)
    truth, known = draws.random((30, 2)) < 0.4, np.ones((30, 2), bool)
    one = lambda s: ours(s, truth, known)[0]  # noqa: E731
    together, alone = jax.jit(lambda scores: (jax.vmap(one)(scores), [one(s) for s in scores]))(scores)
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-6)


def test_a_score_of_nan_has_no_rank():
    scores = np.full((6, 3), np.nan, np.float32)
    scores[:, 1:] = np.arange(6)[:, None]
    scores[5, 2] = np.nan  # which does not count
    truth, known = (np.arange(6) >= 3)[:, None] & np.ones(3, bool), np.ones((6, 3), bool)
    known[5, 2] = False
    found = jax.jit(lambda *given: (roc_auc(*given)[0], average_precision(*given)[0]))(scores, truth, known)
    np.testing.assert_array_equal(found, [[np.nan, 1, 1]] * 2)
