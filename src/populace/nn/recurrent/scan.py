"""The scan over time that all cells share, and its derivative.

Three things make it fast. Products with the input are computed outside the loop, as one matrix product for
all steps. So is the gradient of the weights, which would otherwise accumulate step by step in an array of
their size: in the derivative below their contribution is one product for all steps, and hence its transpose
is one too. And a step stores the factors of its derivative, ready to multiply.

The loop is not unrolled: two, four and eight steps per iteration were not faster at any practical size, and
take longer to compile.

The derivative is linear in the tangents, and JAX transposes it for gradients; so forward mode, reverse mode
and higher derivatives all work.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from populace.nn.primitives.matmul import product
from populace.nn.recurrent.cells import Cell, State

Weights = tuple[jax.Array, jax.Array, jax.Array]


# Jitted, because outside of `jax.jit` the loops would be compiled again in every call.
@partial(jax.jit, static_argnames="reverse")
def recur(
    cell: Cell, x: jax.Array, state: State, keep: jax.Array | None, *, reverse: bool
) -> tuple[jax.Array, State]:
    """Return the hidden states of all steps, (T, H), and the final state.

    Args:
        cell: the cell to apply.
        x: (T, F).
        state: initial state.
        keep: (T,) bool, false at padding, which leaves the state unchanged; None without padding.
        reverse: whether to go from the last step to the first.

    """
    dtype = jnp.result_type(x, cell.W_u, *state)
    state = tuple(s.astype(dtype) for s in state)
    return by_loop(type(cell), reverse, x.astype(dtype), (cell.W_u, cell.W_h, cell.b_h), state, keep)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def by_loop(
    cell: type[Cell], reverse: bool, x: jax.Array, weights: Weights, state: State, keep: jax.Array | None
) -> tuple[jax.Array, State]:
    """Return the hidden states of all steps, (T, H), and the final state, of arrays of one type."""
    end, (h, *_) = _forward(cell, reverse, x, weights, state, keep)
    return h, end


@partial(by_loop.defjvp, symbolic_zeros=True)
def _differentiate(cell: type[Cell], reverse: bool, primals: Any, tangents: Any) -> Any:
    """Propagate the tangents of weights, inputs and initial state through time.

    The contribution of the weights to da_t, (x_t, h_{t-1}) [dW_u; dW_h] + db_h, is one product for all steps.
    """
    x, weights, state, keep = primals
    dx, *rest, _ = tangents
    (dW_u, dW_h, db_h), dstate = jax.tree.map(_materialize, rest, [weights, state])
    end, (h, past, slopes, kept) = _forward(cell, reverse, x, weights, state, keep)
    W_u, W_h, _ = weights
    as_input = lambda u: cell.join(u, jnp.zeros_like(u))  # noqa: E731
    as_recurrent = lambda r: cell.join(jnp.zeros_like(r), r)  # noqa: E731
    da = product(past, jnp.concatenate([as_input(dW_u), as_recurrent(dW_h)])) + db_h
    if not isinstance(dx, SymbolicZero):
        da += as_input(product(dx, W_u))
    # The gradient multiplies by the transpose in every step: transpose once, before the loop.
    W_hT = W_h.T

    def body(dstate: State, at: Any) -> tuple[State, jax.Array]:
        da, slopes, kept = at
        da += as_recurrent(lax.dot_general(dstate[0], W_hT, (((0,), (1,)), ((), ()))))
        dstate = _hold(kept, cell.push(slopes, dstate, da), dstate)
        return dstate, dstate[0]

    dend, dh = lax.scan(body, dstate, (da, slopes, kept), reverse=reverse)
    return (h, end), (dh, dend)


def _forward(
    cell: type[Cell], reverse: bool, x: jax.Array, weights: Weights, state: State, keep: jax.Array | None
) -> tuple[State, Any]:
    """Return the final state and, for every step, what the derivative needs."""
    W_u, W_h, b_h = weights

    def body(state: State, at: Any) -> tuple[State, Any]:
        x, u, keep = at
        new, slopes = cell.step(state, cell.join(u, state[0] @ W_h) + b_h)
        # Broadcast to the state here: in the derivative it would be one more loop over time.
        keep = None if keep is None else jnp.broadcast_to(keep, state[0].shape)
        new = _hold(keep, new, state)
        return new, (new[0], jnp.concatenate([x, state[0]]), slopes, keep)

    return lax.scan(body, state, (x, product(x, W_u), keep), reverse=reverse)


def _hold(keep: jax.Array | None, new: State, old: State) -> State:
    """Return the new state, or the old one at padding."""
    return new if keep is None else tuple(jnp.where(keep, n, o) for n, o in zip(new, old))


def _materialize(tangent: Any, like: jax.Array) -> jax.Array:
    return jnp.zeros_like(like) if isinstance(tangent, SymbolicZero) else tangent
