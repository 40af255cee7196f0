"""Schedules of epsilon against their formulas."""

import jax.numpy as jnp
import numpy as np
import pytest

from populace.errors import UsageError
from populace.rl import ExponentialDecay, LinearDecay


def test_linear_decay():
    schedule = LinearDecay(start=0.9, end=0.1, duration=100.0)
    frames = jnp.array([0, 25, 100, 10_000])
    np.testing.assert_allclose(schedule.epsilon(frames, frames * 0), [0.9, 0.7, 0.1, 0.1], rtol=1e-6)


@pytest.mark.parametrize("per", ["episode", "frame"])
def test_exponential_decay(per):
    schedule = ExponentialDecay(start=0.8, end=0.05, decay=0.5, per=per)
    count, other = jnp.array([0, 1, 3, 50]), jnp.array([7, 7, 7, 7])
    pair = (other, count) if per == "episode" else (count, other)
    np.testing.assert_allclose(schedule.epsilon(*pair), [0.8, 0.4, 0.1, 0.05], rtol=1e-6)


@pytest.mark.parametrize("bad", [{"start": -0.1}, {"end": 1.1}, {"decay": 0.0}, {"per": "year"}])
def test_bounds_are_checked(bad):
    with pytest.raises(UsageError, match=next(iter(bad))):
        ExponentialDecay(**bad)
