"""Reference: what the judge sees in real images, with everything that made images are compared with."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError

NEIGHBORS = 5
"""k of density and coverage, as in Naeem et al. 2020."""
_BLOCK = 500


class Reference(eqx.Module):
    """Features of N real images, and what follows from them alone.

    Attributes:
        features: of each image, (N, d).
        radii: squared distance of each to its k-th nearest neighbor among the others, (N,).
        mean: of the features, (d,).
        projection: eigenvectors of their covariance, each times the root of its eigenvalue, (d, d).
        variance: trace of their covariance.
        kernel: mean of the kernel over all pairs of different images.
        shares: of the images, by the class that the judge reads, (classes,).
        spread: mean squared distance of two images of one class, over all such pairs' classes.

    """

    features: Any
    radii: Any
    mean: Any
    projection: Any
    variance: Any
    kernel: Any
    shares: Any
    spread: Any

    @classmethod
    def of(cls, features: np.ndarray, read: np.ndarray, classes: int) -> "Reference":
        """Return the reference of real images.

        Args:
            features: (N, d), by the judge.
            read: class of each by the judge, (N,).
            classes: how many there are.

        Raises:
            UsageError: too few images for a covariance and for neighbors.

        """
        if len(features) <= NEIGHBORS:
            raise UsageError(f"the judge needs more than {NEIGHBORS} real images, got {len(features)}")
        exact = features.astype(np.float64)
        mean = exact.mean(0)
        centered = exact - mean
        covariance = centered.T @ centered / (len(exact) - 1)
        values, vectors = np.linalg.eigh(covariance)
        roots = np.sqrt(np.maximum(values, 0))
        radii, kernel = _among_themselves(exact)
        found = {
            "features": features, "radii": radii, "mean": mean, "projection": vectors * roots,
            "variance": np.trace(covariance), "kernel": kernel,
            "shares": np.bincount(read, minlength=classes) / len(read),
            "spread": _spread(exact, read, classes),
        }  # fmt: skip
        return cls(**{name: jnp.asarray(value, jnp.float32) for name, value in found.items()})


def polynomial_kernel(products: Any, size: int) -> Any:
    """Return `(x . y / d + 1)^3` of inner products of features of d numbers."""
    return (products / size + 1) ** 3


def squared_distances(x: Any, y: Any) -> tuple[Any, Any]:
    """Return `|x_i - y_j|^2`, (N, M), and the inner products, of features (N, d) and (M, d)."""
    products = x @ y.T
    return (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * products, products


def _among_themselves(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the squared distance of each to its k-th neighbor, and the mean kernel of different ones."""
    radii, total = np.empty(len(x)), 0.0
    for start in range(0, len(x), _BLOCK):
        block = x[start : start + _BLOCK]
        distances, products = squared_distances(block, x)
        own = np.arange(len(block))
        kernel = polynomial_kernel(products, x.shape[1])
        total += kernel.sum() - kernel[own, start + own].sum()
        distances[own, start + own] = np.inf
        radii[start : start + len(block)] = np.partition(distances, NEIGHBORS - 1, 1)[:, NEIGHBORS - 1]
    return np.maximum(radii, 0), total / (len(x) * (len(x) - 1))


def _spread(x: np.ndarray, read: np.ndarray, classes: int) -> float:
    """Return the mean over images of the mean squared distance to others of their class."""
    of_class = np.eye(classes)[read]
    return float(spread_within(of_class, x, np))


def spread_within(of_class: Any, x: Any, xp: Any = jnp) -> Any:
    """Return the mean squared distance of two different examples of one class, classes by their size.

    It is `2 n_c / (n_c - 1)` times the variance within each class c, with no need to go through pairs.

    Args:
        of_class: one where an example is of a class, (N, classes).
        x: features (N, d).
        xp: `jax.numpy`, or `numpy` for float64.

    """
    counts = of_class.sum(0)
    some = xp.maximum(counts, 1)
    means = (of_class.T @ x) / some[:, None]
    left = ((x - of_class @ means) ** 2).sum(1)  # squares of differences: of squares, they would cancel
    variances = (of_class.T @ left) / xp.maximum(counts - 1, 1)
    several = xp.where(counts > 1, counts, 0)
    return 2 * (several @ variances) / xp.maximum(several.sum(), 1)
