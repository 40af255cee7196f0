"""Cross-entropy of a linear layer, a few rows at a time: values and gradients by NumPy, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from populace.nn.primitives import softmax_loss as module
from populace.nn.primitives.softmax_loss import softmax_loss


@pytest.mark.parametrize(("at_once", "biased"), [(2**20, False), (1, True)], ids=["whole", "in pieces"])
def test_loss_and_gradients_are_those_of_the_formula(monkeypatch, at_once: int, biased: bool):
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    n, d, classes = 150, 4, 7  # 64, 64 and 22 rows
    h, weight, bias = rng.normal(size=(n, d)), 3 * rng.normal(size=(classes, d)), rng.normal(size=classes)
    targets, counts = rng.integers(0, classes, n), rng.integers(0, 3, n).astype(float)
    bias = bias if biased else 0 * bias
    logits = h @ weight.T + bias
    expected = -(log_softmax(logits, 1)[np.arange(n), targets] * counts).sum()
    slope = (softmax(logits, 1) - np.eye(classes)[targets]) * counts[:, None]

    def loss(h, weight, bias):
        return 2 * softmax_loss(
            h, weight, bias if biased else None, jnp.asarray(targets), jnp.asarray(counts)
        )

    value, found = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*(np.float32(x) for x in (h, weight, bias)))
    assert float(value) == pytest.approx(2 * expected, rel=1e-5)
    for one, other in zip(found, (slope @ weight, slope.T @ h, slope.sum(0) * biased)):
        np.testing.assert_allclose(one, 2 * other, rtol=1e-4, atol=1e-4)


def test_large_logits_overflow_nothing():
    found = softmax_loss(jnp.full((1, 1), 1e4), jnp.array([[1.0], [-1.0]]), None, jnp.array([1]), jnp.ones(1))
    assert float(found) == pytest.approx(2e4)
