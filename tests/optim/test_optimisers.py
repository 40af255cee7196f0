"""Optimisers and schedules against their formulas in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from populace.optim.optimisers import (
    SGD,
    Adam,
    Constant,
    Cosine,
    Exponential,
    Staircase,
    descend,
)


def adam_by_hand(gradients, w, rate, decay, max_gradient_norm, b1=0.9, b2=0.999, eps=1e-8):
    m = v = np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        norm = np.linalg.norm(g)
        g = g * (max_gradient_norm / norm if max_gradient_norm and norm > max_gradient_norm else 1)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - rate * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * w)
    return w


def test_steps_of_adam_are_what_the_formula_says():
    rng = np.random.default_rng(0)
    w, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))

    @jax.jit
    def descended(w, gradients, max_gradient_norm):
        how = {"optimizer": Adam(), "rate": 0.1, "weight_decay": 0.2, "max_gradient_norm": max_gradient_norm}
        step = lambda carry, g: (descend(carry[0], g, carry[1], **how), None)  # noqa: E731
        return jax.lax.scan(step, (w, Adam().rule().init(w)), gradients)[0][0]

    for max_gradient_norm in (0.0, 0.5):
        found = descended(w.astype(np.float32), gradients.astype(np.float32), max_gradient_norm)
        expected = adam_by_hand(gradients, w, 0.1, 0.2, max_gradient_norm)
        np.testing.assert_allclose(found, expected, atol=1e-5, err_msg=f"clip {max_gradient_norm}")


def test_biases_do_not_decay():
    @jax.jit
    def moved(weights):
        still = jax.tree.map(jnp.zeros_like, weights)
        how = {"optimizer": SGD(), "rate": 0.1, "weight_decay": 1.0, "max_gradient_norm": 0.0}
        return descend(weights, still, SGD().rule().init(weights), **how)[0]

    matrix, bias = moved((np.ones((2, 2), np.float32), np.ones(2, np.float32)))
    np.testing.assert_allclose(matrix, 0.9)
    np.testing.assert_allclose(bias, 1.0)


def test_schedules():
    cases = [
        (Constant(), [1, 1, 1, 1]),
        (Cosine(steps=20, end=0.1), [1, 0.55, 0.1, 0.1]),
        (Cosine(steps=20, warmup=10), [0.1, 1, 0, 0]),
        (Exponential(decay=0.25, every=20), [1, 0.5, 0.25, 0.25**1.5]),
        (Staircase(decay=0.5, every=20), [1, 1, 0.5, 0.5]),
    ]
    every = jax.jit(jax.vmap(lambda t: [schedule.factor(t) for schedule, _ in cases]))
    for found, (schedule, expected) in zip(every(np.array([0, 10, 20, 30], np.int32)), cases):
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=str(schedule))
