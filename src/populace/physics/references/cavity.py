"""Steady flow in a square cavity whose lid moves, by finite differences of second order."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from scipy.sparse import bmat, diags, identity, kron, lil_matrix
from scipy.sparse.linalg import spsolve

_CELLS, _NEWTON, _ACCURATE = 120, 12, 1e-9


def cavity(x: Any, y: Any, reynolds: float) -> Any:
    """Return the streamfunction psi, (n,), on the unit square whose lid y = 1 moves with u = 1.

    On 121 x 121 points, interpolated linearly.
    """
    psi = jnp.asarray(flow(reynolds, _CELLS)[0], x.dtype)
    return map_coordinates(psi, [_CELLS * x, _CELLS * y], order=1, mode="nearest")


@functools.cache
def flow(reynolds: float, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return psi, u and v on the points of a grid of cells, (cells + 1, cells + 1) by x and y.

    With streamfunction psi and vorticity w,

        u = psi_y,   v = -psi_x,   psi_xx + psi_yy = -w,   u w_x + v w_y = (w_xx + w_yy) / Re

    by central differences, with Thom's condition at the walls, w = -2 (psi_inside + h U) / h^2, where U is
    the speed of the lid; and Newton's rule on both fields at once. Source: Ghia, Ghia and Shin 1982,
    "High-Re solutions for incompressible flow using the Navier-Stokes equations and a multigrid method".
    """
    n, h = cells + 1, 1.0 / cells
    first = diags([-0.5 / h, 0.5 / h], [-1, 1], shape=(n, n)).tocsr()  # pyright: ignore
    second = diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(n, n)).tocsr() / h**2  # pyright: ignore
    eye = identity(n, format="csr")
    dx: Any
    dy: Any
    dx, dy = kron(first, eye, "csr"), kron(eye, first, "csr")
    laplacian = kron(second, eye, "csr") + kron(eye, second, "csr")
    place = np.arange(n * n).reshape(n, n)
    inner = np.zeros((n, n), bool)
    inner[1:-1, 1:-1] = True
    inside = diags(inner.ravel().astype(float))
    walls = identity(n * n) - inside
    thom: Any = lil_matrix((n * n, n * n))
    lid = np.zeros(n * n)
    for edge, beside in (
        (place[0], place[1]), (place[-1], place[-2]), (place[:, 0], place[:, 1]), (place[:, -1], place[:, -2])
    ):  # fmt: skip
        thom[edge, beside] = 2 / h**2
    lid[place[:, -1]] = 2 / h
    # Corners belong to two walls; nothing inside reads them.
    psi: Any = np.zeros(n * n)
    w: Any = np.zeros(n * n)
    for _ in range(_NEWTON):
        u, v = dy @ psi, -(dx @ psi)
        transport = diags(u) @ dx + diags(v) @ dy - laplacian / reynolds
        residual = np.concatenate(
            [
                inside @ (laplacian @ psi + w) + walls @ psi,
                inside @ (transport @ w) + walls @ (w + thom @ psi + lid),
            ]
        )
        if np.abs(residual).max() < _ACCURATE * (1 + np.abs(w).max()):
            break
        by_psi = diags(dx @ w) @ dy - diags(dy @ w) @ dx
        jacobian = bmat(
            [
                [inside @ laplacian + walls, inside],
                [inside @ by_psi + walls @ thom, inside @ transport + walls],
            ],
            "csc",
        )
        step: Any = spsolve(jacobian, -residual)
        psi, w = psi + step[: n * n], w + step[n * n :]
    u, v = (dy @ psi).reshape(n, n), -(dx @ psi).reshape(n, n)
    for field in (u, v):
        field[~inner] = 0.0
    u[:, -1] = 1.0
    return psi.reshape(n, n), u, v
