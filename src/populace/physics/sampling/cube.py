"""Points of the unit cube: uniform, Latin hypercube, Sobol, and a grid."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

METHODS = ("grid", "uniform", "latin-hypercube", "sobol")


def cube_points(method: str, count: int, dimensions: int, key: jax.Array) -> Any:
    """Return points of the unit cube, (count, dimensions), float32; of a grid about as many.

    | method | what |
    | --- | --- |
    | `uniform` | independent |
    | `latin-hypercube` | one in each of `count` equal slices along every coordinate (McKay et al. 1979) |
    | `sobol` | the Sobol sequence, shifted modulo 1 by one random vector (Cranley and Patterson 1976) |
    | `grid` | centers of equal cells; nothing is random |

    They are drawn in float32, also for programs of float64: both then train on the same points.
    """
    if not dimensions:
        return jnp.zeros((count, 0), jnp.float32)
    if method == "grid":
        return jnp.asarray(grid((count ** (1 / dimensions),) * dimensions), jnp.float32)
    if method == "uniform":
        return jax.random.uniform(key, (count, dimensions), jnp.float32)
    if method == "latin-hypercube":
        keys = jax.random.split(key, dimensions + 1)
        slices = [jax.random.permutation(k, jnp.arange(count, dtype=jnp.int32)) for k in keys[1:]]
        inside = jax.random.uniform(keys[0], (count, dimensions), jnp.float32)
        return (jnp.stack(slices, 1).astype(jnp.float32) + inside) / count
    shift = jax.random.uniform(key, (dimensions,), jnp.float32)
    return (jnp.asarray(sobol(count, dimensions), jnp.float32) + shift) % 1.0


def grid(cells: tuple[float, ...]) -> np.ndarray:
    """Return the centers of equal cells of the unit cube; numbers of cells are rounded, one at the least."""
    axes = [(np.arange(n) + 0.5) / n for n in (max(1, round(c)) for c in cells)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], 1)


def sobol(count: int, dimensions: int) -> np.ndarray:
    """Return the first points of the Sobol sequence, (count, dimensions)."""
    whole = qmc.Sobol(dimensions, scramble=False).random_base2(max(0, math.ceil(math.log2(count))))
    return whole[:count]
