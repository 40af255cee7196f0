"""Operands of LSTMs and GRUs of many members, and their formulas in loops: by kernels, XLA and NumPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.nn.recurrent import fused
from populace.nn.recurrent.cells import GRUCell, LSTMCell

SIZES = (
    (1, 1, 1, 1, 1), (3, 5, 7, 1, 16), (2, 2, 3, 5, 20), (1, 13, 2, 40, 33), (9, 70, 8, 2, 8),
    (1, 64, 20, 17, 48), (2, 3, 2, 3, fused.LARGEST),
)  # fmt: skip
"""Members, rows, steps, inputs, units. A tile has 4, 2 or 1 rows of 16 or 8 units, a block about 256 rows."""
ACROSS = (("lstm", False), ("gru", False), ("lstm", True))
CELLS = {"lstm": LSTMCell, "gru": GRUCell}


def draw(cell: str, members: int, rows: int, steps: int, inputs: int, units: int) -> list[np.ndarray]:
    """Return operands of some members, and gradients by all hidden states and by the last."""
    draws, gates = np.random.default_rng(0), 4 if cell == "lstm" else 3
    state = (rows, units)
    shapes = [
        (rows, steps, inputs), (inputs, gates * units), (units, gates * units), (4 * units,), state,
        state if cell == "lstm" else (rows, 0), (rows, steps, units), state,
    ]  # fmt: skip
    scales = [1, 1, np.sqrt(units), 1, 1, 1, 1, 1]
    return [(draws.normal(size=(members, *s)) / by).astype(np.float32) for s, by in zip(shapes, scales)]


def layer(x: Any, u: Any, r: Any, b: Any, h: Any, c: Any, *, cell: str, reverse: bool) -> Any:
    """Return hidden states and the last states of one example."""
    plan = jax.eval_shape(lambda: CELLS[cell](x.shape[-1], h.shape[-1], key=jax.random.key(0)))
    plan = jax.tree.unflatten(jax.tree.structure(plan), [u, r, b])
    all_h, end = fused.recur(plan, x, (h, c)[: plan.arrays], None, reverse=reverse)
    return all_h, end[0], end[1] if cell == "lstm" else c


def ours(*operands: Any, **params: Any) -> Any:
    """A layer for each member, as learners write it: examples are mapped, and so are members."""

    def member(x: Any, u: Any, r: Any, b: Any, h: Any, c: Any) -> Any:
        return jax.vmap(lambda x, h, c: layer(x, u, r, b, h, c, **params))(x, h, c)

    return jax.vmap(member)(*operands)


def theirs(*operands: Any, cell: str, reverse: bool) -> Any:
    """The same by XLA's loop."""
    return tuple(fused._by_scan(*operands, cell=cell, reverse=reverse))


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def formula(x: Any, u: Any, r: Any, b: Any, h: Any, c: Any, *, cell: str, reverse: bool) -> Any:
    """All members and rows by a loop in NumPy over time."""
    H, found = h.shape[-1], np.zeros((*x.shape[:3], h.shape[-1]))
    for t in range(x.shape[2])[:: -1 if reverse else 1]:
        by_x, by_h = x[:, :, t] @ u, h @ r
        if cell == "lstm":
            i, f, g, o = np.split(by_x + by_h + b[:, None], 4, axis=-1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            by_x, by_n = by_x + b[:, None, : 3 * H], by_h[..., 2 * H :] + b[:, None, 3 * H :]
            reset, z = np.split(sigmoid(by_x[..., : 2 * H] + by_h[..., : 2 * H]), 2, axis=-1)
            h = (1 - z) * np.tanh(by_x[..., 2 * H :] + reset * by_n) + z * h
        found[:, :, t] = h
    return found, h, c


def assert_close(found: Any, expected: Any, what: object, tolerance: float = 2e-6) -> None:
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        scale = 1 + np.max(np.abs(b), initial=0)
        np.testing.assert_allclose(a, b, atol=tolerance * scale, rtol=0, err_msg=str(what))


def with_gradients(function: Any, operands: Any, **params: Any) -> Any:
    """Return the states, and gradients by all operands of weights times them."""
    *operands, by_h, by_last = operands
    (all_h, last, last_c), back = jax.vjp(lambda *a: function(*a, **params), *operands)
    return (all_h, last, last_c), back((by_h, by_last, jnp.sin(last_c)))
