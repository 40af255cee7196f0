"""Objectives against NumPy: losses with gaps, scales, scores, and what cannot be judged."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from populace.core.errors import UsageError
from populace.graphs.learners.objective import Classes, MultiLabel, Regression, check_yes_or_no

NAN = np.nan
DRAWS = np.random.default_rng(0)
OUTPUTS = DRAWS.normal(size=(6, 3)).astype(np.float32) * 3
WEIGHT = np.array([1, 1, 0, 1, 1, 0], np.float32)
COUNTED = WEIGHT > 0
YES = np.array([[1, 0, NAN], [0, 1, NAN], [1, 1, 1], [1, NAN, NAN], [0, 0, 0], [0, 0, 0]], np.float32)
FIGURES = np.array([[3, 10, 1], [5, NAN, 1], [99, 99, 99], [1, 30, 1], [3, 20, NAN], [7, 7, 7]], np.float32)


@eqx.filter_jit
def computed(objective, y):
    """Return what an objective makes of the outputs, and the gradient of its loss, by one program."""
    loss, gradient = jax.value_and_grad(lambda f: objective.loss(f, y, WEIGHT).value)(jnp.asarray(OUTPUTS))
    found = objective.evaluate(OUTPUTS, y, WEIGHT)
    values = {name: (mean.value, mean.weight) for name, mean in found.items()}
    return loss, gradient, values, objective.finish(OUTPUTS)


def test_classes():
    y = np.array([2, 0, -1, 1, 1, -1], np.int32)
    logits = OUTPUTS[COUNTED].astype(float)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    right = np.array([2, 0, 1, 1])
    loss, _, found, finished = jax.device_get(computed(Classes(3), y))
    np.testing.assert_allclose(loss, -log_p[np.arange(4), right].mean(), rtol=1e-5)
    accuracy, weight = found["accuracy"]
    assert accuracy == (logits.argmax(1) == right).mean()
    assert weight == 4
    np.testing.assert_allclose(finished[COUNTED], np.exp(log_p), rtol=1e-5)


def test_labels_that_are_not_known_are_in_no_sum_and_in_no_gradient():
    p = 1 / (1 + np.exp(-OUTPUTS.astype(float)))
    known = np.isfinite(YES) & COUNTED[:, None]
    each = -np.where(YES == 1, np.log(p), np.log(1 - p))
    loss, gradient, _, finished = jax.device_get(computed(MultiLabel(3), YES))
    np.testing.assert_allclose(loss, each[known].mean(), rtol=1e-5)
    # d loss / d f = (p - y) / n
    np.testing.assert_allclose(
        gradient, np.where(known, (p - np.nan_to_num(YES)) / known.sum(), 0), atol=1e-6
    )
    np.testing.assert_allclose(finished, p, rtol=1e-5)


def test_labels_are_judged_by_columns_with_a_yes_and_a_no():
    _, _, found, _ = jax.device_get(computed(MultiLabel(3), YES))
    for name, of in (("roc_auc", roc_auc_score), ("ap", average_precision_score)):
        columns = []
        for k in (0, 1):  # nothing that counts is known of column 2
            rows = np.isfinite(YES[:, k]) & COUNTED
            columns.append(of(YES[rows, k], OUTPUTS[rows, k]))
        value, weight = found[name]
        assert weight == 2
        np.testing.assert_allclose(value, np.mean(columns), rtol=1e-5)


def test_numbers_are_standardized_by_what_counts_and_judged_in_their_units():
    objective = jax.device_get(eqx.filter_jit(Regression.of)(FIGURES, WEIGHT))
    known = np.isfinite(FIGURES) & COUNTED[:, None]
    mean = [FIGURES[known[:, k], k].mean() for k in range(3)]
    deviation = [FIGURES[known[:, k], k].std() for k in range(2)] + [1.0]  # a constant keeps its units
    np.testing.assert_allclose(objective.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(objective.deviation, deviation, rtol=1e-6)
    said = OUTPUTS * np.array(deviation) + np.array(mean)
    error = np.where(known, said - FIGURES, 0)
    loss, gradient, found, finished = jax.device_get(computed(objective, FIGURES))
    np.testing.assert_allclose(finished, said, rtol=1e-6)
    np.testing.assert_allclose(loss, ((error / deviation) ** 2).sum() / known.sum(), rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * error / deviation / known.sum(), rtol=1e-4, atol=1e-6)
    count = known.sum(0)
    np.testing.assert_allclose(found["rmse"][0], np.sqrt((error**2).sum(0) / count).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["mae"][0], (np.abs(error).sum(0) / count).mean(), rtol=1e-5)


def test_what_cannot_be_judged_is_named():
    with pytest.raises(UsageError, match="set has no labels of yes or no; give it floats"):
        check_yes_or_no(np.array([0, 1]), "set", "graph")
    with pytest.raises(UsageError, match=r"label 1 of graph 1 of set is 0\.5; expected 0, 1 or NaN"):
        check_yes_or_no(np.array([[0, 1], [NAN, 0.5]]), "set", "graph")
    MultiLabel.check(YES, "all")
    with pytest.raises(UsageError, match="fold 1 has no property with a yes and a no"):
        MultiLabel.check(np.array([[1, NAN], [1, 0]]), "fold 1")


def test_targets_that_are_all_equal_have_no_scale():
    y = np.full((7, 2), 97.3, np.float32)  # whose mean in float32 is another number
    y[0] = NAN
    mean, deviation = jax.jit(lambda y, weight: Regression.of(y, weight)[:2])(y, np.ones(7, np.float32))
    np.testing.assert_array_equal(mean, y[1])
    np.testing.assert_array_equal(deviation, 1)


def test_a_node_that_does_not_count_may_have_an_infinite_loss():
    outputs = np.float32([[0, 1], [-np.inf, 0]])
    given = outputs, np.array([0, -1], np.int32), np.float32([1, 0])
    loss, gradient = jax.jit(jax.value_and_grad(lambda *given: Classes(2).loss(*given).value))(*given)
    np.testing.assert_allclose(loss, np.log(1 + np.e), rtol=1e-6)
    assert np.isfinite(gradient).all()
