"""Batches: how a device works through its share of the members.

All at once (`vmap`), one after the other (`map`), or in chunks between the two: a batch has `width`
members, and the share is a whole number of batches. One batch is no loop at all.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def over_members(one: Callable[..., Any], width: int) -> Callable[..., Any]:
    """Turn a function of one member into one of all members of a share.

    Args:
        one: arrays of a member -> arrays of that member.
        width: members per batch.

    Returns:
        the function; its arguments and results have the members in front.

    """
    every = _vectorized(one, width)

    def share(*args: Any) -> Any:
        members = jax.tree.leaves(args)[0].shape[0]
        if members == width:
            return every(*args)
        first = partial(lax.slice_in_dim, start_index=0, limit_index=width)
        shapes = jax.eval_shape(every, *jax.tree.map(first, args))
        out = jax.tree.map(lambda s: jnp.zeros((members, *s.shape[1:]), s.dtype), shapes)
        return in_turn(lambda args, out: every(*args), args, out, width)

    return share


def in_turn(batch: Callable[[Any, Any], Any], read: Any, written: Any, width: int) -> Any:
    """Go through a share batch by batch, in place.

    Args:
        batch: (its part of `read`, its part of `written`) -> what comes into that place.
        read: arrays with the members in front, only read.
        written: arrays with the members in front.
        width: members per batch.

    Returns:
        `written`, with what every batch made of its part.

    """
    members = jax.tree.leaves(written)[0].shape[0]
    if members == width:
        return batch(read, written)

    def next_batch(i: Any, written: Any) -> Any:
        here = partial(lax.dynamic_slice_in_dim, start_index=i * width, slice_size=width)
        made = batch(*jax.tree.map(here, (read, written)))
        put = partial(lax.dynamic_update_slice_in_dim, start_index=i * width, axis=0)
        return jax.tree.map(put, written, made)

    # The barrier hides the trip count: the compiler would unroll a loop of one and round differently.
    return lax.fori_loop(0, lax.optimization_barrier(jnp.int32(members // width)), next_batch, written)


def _vectorized(one: Callable[..., Any], width: int) -> Callable[..., Any]:
    """Vectorize over a batch; a batch of one runs the very program of a member by itself."""
    if width > 1:
        return jax.vmap(one)

    def alone(*args: Any) -> Any:
        args = jax.tree.map(lambda v: v[0], args)
        return jax.tree.map(lambda v: jnp.asarray(v)[None], one(*args))

    return alone
