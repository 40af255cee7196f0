"""n-step returns, computed before a transition enters the replay buffer (Sutton 1988; Hessel et al. 2018).

`G = r_0 + g r_1 + ... + g^(m-1) r_(m-1)` over the next `m <= n` steps; m is smaller than n where the episode
ends first. The learner adds `g^m` times the value of the state reached: 0 if the task terminated, the value
of the final observation if a time limit truncated the episode.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.rl.environments.stepping import Transition


class NStepTransition(eqx.Module):
    """A transition over m steps: observation and action of the first, everything else of the last.

    Attributes:
        transition: `reward` is the n-step return; `next_observation` and `terminated` are the last step's.
        bootstrap_discount: `discount^m`, the factor of the bootstrapped value.

    """

    transition: Transition
    bootstrap_discount: jax.Array


class NStepWindow(eqx.Module):
    """The last n steps of every environment, from which n-step transitions are built.

    Each push gives the n-step transition of the oldest step, n - 1 steps late. A step near the end of an
    episode looks ahead only to that end, even if steps of the next episode are already in the window.

    Attributes:
        steps: transitions, leaves of (n, num_envs, ...), oldest first.
        done: whether the episode ended at that step, (n, num_envs).
        pushed: number of steps pushed so far, at most n.

    """

    steps: Transition
    done: jax.Array
    pushed: jax.Array

    def __init__(self, example: Transition, n: int, num_envs: int) -> None:
        """Make an empty window; `example` is one transition (arrays or shapes) that gives the layout."""
        self.steps = jax.tree.map(lambda x: jnp.zeros((n, num_envs, *x.shape), x.dtype), example)
        self.done = jnp.zeros((n, num_envs), bool)
        self.pushed = jnp.int32(0)

    @property
    def complete(self) -> jax.Array:
        """Whether n steps have been pushed, so that the last result of `push` is valid."""
        return self.pushed >= self.done.shape[0]

    def push(
        self, transition: Transition, done: jax.Array, discount: jax.Array | float
    ) -> tuple["NStepWindow", NStepTransition]:
        """Add one step of every environment.

        Args:
            transition: leaves of (num_envs, ...).
            done: whether the episode ended at this step, by termination or truncation, (num_envs,).
            discount: g, per step; may be traced.

        Returns:
            the window, and the n-step transitions of its oldest step, leaves of (num_envs, ...); they are
            meaningless until the window is `complete`.

        """
        steps = jax.tree.map(
            lambda old, new: jnp.concatenate([old[1:], new[None].astype(old.dtype)]), self.steps, transition
        )
        ends = jnp.concatenate([self.done[1:], done[None]])
        n = ends.shape[0]
        window = eqx.tree_at(
            lambda w: (w.steps, w.done, w.pushed), self, (steps, ends, jnp.minimum(self.pushed + 1, n))
        )
        at = [jax.tree.map(lambda x, k=k: x[k], steps) for k in range(n)]
        reached, returns = at[0], at[0].reward
        factor = jnp.full(done.shape, discount, jnp.float32)  # discount^m
        going = ~ends[0]
        for k in range(1, n):
            returns = returns + jnp.where(going, factor * at[k].reward, 0.0)
            factor = jnp.where(going, factor * discount, factor)
            reached = jax.tree.map(partial(_where, going), at[k], reached)
            going = going & ~ends[k]
        first = Transition(
            at[0].observation, at[0].action, returns, reached.next_observation, reached.terminated
        )
        return window, NStepTransition(first, factor)


def _where(condition: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """Choose per environment, whatever the trailing axes."""
    return jnp.where(condition.reshape(condition.shape + (1,) * (new.ndim - 1)), new, old)
