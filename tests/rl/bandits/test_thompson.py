"""Beta numbers against SciPy's distribution."""

from typing import Any

import jax
import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from populace.rl.bandits.thompson import draw_beta


@jax.jit
def drawn_by_many(seed, a, b):
    """Draw 10,000 times for each entry of a and b; all tests share the program."""
    keys = jax.random.split(jax.random.key(seed), 10_000)
    return jax.vmap(draw_beta, (0, None, None))(keys, a, b)


def drawn(seed: int, a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return beta numbers, (10_000, 3) float64."""
    return np.asarray(drawn_by_many(seed, np.asarray(a, np.float32), np.asarray(b, np.float32)), np.float64)


@pytest.mark.parametrize(
    ("a", "b"), [(1.0, 1.0), (0.5, 0.5), (0.05, 0.2), (1.0, 7.0), (30.0, 2.0), (400.0, 9000.0)]
)
def test_beta_numbers_have_their_distribution(a, b):
    found = drawn(0, [a] * 3, [b] * 3)
    assert found.shape == (10_000, 3)
    # Near 1, beyond the resolution of float32, many numbers coincide: nothing is compared there.
    for column in found.T:
        at = np.quantile(column, np.linspace(0.02, 0.98, 25))
        at = at[(at > 1e-30) & (at < 1 - 1e-6)]
        expected = np.asarray(stats.beta.cdf(at, a, b))
        share = np.mean(column[:, None] <= at, axis=0)
        assert np.abs(share - expected).max() < 1.95 / np.sqrt(len(column))
    correlations: Any = np.corrcoef(found.T)
    assert abs(correlations[0, 1]) < 0.05


def test_many_shapes_at_once_keep_their_own():
    a, b = [1.0, 90.0, 0.3], [1.0, 10.0, 3.0]
    found = drawn(1, a, b)
    expected = stats.beta(np.asarray(a), np.asarray(b))
    error = expected.std() / np.sqrt(len(found))
    assert (np.abs(found.mean(0) - expected.mean()) < 4.5 * error).all()


def test_shapes_that_are_not_numbers_do_not_hang():
    found = drawn(0, [np.nan, 1.0, 1.0], [1.0, 1.0, 1.0])
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1:]).all()
