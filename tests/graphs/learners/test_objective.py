"""Objectives against NumPy: losses with gaps, scales, scores, and what cannot be judged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from populace.core.errors import UsageError
from populace.graphs.learners.objective import Classes, Labels, Numbers, check_yes_or_no

NAN = np.nan
DRAWS = np.random.default_rng(0)
OUTPUTS = DRAWS.normal(size=(6, 3)).astype(np.float32) * 3
WEIGHT = jnp.array([1, 1, 0, 1, 1, 0], jnp.float32)
COUNTED = np.asarray(WEIGHT) > 0
YES = np.array([[1, 0, NAN], [0, 1, NAN], [1, 1, 1], [1, NAN, NAN], [0, 0, 0], [0, 0, 0]], np.float32)
FIGURES = np.array([[3, 10, 1], [5, NAN, 1], [99, 99, 99], [1, 30, 1], [3, 20, NAN], [7, 7, 7]], np.float32)


def test_classes():
    y = jnp.array([2, 0, -1, 1, 1, -1])
    logits = OUTPUTS[COUNTED].astype(float)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    objective, right = Classes(3), np.array([2, 0, 1, 1])
    np.testing.assert_allclose(
        objective.loss(OUTPUTS, y, WEIGHT).value, -log_p[np.arange(4), right].mean(), rtol=1e-5
    )
    found = objective.judge(OUTPUTS, y, WEIGHT)
    assert float(found["accuracy"].value) == (logits.argmax(1) == right).mean()
    assert float(found["accuracy"].weight) == 4
    np.testing.assert_allclose(objective.finish(OUTPUTS)[COUNTED], np.exp(log_p), rtol=1e-5)


def test_labels_that_are_not_known_are_in_no_sum_and_in_no_gradient():
    objective = Labels(3)
    p = 1 / (1 + np.exp(-OUTPUTS.astype(float)))
    known = np.isfinite(YES) & COUNTED[:, None]
    each = -np.where(YES == 1, np.log(p), np.log(1 - p))
    loss, gradient = jax.value_and_grad(lambda f: objective.loss(f, YES, WEIGHT).value)(OUTPUTS)
    np.testing.assert_allclose(loss, each[known].mean(), rtol=1e-5)
    # d loss / d f = (p - y) / n
    np.testing.assert_allclose(
        gradient, np.where(known, (p - np.nan_to_num(YES)) / known.sum(), 0), atol=1e-6
    )
    np.testing.assert_allclose(objective.finish(OUTPUTS), p, rtol=1e-5)


def test_labels_are_judged_by_columns_with_a_yes_and_a_no():
    found = Labels(3).judge(OUTPUTS, YES, WEIGHT)
    for name, of in (("rocauc", roc_auc_score), ("ap", average_precision_score)):
        columns = []
        for k in (0, 1):  # nothing that counts is known of column 2
            rows = np.isfinite(YES[:, k]) & COUNTED
            columns.append(of(YES[rows, k], OUTPUTS[rows, k]))
        assert float(found[name].weight) == 2
        np.testing.assert_allclose(found[name].value, np.mean(columns), rtol=1e-5)


def test_numbers_are_standardised_by_what_counts_and_judged_in_their_units():
    objective = Numbers.of(FIGURES, WEIGHT)
    known = np.isfinite(FIGURES) & COUNTED[:, None]
    mean = [FIGURES[known[:, k], k].mean() for k in range(3)]
    deviation = [FIGURES[known[:, k], k].std() for k in range(2)] + [1.0]  # a constant keeps its units
    np.testing.assert_allclose(objective.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(objective.deviation, deviation, rtol=1e-6)
    said = OUTPUTS * np.array(deviation) + np.array(mean)
    error = np.where(known, said - FIGURES, 0)
    np.testing.assert_allclose(objective.finish(OUTPUTS), said, rtol=1e-6)
    loss, gradient = jax.value_and_grad(lambda f: objective.loss(f, FIGURES, WEIGHT).value)(OUTPUTS)
    np.testing.assert_allclose(loss, ((error / deviation) ** 2).sum() / known.sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * error / deviation / known.sum(), rtol=1e-4, atol=1e-6)
    found = objective.judge(OUTPUTS, FIGURES, WEIGHT)
    count = known.sum(0)
    np.testing.assert_allclose(found["rmse"].value, np.sqrt((error**2).sum(0) / count).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["mae"].value, (np.abs(error).sum(0) / count).mean(), rtol=1e-5)


def test_what_cannot_be_judged_is_named():
    with pytest.raises(UsageError, match="set has no labels of yes or no; give it floats"):
        check_yes_or_no(np.array([0, 1]), "set", "graph")
    with pytest.raises(UsageError, match=r"label 1 of graph 1 of set is 0\.5; expected 0, 1 or NaN"):
        check_yes_or_no(np.array([[0, 1], [NAN, 0.5]]), "set", "graph")
    Labels.check(YES, "all")
    with pytest.raises(UsageError, match="fold 1 has no property with a yes and a no"):
        Labels.check(np.array([[1, NAN], [1, 0]]), "fold 1")
