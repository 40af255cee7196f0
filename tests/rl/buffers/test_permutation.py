"""The shuffle that does not sort: a permutation, and an even one."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from populace.rl.buffers.permutation import shuffled

jitted = jax.jit(shuffled, static_argnums=1)


@given(st.integers(0, 2**31 - 1), st.sampled_from([1, 2, 3, 7, 64, 100, 1024]))
def test_it_is_a_permutation(seed, n):
    order = np.asarray(jitted(jax.random.key(seed), n))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


@pytest.mark.parametrize("n", [4, 6, 32])
def test_every_entry_comes_to_every_place_equally_often(n):
    draws = 6000
    orders = jax.vmap(lambda k: shuffled(k, n))(jax.random.split(jax.random.key(0), draws))
    table = np.stack([np.bincount(np.asarray(orders)[:, place], minlength=n) for place in range(n)])
    expected = draws / n
    # Rows and columns of a permutation sum to 1, which makes the statistic n / (n - 1) times chi-squared.
    statistic = (n - 1) / n * np.sum((table - expected) ** 2 / expected)
    assert stats.chi2.sf(statistic, (n - 1) ** 2) > 1e-3


def test_every_order_of_four_is_equally_likely():
    orders = np.asarray(jax.vmap(lambda k: shuffled(k, 4))(jax.random.split(jax.random.key(1), 12_000)))
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3
