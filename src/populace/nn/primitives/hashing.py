"""Random bits from a counter-based hash: fast, and identical on every device.

    bits(i) = mix(mix(i + seed_0) xor seed_1)

mix is a permutation of the 32-bit numbers, in which a change of one bit of i changes every bit of the result
with a probability close to one half. It is meant for dropout, where millions of bits are drawn per step and
threefry takes longer than the network. It is neither a generator for simulations nor cryptographically
secure.

Source of the mixing function: Ellis, C. 2018, "Prospecting for Hash Functions" (lowbias32).
"""

import jax
import jax.numpy as jnp


def seed_pair(key: jax.Array) -> jax.Array:
    """Return a seed for the hash, (2,) uint32, drawn by a PRNG key."""
    return jax.random.bits(key, (2,), jnp.uint32)


def uniform_bits(seeds: jax.Array, count: int) -> jax.Array:
    """Return uniform bits (count,) uint32 for the counters 0 to count - 1.

    Args:
        seeds: (2,) uint32, from `seed_pair`.
        count: number of words, at most 2^32.

    """
    return _mix(_mix(jnp.arange(count, dtype=jnp.uint32) + seeds[0]) ^ seeds[1])


def kept(seeds: jax.Array, count: int, rate: jax.Array | float) -> jax.Array:
    """Return (count,) bools, false with probability `rate` (to 2^-24)."""
    draws = (uniform_bits(seeds, count) >> 8).astype(jnp.float32) * jnp.float32(2**-24)
    return draws >= jnp.asarray(rate).astype(jnp.float32)


def _mix(x: jax.Array) -> jax.Array:
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
