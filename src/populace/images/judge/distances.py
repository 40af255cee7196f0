"""How far made images are from real ones, in the features of the judge; in one compiled program.

Sources: M. Heusel et al. (2017), GANs Trained by a Two Time-Scale Update Rule, for the Frechet distance; M.
Binkowski et al. (2018), Demystifying MMD GANs, for the kernel distance; M. Naeem et al. (2020), Reliable
Fidelity and Diversity Metrics for Generative Models, for density and coverage.
"""

import jax
import jax.numpy as jnp

from populace.images.judge.eigenvalues import eigenvalues
from populace.images.judge.reference import (
    NEIGHBORS,
    Reference,
    polynomial_kernel,
    spread_within,
    squared_distances,
)

COVERED = 0.1
"""A class is covered if made images have it at least this often, relative to real ones."""
_BLOCK = 250


def frechet_distance(features: jax.Array, real: Reference) -> jax.Array:
    """Return `|m - m_r|^2 + tr(S + S_r - 2 (S_r^(1/2) S S_r^(1/2))^(1/2))` of features (n, d).

    It is the squared Wasserstein distance of two Gaussians with these means and covariances. It falls with n
    even where both are the same, so it means something beside a floor of as many real images.
    """
    centered = features - real.mean
    mean = jnp.mean(centered, 0)
    left = (centered - mean) / jnp.sqrt(features.shape[0] - 1.0)
    # In the axes of the real covariance the product is scaled row by row, which rotations keep accurate.
    projected = left @ real.projection
    roots = jnp.sqrt(jnp.maximum(eigenvalues(projected.T @ projected), 0))
    return jnp.sum(mean**2) + jnp.sum(left**2) + real.variance - 2 * jnp.sum(roots)


def neighborhoods(features: jax.Array, real: Reference) -> dict[str, jax.Array]:
    """Return what pairs of images say: `kernel_distance`, `density` and `coverage`.

        kernel_distance = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)        k(x, y) = (x . y / d + 1)^3
        density = sum over x, y of [|x - y| <= r(y)] / (k n)
        coverage = share of the real y with any x in |x - y| <= r(y)

    x are the n made images, y the real ones; the means of the first two terms leave out pairs of an image
    with itself, so that the distance is 0 on average where both are alike, and may be negative. r(y) is the
    distance of a real image to its k-th nearest real neighbor, k = 5.
    """
    n, size = features.shape
    blocks = -(-n // _BLOCK)
    padded = jnp.zeros((blocks * _BLOCK, size)).at[:n].set(features)
    counts = (jnp.arange(blocks * _BLOCK) < n).astype(jnp.float32)

    def block(given: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, ...]:
        x, weight = given
        own = polynomial_kernel(x @ features.T, size) @ jnp.ones(n)
        itself = polynomial_kernel(jnp.sum(x**2, 1), size)
        distances, products = squared_distances(x, real.features)
        across = jnp.mean(polynomial_kernel(products, size), 1)
        inside = (distances <= real.radii) & (weight[:, None] > 0)
        near = jnp.sum(inside.astype(jnp.float32))
        return jnp.sum(weight * (own - itself)) / (n - 1), jnp.sum(weight * across), near, jnp.any(inside, 0)

    shaped = padded.reshape(blocks, _BLOCK, size), counts.reshape(blocks, _BLOCK)
    own, across, near, any_near = jax.lax.map(block, shaped)
    return {
        "kernel_distance": jnp.sum(own) / n + real.kernel - 2 * jnp.sum(across) / n,
        "density": jnp.sum(near) / (NEIGHBORS * n),
        "coverage": jnp.mean(jnp.any(any_near, 0).astype(jnp.float32)),
    }


def class_measures(features: jax.Array, read: jax.Array, real: Reference) -> dict[str, jax.Array]:
    """Return how made images spread over the classes that the judge reads, and within them.

    class_entropy = -sum_c p_c log p_c, in nats                     p_c: share of the images of class c
    class_coverage = share of the classes with p_c >= 0.1 of their share of the real images
    diversity = mean squared distance of two images of one class, over that of real images

    """
    of_class = jax.nn.one_hot(read, real.shares.shape[0])
    shares = jnp.mean(of_class, 0)
    there = real.shares > 0
    covered = there & (shares >= COVERED * real.shares)
    return {
        "class_entropy": entropy(shares),
        "class_coverage": jnp.sum(covered.astype(jnp.float32)) / jnp.sum(there.astype(jnp.float32)),
        "diversity": spread_within(of_class, features) / real.spread,
    }


def entropy(shares: jax.Array) -> jax.Array:
    """Return `-sum p log p` in nats."""
    return -jnp.sum(jnp.where(shares > 0, shares * jnp.log(jnp.maximum(shares, 1e-30)), 0))


def measures(features: jax.Array, read: jax.Array, real: Reference) -> dict[str, jax.Array]:
    """Return every measure of made images, by name; `images.judge.collapse` says which are a collapse.

    Args:
        features: (n, d), by the judge.
        read: class of each by the judge, (n,).
        real: what they are compared with, by the same judge.

    """
    found = {"frechet_distance": frechet_distance(features, real)}
    return found | neighborhoods(features, real) | class_measures(features, read, real)
