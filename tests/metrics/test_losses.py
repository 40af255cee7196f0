"""Losses against their formulas and scikit-learn's."""

import jax
import numpy as np
import pytest
from sklearn import metrics as theirs

from populace.core.errors import UsageError
from populace.metrics import losses as ours

RNG = np.random.default_rng(0)
LOGITS = (RNG.normal(size=(200, 5)) * 2).astype(np.float32)
LABELS = RNG.integers(0, 5, size=200)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    q = (1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5
    found = np.asarray(jax.jit(ours.cross_entropy)(LOGITS, LABELS, smoothing))
    np.testing.assert_allclose(found, -(q * np.log(p)).sum(1), rtol=1e-5)
    if not smoothing:
        assert found.mean() == pytest.approx(theirs.log_loss(LABELS, p), rel=1e-5)


def test_a_class_that_is_ruled_out_costs_nothing_but_where_it_is_the_label():
    logits, labels = np.float32([[0, 1, -np.inf], [0, 1, -np.inf]]), np.array([0, 2])
    of = jax.jit(jax.value_and_grad(lambda x, smoothing: ours.cross_entropy(x, labels, smoothing)[0]))
    value, gradient = of(logits, np.float32(0))
    assert float(value) == pytest.approx(1.3132617)  # log(1 + e)
    p = 1 / (1 + np.e)
    np.testing.assert_allclose(gradient, [[p - 1, 1 - p, 0], [0, 0, 0]], atol=1e-6)
    assert np.isposinf(ours.cross_entropy(logits[1:], labels[1:])).all()


def test_half_precision_is_added_up_in_float32():
    logits = np.zeros((1, 5000), np.float16)
    found = ours.cross_entropy(logits, np.array([3]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.log(5000), rtol=1e-6)


def test_losses_of_numbers():
    f, y = np.array([[0.5, 3.0], [-2.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    found = jax.jit(lambda f, y: {name: loss(f, y) for name, loss in ours.REGRESSION.items()})(f, y)
    np.testing.assert_allclose(found["mse"], [[0.25, 9], [9, 0]])
    np.testing.assert_allclose(found["mae"], [[0.5, 3], [3, 0]])
    np.testing.assert_allclose(found["huber"], [[0.125, 2.5], [2.5, 0]])


def test_the_loss_of_an_example_is_the_mean_over_its_outputs():
    outputs, each = np.zeros((3, 2)), np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(ours.per_example(each, outputs), [0.5, 2.5, 4.5])
    np.testing.assert_allclose(ours.per_example(each[:, 0], outputs), each[:, 0])


@pytest.mark.parametrize("measure", [ours.per_example, ours.per_output])
def test_a_loss_of_another_shape_is_refused(measure):
    with pytest.raises(UsageError, match=r"loss_fn returned an array of shape \(\), expected"):
        measure(np.float32(1), np.zeros((3, 2)))
