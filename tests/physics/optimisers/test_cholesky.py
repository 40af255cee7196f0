import jax
import numpy as np
import pytest

from populace.physics.optimisers.cholesky import solve_positive


@pytest.mark.parametrize("size", [1, 32, 75])
def test_it_solves_what_numpy_solves(size: int) -> None:
    rng = np.random.default_rng(size)
    root = rng.normal(size=(3, size + 5, size))
    matrix, right = np.einsum("bni,bnj->bij", root, root), rng.normal(size=(3, size))
    indefinite = -matrix[0]
    with jax.enable_x64(True):
        solve = jax.jit(jax.vmap(solve_positive))
        found = np.asarray(solve(matrix, right))
        nothing = np.asarray(solve(np.stack([indefinite] * 3), right))
    assert np.allclose(found, np.linalg.solve(matrix, right[..., None])[..., 0], rtol=1e-8, atol=1e-10)
    assert np.isnan(nothing).any(1).all()
