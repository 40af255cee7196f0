"""n-step returns, formed before a transition is remembered (Sutton 1988; Hessel et al. 2018).

`G = r_0 + g r_1 + ... + g^(m-1) r_(m-1)` over the next `m <= n` steps, cut where the episode ends, and to be
bootstrapped with `g^m` times the value of the state it leads to: nothing where the task terminated, the final
observation where the clock cut the episode.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.rl.environments.stepping import Transition


class NStepTransition(eqx.Module):
    """A transition over m steps: the observation and action of the first, the rest of the last.

    Attributes:
        first: `reward` is the n-step return, `next_observation` and `terminated` those of the last step.
        power: `discount^m`, the weight of the bootstrapped value.

    """

    first: Transition
    power: jax.Array


class Window(eqx.Module):
    """The last n steps of every environment, waiting for what follows them.

    Each push gives the n-step transition of the oldest step, n - 1 steps late. A step near the end of an
    episode looks ahead only to that end, whatever of the next episode is already in the window.

    Attributes:
        steps: transitions, leaves of (n, copies, ...), the oldest first.
        over: whether the episode ended with that step, (n, copies).
        pushed: steps taken so far, at most n.

    """

    steps: Transition
    over: jax.Array
    pushed: jax.Array

    def __init__(self, example: Transition, n: int, copies: int) -> None:
        """Make an empty window; `example` is one transition, arrays or shapes, to take the layout from."""
        self.steps = jax.tree.map(lambda x: jnp.zeros((n, copies, *x.shape), x.dtype), example)
        self.over = jnp.zeros((n, copies), bool)
        self.pushed = jnp.int32(0)

    @property
    def complete(self) -> jax.Array:
        """Whether n steps were pushed, so that what `push` gave is a transition."""
        return self.pushed >= self.over.shape[0]

    def push(
        self, transition: Transition, over: jax.Array, discount: jax.Array | float
    ) -> tuple["Window", NStepTransition]:
        """Add one step of every environment.

        Args:
            transition: leaves of (copies, ...).
            over: whether the episode ended with it, by termination or by truncation, (copies,).
            discount: g, per step; may be traced.

        Returns:
            the window, and the n-step transitions of its oldest step, leaves of (copies, ...); they mean
            nothing until the window is `complete`.

        """
        steps = jax.tree.map(
            lambda old, new: jnp.concatenate([old[1:], new[None].astype(old.dtype)]), self.steps, transition
        )
        ends = jnp.concatenate([self.over[1:], over[None]])
        n = ends.shape[0]
        window = eqx.tree_at(
            lambda w: (w.steps, w.over, w.pushed), self, (steps, ends, jnp.minimum(self.pushed + 1, n))
        )
        at = [jax.tree.map(lambda x, k=k: x[k], steps) for k in range(n)]
        reached, returns = at[0], at[0].reward
        power = jnp.full(over.shape, discount, jnp.float32)
        going = ~ends[0]
        for k in range(1, n):
            returns = returns + jnp.where(going, power * at[k].reward, 0.0)
            power = jnp.where(going, power * discount, power)
            reached = jax.tree.map(partial(_where, going), at[k], reached)
            going = going & ~ends[k]
        first = Transition(
            at[0].observation, at[0].action, returns, reached.next_observation, reached.terminated
        )
        return window, NStepTransition(first, power)


def _where(condition: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """Choose per copy, whatever the shape behind it."""
    return jnp.where(condition.reshape(condition.shape + (1,) * (new.ndim - 1)), new, old)
