"""Interaction: copies of an environment in mid-episode, and what a step of all of them gives."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.learner import Mean
from populace.rl.task import Task


class Transition(eqx.Module):
    """One step of one environment; `terminated` is true only where nothing can follow."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    next_observation: jax.Array
    terminated: jax.Array


class EnvLoopState(eqx.Module):
    """What a learner carries of its environments, all leaves with a leading axis of copies but the counts.

    Attributes:
        observation: what is seen now.
        world: the states of the environments.
        episode_return: rewards of the running episodes so far.
        episode_length: steps of the running episodes so far.
        frames: steps taken so far, all copies together.
        episodes: episodes ended so far.

    """

    observation: jax.Array
    world: Any
    episode_return: jax.Array
    episode_length: jax.Array
    frames: jax.Array
    episodes: jax.Array

    @classmethod
    def start(cls, task: Task, key: jax.Array, copies: int) -> "EnvLoopState":
        """Return freshly started episodes."""
        observation, world = task.reset(key, copies)
        return cls(
            observation, world, jnp.zeros(copies), jnp.zeros(copies),
            frames=jnp.int32(0), episodes=jnp.int32(0),
        )  # fmt: skip

    def act(
        self, task: Task, key: jax.Array, action: jax.Array
    ) -> tuple["EnvLoopState", Transition, jax.Array, dict[str, Mean]]:
        """Step every copy once.

        Returns:
            what is carried on; the transitions, whose `next_observation` is what was seen before any
            restart; where the episode is over (terminated or truncated); and the metrics `return` and
            `length` of the episodes that ended.

        """
        observation, world, reward, terminated, truncated, info = task.step(key, self.world, action)
        seen = info["final_observation"]
        transition = Transition(self.observation, action, reward, seen, terminated)
        done = terminated | truncated
        total, length = self.episode_return + reward, self.episode_length + 1
        ended = done.sum()
        metrics = {
            "return": Mean(jnp.where(done, total, 0.0).sum(), ended),
            "length": Mean(jnp.where(done, length, 0.0).sum(), ended),
        }
        acting = EnvLoopState(
            observation=observation,
            world=world,
            episode_return=jnp.where(done, 0.0, total),
            episode_length=jnp.where(done, 0.0, length),
            frames=self.frames + action.shape[0],
            episodes=self.episodes + ended.astype(jnp.int32),
        )
        return acting, transition, done, metrics
