"""Random keys whose numbers are JAX's own, from a generator that compiles quickly on CPU.

XLA's CPU backend builds threefry as a loop over its rounds, and a program with fifty random draws
holds fifty such loops: most of the time a small program takes to compile, and a good part of each
step. Here the twenty rounds are written out, so that a draw fuses with what is computed from it.
Every bit is what JAX draws by default (`jax_threefry_partitionable`): the tests compare the two.

Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3" (Threefry-2x32, 20 rounds).
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_STANDARD = "threefry2x32"


def root_key(seed: int) -> jax.Array:
    """Return the key of a seed: the bits of `jax.random.key(seed)`."""
    standard = jax.random.key(seed, impl=_STANDARD)
    if jax.default_backend() != "cpu":
        return standard
    return jax.random.wrap_key_data(jax.random.key_data(standard), impl=_UNROLLED)


@jax.jit
def _threefry(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Encrypt the counters (high, low) of any one shape with the two words of a key."""
    words = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    x, y = high + words[0], low + words[1]
    for block in range(5):
        for r in _ROTATIONS[block % 2]:
            x = x + y
            y = ((y << jnp.uint32(r)) | (y >> jnp.uint32(32 - r))) ^ x
        x = x + words[(block + 1) % 3]
        y = y + words[(block + 2) % 3] + jnp.uint32(block + 1)
    return x, y


def _count(key: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Encrypt 0, 1, 2, ... in that shape; below 2**32 numbers the high word of a counter is 0."""
    low = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    return _threefry(key, jnp.zeros_like(low), low)


def _seed(seed: jax.Array) -> jax.Array:
    return jax.random.key_data(jax.random.key(seed, impl=_STANDARD))


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if math.prod(shape) >= 2**32:
        split = jax.random.split(jax.random.wrap_key_data(key, impl=_STANDARD), shape)
        return jax.random.key_data(split)
    return jnp.stack(_count(key, shape), axis=-1)


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    if bit_width != 32 or math.prod(shape) >= 2**32:
        dtype = jnp.dtype(f"uint{bit_width}")
        return jax.random.bits(jax.random.wrap_key_data(key, impl=_STANDARD), shape, dtype)
    x, y = _count(key, shape)
    return x ^ y


def _fold_in(key: jax.Array, data: int | jax.Array) -> jax.Array:
    low = jnp.uint32(data)
    return jnp.stack(_threefry(key, jnp.zeros_like(low), low))


_UNROLLED = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32_unrolled",
    tag="unrolled",
)
