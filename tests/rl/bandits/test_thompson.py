"""Beta numbers against SciPy's distribution."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.rl.bandits.thompson import draw_beta


@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 1.0), (0.5, 0.5), (0.05, 0.2), (1.0, 7.0), (30.0, 2.0), (400.0, 9000.0)]
)
def test_beta_numbers_have_their_distribution(a, b):
    keys = jax.random.split(jax.random.key(0), 10_000)
    drawn = jax.vmap(draw_beta, (0, None, None))(keys, jnp.full(3, a), jnp.full(3, b))
    drawn = np.asarray(drawn, np.float64)
    assert drawn.shape == (10_000, 3)
    # Near 1, beyond the resolution of float32, many numbers coincide: nothing is compared there.
    for column in drawn.T:
        at = np.quantile(column, np.linspace(0.02, 0.98, 25))
        at = at[(at > 1e-30) & (at < 1 - 1e-6)]
        expected = np.asarray(stats.beta.cdf(at, a, b))
        found = np.mean(column[:, None] <= at, axis=0)
        assert np.abs(found - expected).max() < 1.95 / np.sqrt(len(column))
    correlations: Any = np.corrcoef(drawn.T)
    assert abs(correlations[0, 1]) < 0.05


def test_many_shapes_at_once_keep_their_own():
    a, b = jnp.array([1.0, 90.0, 0.3]), jnp.array([1.0, 10.0, 3.0])
    keys = jax.random.split(jax.random.key(1), 20_000)
    drawn = np.asarray(jax.vmap(draw_beta, (0, None, None))(keys, a, b))
    expected = stats.beta(np.asarray(a), np.asarray(b))
    error = expected.std() / np.sqrt(len(keys))
    assert (np.abs(drawn.mean(0) - expected.mean()) < 4.5 * error).all()


def test_shapes_that_are_not_numbers_do_not_hang():
    drawn = draw_beta(jax.random.key(0), jnp.array([jnp.nan, 1.0]), jnp.array([1.0, 1.0]))
    assert np.isnan(drawn[0])
    assert np.isfinite(drawn[1])
