"""The shuffle that does not sort: a permutation, and an even one."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from populace.rl.buffers.permutation import permutation


@functools.partial(jax.jit, static_argnums=1)
def order(seed, n):
    return permutation(jax.random.key(seed), n)


@functools.cache
def orders(n):
    """Return 12,000 shuffles of n."""
    draw = jax.vmap(functools.partial(permutation, n=n))
    return np.asarray(jax.jit(lambda seed: draw(jax.random.split(jax.random.key(seed), 12_000)))(0))


# One, two, an odd number, and one that is gone through in a real rollout.
@given(st.integers(0, 2**31 - 1), st.sampled_from([1, 2, 7, 1024]))
def test_it_is_a_permutation(seed, n):
    np.testing.assert_array_equal(np.sort(order(seed, n)), np.arange(n))


@pytest.mark.parametrize("n", [4, 6, 32])
def test_every_entry_takes_every_position_equally_often(n):
    table = np.stack([np.bincount(orders(n)[:, place], minlength=n) for place in range(n)])
    expected = len(orders(n)) / n
    # Rows and columns of a permutation sum to 1, which makes the statistic n / (n - 1) times chi-squared.
    statistic = (n - 1) / n * np.sum((table - expected) ** 2 / expected)
    assert stats.chi2.sf(statistic, (n - 1) ** 2) > 1e-3


def test_every_order_of_four_is_equally_likely():
    counts = np.unique(orders(4) @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3
