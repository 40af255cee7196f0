"""Random permutations without sorting, at the cost of a few integer operations per entry and round.

`jax.random.permutation` sorts random numbers, which is slow on CPU for a population: XLA sorts one member
after another by comparison. The swap-or-not shuffle (Hoang, Morris & Rogaway 2012, "An Enciphering Scheme
Based on a Card Shuffle") pairs every x with `(k - x) mod n` in each round, and a hash of the pair decides
whether the two are swapped. Each round is its own inverse, so all rounds together are a permutation, whatever
the hash.
"""

import jax
import jax.numpy as jnp

_ROUNDS = 24


def permutation(key: jax.Array, n: int) -> jax.Array:
    """Return a permutation of 0 .. n - 1, (n,) int32, nearly uniform over all permutations, in O(n)."""
    rounds = jax.random.bits(key, (_ROUNDS, 2), jnp.uint32)
    size = jnp.uint32(n)

    def swap(r: jax.Array, x: jax.Array) -> jax.Array:
        k, salt = rounds[r, 0] % size, rounds[r, 1]
        other = k + size - x
        other = jnp.where(other >= size, other - size, other)
        return jnp.where(_mixed(jnp.maximum(x, other) ^ salt) >> 31 == 1, other, x)

    # A loop, because 24 copies of its body would add a fifth to PPO's compile time.
    x = jax.lax.fori_loop(0, _ROUNDS, swap, jnp.arange(n, dtype=jnp.uint32))
    return x.astype(jnp.int32)


def _mixed(x: jax.Array) -> jax.Array:
    """Hash 32-bit integers by multiplications and xor-shifts (constants found by C. Wellons)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
