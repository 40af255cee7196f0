"""Schedules against their formulas."""

import jax
import numpy as np

from populace.optim.schedules import Constant, Cosine, Exponential, Linear, Staircase


def test_factors_are_those_of_the_formulas():
    cases = [
        (Constant(), [1, 1, 1, 1]),
        (Linear(steps=20), [1, 0.5, 0, 0]),
        (Linear(steps=40, end=0.2), [1, 0.8, 0.6, 0.4]),
        (Cosine(steps=20, end=0.1), [1, 0.55, 0.1, 0.1]),
        (Cosine(steps=20, warmup=10), [0.1, 1, 0, 0]),
        (Exponential(decay=0.25, every=20), [1, 0.5, 0.25, 0.25**1.5]),
        (Staircase(decay=0.5, every=20), [1, 1, 0.5, 0.5]),
    ]
    every = jax.jit(jax.vmap(lambda t: [schedule.factor(t) for schedule, _ in cases]))
    for found, (schedule, expected) in zip(every(np.array([0, 10, 20, 30], np.int32)), cases):
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=str(schedule))
