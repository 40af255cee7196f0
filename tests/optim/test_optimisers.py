"""Every optimiser's rule, and the shortening of gradients, against their formulas in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from populace.optim.optimisers import SGD, AdaGrad, Momentum, Optimiser, RMSProp, descend

W = np.random.default_rng(0).normal(size=(3, 2))
GRADIENTS = np.random.default_rng(1).normal(size=(4, 3, 2))


def descended(rule: Optimiser, max_gradient_norm: float = 0.0) -> np.ndarray:
    """Return the weights after a step of 0.1 down each gradient."""
    found = jnp.asarray(W, jnp.float32)
    memory = rule.rule().init(found)
    for g in jnp.asarray(GRADIENTS, jnp.float32):
        found, memory = descend(
            found, g, memory, optimizer=rule, rate=0.1, weight_decay=0.0, max_gradient_norm=max_gradient_norm
        )
    return np.asarray(found)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum(nesterov):
    w, v = W, np.zeros_like(W)
    for g in GRADIENTS:
        v = 0.8 * v + g
        w = w - 0.1 * (0.8 * v + g if nesterov else v)
    np.testing.assert_allclose(descended(Momentum(decay=0.8, nesterov=nesterov)), w, atol=1e-5)


def test_adagrad():
    w, s = W, np.full_like(W, 0.3)
    for g in GRADIENTS:
        s = s + g**2
        w = w - 0.1 * g / np.sqrt(s + 1e-3)
    np.testing.assert_allclose(descended(AdaGrad(start=0.3, eps=1e-3)), w, atol=1e-5)


def test_rmsprop():
    w, s = W, np.zeros_like(W)
    for g in GRADIENTS:
        s = 0.7 * s + 0.3 * g**2
        w = w - 0.1 * g / np.sqrt(s + 1e-2)
    np.testing.assert_allclose(descended(RMSProp(decay=0.7, eps=1e-2)), w, atol=1e-5)


def test_only_gradients_beyond_the_norm_are_shortened():
    lengths = np.sqrt((GRADIENTS**2).sum((1, 2)))
    max_gradient_norm = float(np.median(lengths))
    assert lengths.min() < max_gradient_norm < lengths.max()
    shorter = np.minimum(1, max_gradient_norm / lengths)[:, None, None] * GRADIENTS
    np.testing.assert_allclose(descended(SGD(), max_gradient_norm), W - 0.1 * shorter.sum(0), atol=1e-5)
    np.testing.assert_allclose(descended(SGD()), W - 0.1 * GRADIENTS.sum(0), atol=1e-5)
