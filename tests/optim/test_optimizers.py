"""Optimizers against their formulas in NumPy, and one of the user's own."""

from typing import Any, ClassVar

import jax
import numpy as np
import optax
import pytest

from populace.core.errors import UsageError
from populace.core.settings import setting, to_dict
from populace.optim.optimizers import SGD, AdaGrad, Adam, Momentum, Optimizer, RMSProp

W = np.random.default_rng(0).normal(size=(3, 2))
GRADIENTS = np.random.default_rng(1).normal(size=(4, 3, 2))


def descended(optimizer: Optimizer) -> np.ndarray:
    """Return the weights after a step of 0.1 down each gradient."""
    how = optimizer.transformation(0.1)

    @jax.jit
    def steps(w: Any, gradients: Any) -> Any:
        def step(carry: Any, g: Any) -> Any:
            w, state = carry
            updates, state = how.update(g, state, w)
            return (optax.apply_updates(w, updates), state), None

        return jax.lax.scan(step, (w, how.init(w)), gradients)[0][0]

    return np.asarray(steps(W.astype(np.float32), GRADIENTS.astype(np.float32)))


def test_sgd():
    np.testing.assert_allclose(descended(SGD()), W - 0.1 * GRADIENTS.sum(0), atol=1e-5)


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


def test_adam():
    w, m, v = W, np.zeros_like(W), np.zeros_like(W)
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        w = w - 0.1 * m / (1 - 0.8**t) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
    np.testing.assert_allclose(descended(Adam(b1=0.8, b2=0.9, eps=1e-3)), w, atol=1e-5)


class Sign(Optimizer):
    """An optimizer of the user's own: any of Optax's."""

    kind: ClassVar[str] = "sign"
    power: float = setting(1.0, above=0, help="power of the learning rate")

    def transformation(self, learning_rate: Any) -> optax.GradientTransformation:
        """Return Optax's, made of settings."""
        return optax.sign_sgd(learning_rate**self.power)


def test_one_of_your_own():
    expected = W - 0.01 * np.sign(GRADIENTS).sum(0)
    np.testing.assert_allclose(descended(Sign(power=2.0)), expected, atol=1e-5)
    assert to_dict(Sign()) == {"kind": f"{__name__}:Sign", "power": 1.0}


def test_a_recipe_has_to_be_able_to_name_it():
    class Nameless(Sign):
        kind: ClassVar[str] = ""

    with pytest.raises(UsageError, match=r"Nameless has no name for recipe\.toml"):
        Nameless()
