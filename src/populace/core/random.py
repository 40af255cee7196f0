"""Random keys whose numbers are JAX's own, from a generator that compiles and runs quickly on CPU.

XLA's CPU backend builds threefry as a loop over its rounds, and a program with fifty random draws
holds fifty such loops: most of the time a small program takes to compile, and a good part of each
step. Here a draw is one call of a compiled kernel (`native/threefry.h`). Without the kernels the twenty
rounds are written out: as quick to run, and slower to compile by a third.
Every bit is what JAX draws by default (`jax_threefry_partitionable`): the tests compare the two.

Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3" (Threefry-2x32, 20 rounds).
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

from populace.core import native

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_STANDARD = "threefry2x32"


def root_key(seed: int) -> jax.Array:
    """Return the key of a seed: the bits of `jax.random.key(seed)`."""
    standard = jax.random.key(seed, impl=_STANDARD)
    if jax.default_backend() != "cpu":
        return standard
    return jax.random.wrap_key_data(jax.random.key_data(standard), impl=_QUICK)


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


def _encrypted(key: jax.Array, shape: tuple[int, ...], *, both: bool) -> jax.Array:
    """Encrypt 0, 1, 2, ... in that shape; return both words of each, or their exclusive or.

    Below 2**32 numbers the high word of a counter is 0.
    """
    if not native.missing():
        result = jax.ShapeDtypeStruct((*shape, 2) if both else shape, jnp.uint32)
        return jax.ffi.ffi_call("populace_count", result, vmap_method="broadcast_all")(key, both=both)
    low = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    x, y = _threefry(key, jnp.zeros_like(low), low)
    return jnp.stack((x, y), axis=-1) if both else x ^ y


def _seed(seed: jax.Array) -> jax.Array:
    return jax.random.key_data(jax.random.key(seed, impl=_STANDARD))


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if math.prod(shape) >= 2**32:
        split = jax.random.split(jax.random.wrap_key_data(key, impl=_STANDARD), shape)
        return jax.random.key_data(split)
    return _encrypted(key, shape, both=True)


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    if bit_width != 32 or math.prod(shape) >= 2**32:
        dtype = jnp.dtype(f"uint{bit_width}")
        return jax.random.bits(jax.random.wrap_key_data(key, impl=_STANDARD), shape, dtype)
    return _encrypted(key, shape, both=False)


def _fold_in(key: jax.Array, data: int | jax.Array) -> jax.Array:
    low = jnp.uint32(data)
    if not native.missing():
        result = jax.ShapeDtypeStruct((2,), jnp.uint32)
        return jax.ffi.ffi_call("populace_fold_in", result, vmap_method="broadcast_all")(key, low)
    return jnp.stack(_threefry(key, jnp.zeros_like(low), low))


_QUICK = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32_quick",
    tag="quick",
)
