"""Environments with finitely many states, stepped by a table of transition probabilities.

The table has the same distribution as the environment, and is many times as fast: a step needs one random
number and a few look-ups, and the random numbers of a whole rollout are drawn at once.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.rl.planning.transition_table import Outcomes
from populace.rl.task import Task

Draws = tuple[jax.Array, ...]


class TableState(eqx.Module):
    """The current state of each environment, and the number of steps in its episode, (num_envs,) each."""

    state: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class Tabulated(Task):
    """A task whose steps are looked up in a table of outcomes, K per state and action.

    An outcome is sampled by inverting the cumulative probabilities c: it is the k-th if
    `c_{k-1} <= u < c_k`, for u uniform in [0, 1).
    """

    cumulative: np.ndarray = dataclasses.field(kw_only=True)  # (S A, K - 1)
    state: np.ndarray = dataclasses.field(kw_only=True)  # (S A K,)
    reward: np.ndarray = dataclasses.field(kw_only=True)  # (S A K,)
    terminated: np.ndarray = dataclasses.field(kw_only=True)  # (S A K,)
    first: np.ndarray = dataclasses.field(kw_only=True)  # possible initial states
    first_cumulative: np.ndarray = dataclasses.field(kw_only=True)  # all but the last

    def draws(self, key: jax.Array, shape: tuple[int, ...]) -> Draws:
        """Return the random numbers of steps, arrays of `shape`; none if the environment is deterministic."""
        parts = (self.cumulative.shape[-1], len(self.first_cumulative))
        keys = jax.random.split(key, len(parts))
        return tuple(jax.random.uniform(k, shape) for k, needed in zip(keys, parts) if needed)

    def reset(self, key: jax.Array, num_envs: int) -> tuple[jax.Array, Any]:
        """Start episodes; return observations (num_envs,) and states."""
        state = self._first(self.draws(key, (num_envs,)), num_envs)
        return state, TableState(state, jnp.zeros(num_envs, jnp.int32))

    def step(self, key: jax.Array | Draws, state: TableState, action: jax.Array) -> tuple[Any, ...]:
        """Step every environment once; one whose episode ends starts the next.

        Args:
            key: a random key, or the result of `draws` for this step, arrays (num_envs,).
            state: states of the environments.
            action: actions (num_envs,).

        Returns:
            as `Task.step`.

        """
        num_envs = action.shape[0]
        draws = key if isinstance(key, tuple) else self.draws(key, (num_envs,))
        row = state.state * self.actions + action
        outcome = row
        if self.cumulative.shape[-1]:
            reached = draws[0][:, None] >= jnp.asarray(self.cumulative)[row]
            outcome = row * (self.cumulative.shape[-1] + 1) + reached.sum(axis=-1, dtype=jnp.int32)
        after = jnp.asarray(self.state)[outcome]
        terminated = jnp.asarray(self.terminated)[outcome]
        time = state.time + 1
        truncated = ~terminated & (time >= self.horizon)
        done = terminated | truncated
        obs = jnp.where(done, self._first(draws, num_envs), after)
        next_state = TableState(obs, jnp.where(done, 0, time))
        info = {"final_observation": after, "terminated": terminated, "truncated": truncated}
        return obs, next_state, jnp.asarray(self.reward)[outcome], terminated, truncated, info

    def _first(self, draws: Draws, num_envs: int) -> jax.Array:
        if not len(self.first_cumulative):
            return jnp.full(num_envs, self.first[0], jnp.int32)
        reached = draws[-1][:, None] >= jnp.asarray(self.first_cumulative)
        return jnp.asarray(self.first)[reached.sum(axis=-1)]


def tabulate(task: Task, table: Outcomes) -> Tabulated:
    """Return the task that is stepped by its table.

    Raises:
        UsageError: the distribution of initial states is unknown.

    """
    if table.start is None:
        raise UsageError(
            f"environment '{task.name}' cannot be stepped by its table, because its distribution of initial "
            "states is unknown; use dynamics=environment"
        )
    states, actions, outcomes = table.next_state.shape
    first = np.flatnonzero(table.start)
    same: dict[str, Any] = {f.name: getattr(task, f.name) for f in dataclasses.fields(Task)}
    same["origin"] = "native"
    return Tabulated(
        **same,
        cumulative=_cumulative(table.probability).reshape(states * actions, outcomes - 1),
        state=table.next_state.ravel().astype(np.int32),
        reward=table.reward.ravel().astype(np.float32),
        terminated=table.terminated.ravel(),
        first=first.astype(np.int32),
        first_cumulative=_cumulative(table.start[first]),
    )


def _cumulative(probability: np.ndarray) -> np.ndarray:
    """Return the bounds between outcomes; those after the last possible outcome are never reached."""
    bounds = probability.cumsum(axis=-1)
    possible = np.flip(np.flip(probability, -1).cumsum(axis=-1), -1)[..., 1:] > 0
    return np.where(possible, bounds[..., :-1], 2.0).astype(np.float32)
