"""Recurrence: the scan over time that all cells share, and its derivative.

Three things make it quick. The products with the input leave the loop: one matrix product for all steps.
So does the gradient of the weights, which otherwise is added up step by step, in an array as large as they
are: the derivative below is written so that their share is one product for all steps, hence its transpose
is one, too. And what a step keeps for the gradient are the factors of its derivative, ready to multiply.

The loop is not unrolled: two, four and eight steps at a time were no quicker at any size worth training,
and take longer to compile.

The derivative is a linear function of the changes, which JAX transposes to make gradients; so products
with the Jacobian from either side work, and derivatives of any order.
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


# Compiled by itself where nothing around it is: else the loops would be compiled anew in every call.
@partial(jax.jit, static_argnames="reverse")
def recur(
    cell: Cell, x: jax.Array, state: State, keep: jax.Array | None, *, reverse: bool
) -> tuple[jax.Array, State]:
    """Return the hidden states of all steps, (T, H), and the state after the last one.

    Args:
        cell: what a step does.
        x: (T, F).
        state: the state before the first step.
        keep: (T,) bool, false where a step leaves the state as it is; None if none does.
        reverse: from the last step to the first.

    """
    dtype = jnp.result_type(x, cell.W_u, *state)
    state = tuple(s.astype(dtype) for s in state)
    return _recur(type(cell), reverse, x.astype(dtype), (cell.W_u, cell.W_h, cell.b_h), state, keep)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _recur(
    cell: type[Cell], reverse: bool, x: jax.Array, weights: Weights, state: State, keep: jax.Array | None
) -> tuple[jax.Array, State]:
    end, (h, *_) = _forward(cell, reverse, x, weights, state, keep)
    return h, end


@partial(_recur.defjvp, symbolic_zeros=True)
def _differentiate(cell: type[Cell], reverse: bool, primals: Any, tangents: Any) -> Any:
    """Push the changes of weights, inputs and initial state through time; linear in them.

    The weights' share of da_t, (x_t, h_{t-1}) (dW_u over dW_h) + db_h, is one product for all steps.
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
    # The gradient multiplies by the transpose in every step: it is laid out once, before the loop.
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
    """Return the state after the last step, and per step what the derivative needs."""
    W_u, W_h, b_h = weights

    def body(state: State, at: Any) -> tuple[State, Any]:
        x, u, keep = at
        new, slopes = cell.step(state, cell.join(u, state[0] @ W_h) + b_h)
        # As wide as the state: to widen it in the derivative would be one more loop over time.
        keep = None if keep is None else jnp.broadcast_to(keep, state[0].shape)
        new = _hold(keep, new, state)
        return new, (new[0], jnp.concatenate([x, state[0]]), slopes, keep)

    return lax.scan(body, state, (x, product(x, W_u), keep), reverse=reverse)


def _hold(keep: jax.Array | None, new: State, old: State) -> State:
    """Return the new state at a real step, the old one at padding."""
    return new if keep is None else tuple(jnp.where(keep, n, o) for n, o in zip(new, old))


def _materialize(tangent: Any, like: jax.Array) -> jax.Array:
    return jnp.zeros_like(like) if isinstance(tangent, SymbolicZero) else tangent
