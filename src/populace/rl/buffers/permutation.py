"""Shuffling without sorting: a permutation that costs a few whole-number operations per entry and round.

`jax.random.permutation` sorts random numbers, which on CPU is slow for a population: XLA sorts member after
member by comparisons. The swap-or-not shuffle (Hoang, Morris & Rogaway 2012, "An Enciphering Scheme Based on
a Card Shuffle") pairs every x with `(k - x) mod n` in each round, and swaps the two or not by a hash of the
pair. A round is its own inverse, so the rounds together are a permutation, whatever the hash.
"""

import jax
import jax.numpy as jnp

_ROUNDS = 24


def shuffled(key: jax.Array, n: int) -> jax.Array:
    """Return a permutation of 0 .. n - 1, drawn nearly evenly from all, O(n)."""
    rounds = jax.random.bits(key, (_ROUNDS, 2), jnp.uint32)
    size = jnp.uint32(n)

    def swap(r: jax.Array, x: jax.Array) -> jax.Array:
        k, salt = rounds[r, 0] % size, rounds[r, 1]
        other = k + size - x
        other = jnp.where(other >= size, other - size, other)
        return jnp.where(_mixed(jnp.maximum(x, other) ^ salt) >> 31 == 1, other, x)

    # a loop, not 24 copies of its body: those would take a fifth of the time that compiling PPO takes
    x = jax.lax.fori_loop(0, _ROUNDS, swap, jnp.arange(n, dtype=jnp.uint32))
    return x.astype(jnp.int32)


def _mixed(x: jax.Array) -> jax.Array:
    """Hash whole numbers of 32 bits: multiply, and shift down onto themselves (constants of C. Wellons)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
