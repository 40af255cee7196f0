"""Activations against their formulas."""

import jax
import numpy as np
from scipy.special import erf, expit

from populace.nn.modules.activations import ACTIVATIONS

X = np.linspace(-3, 3, 13)
FORMULAS = {
    "relu": np.maximum(X, 0),
    "leaky_relu": np.where(X > 0, X, 0.01 * X),
    "elu": np.where(X > 0, X, np.expm1(X)),
    "gelu": X * (1 + erf(X / np.sqrt(2))) / 2,
    "silu": X * expit(X),
    "sigmoid": expit(X),
    "tanh": np.tanh(X),
    "arctan": np.arctan(X),
    "softplus": np.log1p(np.exp(X)),
    "none": X,
}


def test_every_activation_is_its_formula():
    found = jax.jit(lambda x: {name: f(x) for name, f in ACTIVATIONS.items()})(X.astype(np.float32))
    assert set(found) == set(FORMULAS)
    for name, expected in FORMULAS.items():
        # JAX's gelu is the approximation by tanh.
        np.testing.assert_allclose(found[name], expected, atol=2e-3 if name == "gelu" else 1e-6, err_msg=name)
