"""Parallel copies of an environment, and the transitions and metrics of a step of all of them."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.mean import Mean
from populace.rl.task import Task

S = TypeVar("S")


class Transition(eqx.Module):
    """One step of one environment; `terminated` is true only if the next state is terminal."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    next_observation: jax.Array
    terminated: jax.Array


class EnvLoopState(eqx.Module):
    """What a learner carries of its environments; all leaves but the counts have a leading axis of num_envs.

    Attributes:
        observation: current observations.
        env_state: states of the environments.
        episode_return: sum of the rewards of each running episode.
        episode_length: number of steps of each running episode.
        frames: number of steps so far, of all environments together, ().
        episodes: number of episodes that have ended, ().

    """

    observation: jax.Array
    env_state: Any
    episode_return: jax.Array
    episode_length: jax.Array
    frames: jax.Array
    episodes: jax.Array

    @classmethod
    def start(cls, task: Task, key: jax.Array, num_envs: int) -> "EnvLoopState":
        """Reset `num_envs` copies of the environment."""
        observation, env_state = task.reset(key, num_envs)
        return cls(
            observation, env_state, jnp.zeros(num_envs), jnp.zeros(num_envs),
            frames=jnp.int32(0), episodes=jnp.int32(0),
        )  # fmt: skip

    def act(
        self, task: Task, key: jax.Array, action: jax.Array
    ) -> tuple["EnvLoopState", Transition, jax.Array, dict[str, Mean]]:
        """Step every environment once; one whose episode ends starts the next.

        Returns:
            the new state; the transitions, whose `next_observation` is the one before any reset; `done`
            (num_envs,), terminated or truncated; and the metrics `return` and `length` of the episodes that
            ended.

        """
        observation, env_state, reward, terminated, truncated, info = task.step(key, self.env_state, action)
        next_obs = info["final_observation"]
        transition = Transition(self.observation, action, reward, next_obs, terminated)
        done = terminated | truncated
        total, length, metrics = totals(self.episode_return + reward, self.episode_length + 1, done)
        acting = EnvLoopState(
            observation=observation,
            env_state=env_state,
            episode_return=total,
            episode_length=length,
            frames=self.frames + action.shape[0],
            episodes=self.episodes + done.sum(dtype=jnp.int32),
        )
        return acting, transition, done, metrics


def totals(
    episode_return: jax.Array, episode_length: jax.Array, done: jax.Array
) -> tuple[jax.Array, jax.Array, dict[str, Mean]]:
    """Return the totals of running episodes, and the metrics `return` and `length` of those that ended.

    Arguments are (num_envs,), after a step; where `done` the next episode begins, and its totals are 0.
    """
    ended = done.sum()
    metrics = {
        "return": Mean(jnp.where(done, episode_return, 0.0).sum(), ended),
        "length": Mean(jnp.where(done, episode_length, 0.0).sum(), ended),
    }
    return jnp.where(done, 0.0, episode_return), jnp.where(done, 0.0, episode_length), metrics


def interactions(
    interact: Callable[[S, jax.Array], tuple[S, dict[str, Mean]]], state: S, keys: jax.Array
) -> tuple[S, dict[str, Mean]]:
    """Return the state after `state, metrics = interact(state, key)` by each key, and the metrics' sums."""
    arrays, rest = eqx.partition(state, eqx.is_array)  # a scan carries nothing else

    def one(arrays: Any, key: jax.Array) -> Any:
        state, acted = interact(eqx.combine(arrays, rest), key)
        return eqx.filter(state, eqx.is_array), acted

    arrays, stacked = jax.lax.scan(one, arrays, keys)
    return eqx.combine(arrays, rest), jax.tree.map(lambda x: x.sum(0), stacked)
