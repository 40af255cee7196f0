"""What training carries from step to step, and the best models beside it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from populace.core.mean import Mean

STOPPED = 2**30
"""The `step` of a slot that was stopped: past the end of every window, so that nothing waits for it."""


class Carry(NamedTuple):
    """What training carries from step to step; each leaf has the slot axis in front.

    Attributes:
        state: the learner's state, arrays only.
        step: iterations completed; from `STOPPED` on for a member that a controller has stopped.
        diverged_at: the step after which the model was not finite any more, or at which a controller
            stopped the member; else -1. From there on it counts in no metric.
        halted: diverged and not yet frozen by the host; its batch halts until it is.

    """

    state: Any
    step: jax.Array
    diverged_at: jax.Array
    halted: jax.Array


class Progress(NamedTuple):
    """What a window tells the host; each leaf has the slot axis in front.

    It comes out of the window's own program, in memory of its own: the next window consumes the carry, and a
    copy of that, made by a program that is dispatched between two windows, would keep the devices waiting.

    Attributes:
        sums: each metric summed over the steps taken.
        marks: (slots, 2), the `step` and the `diverged_at` of the carry.

    """

    sums: dict[str, Mean]
    marks: jax.Array

    @staticmethod
    def of(carry: Carry, sums: dict[str, Mean]) -> "Progress":
        """Return what is to be told of a carry."""
        return Progress(sums, jnp.stack([carry.step, carry.diverged_at], -1))


class Best(NamedTuple):
    """The model with the best evaluation so far, its score (higher is better) and its step."""

    model: Any
    score: jax.Array
    step: jax.Array
