"""Random bits from a counter: as uniform, and as unrelated, as dropout needs them."""

import jax
import jax.numpy as jnp
import numpy as np

from populace.nn.primitives.hashing import kept, seed_pair, uniform_bits


def test_bits_are_uniform() -> None:
    """Chi-square of bytes, every bit one half, neighbors and seeds unrelated; bounds are 5 sigma."""
    n = 1 << 16

    @jax.jit
    def run():
        one, other = (seed_pair(jax.random.key(k)) for k in (0, 1))
        beside = one + jnp.asarray([0, 1], jnp.uint32)
        return *(uniform_bits(pair, n) for pair in (one, other, beside)), kept(one, n, 0.3)

    bits, others, beside, keep = map(np.asarray, run())
    for shift in (0, 8, 16, 24):
        counts = np.bincount((bits >> shift) & 255, minlength=256)
        chi = np.sum((counts - n / 256) ** 2) / (n / 256)
        assert abs(chi - 255) < 5 * np.sqrt(2 * 255)
    one = np.unpackbits(bits.view(np.uint8)).reshape(n, 32).astype(float) - 0.5
    two = np.unpackbits(others.view(np.uint8)).reshape(n, 32).astype(float) - 0.5
    bound = 5 * 0.25 / np.sqrt(n)
    assert np.max(np.abs(one.mean(0))) < 5 * 0.5 / np.sqrt(n)
    assert np.max(np.abs(one[1:].T @ one[:-1] / n)) < bound
    assert np.max(np.abs(one[8:].T @ one[:-8] / n)) < bound
    assert np.max(np.abs(one.T @ two / n)) < bound
    off = one.T @ one / n
    assert np.max(np.abs(off - np.diag(np.diag(off)))) < bound
    next_seed = np.unpackbits(beside.view(np.uint8)).reshape(n, 32).astype(float) - 0.5
    assert np.max(np.abs(one.T @ next_seed / n)) < bound
    rate = keep.mean()
    assert abs(rate - 0.7) < 5 * np.sqrt(0.21 / n)
