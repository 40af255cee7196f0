"""Parallel copies of a multi-agent task, and the metrics of the episodes that end in them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.mean import Mean
from populace.rl.environments.stepping import totals
from populace.rl.multi_agent.task import MultiAgentTask, Step, View


class TeamLoopState(eqx.Module):
    """What a learner carries of its environments; all leaves but the counts have a leading axis of num_envs.

    Attributes:
        view: what the agents see.
        env_state: states of the environments.
        episode_return: sum of the team's rewards in each running episode.
        episode_length: number of steps of each running episode.
        frames: number of joint steps so far, of all environments together, ().
        episodes: number of episodes that have ended, ().

    """

    view: View
    env_state: Any
    episode_return: jax.Array
    episode_length: jax.Array
    frames: jax.Array
    episodes: jax.Array

    @classmethod
    def start(cls, task: MultiAgentTask, key: jax.Array, num_envs: int) -> "TeamLoopState":
        """Reset `num_envs` copies of the environment."""
        view, env_state = task.reset(key, num_envs)
        nothing = jnp.zeros(num_envs)
        return cls(view, env_state, nothing, nothing, frames=jnp.int32(0), episodes=jnp.int32(0))

    def act(
        self, task: MultiAgentTask, key: jax.Array, action: jax.Array
    ) -> tuple["TeamLoopState", Step, jax.Array, dict[str, Mean]]:
        """Step every environment once by actions (num_envs, N); one whose episode ends starts the next.

        Returns:
            the new state, the step, `done` (num_envs,), and the metrics `return` and `length` of the episodes
            that ended.

        """
        step = task.step(key, self.env_state, action)
        done = step.terminated | step.truncated
        team_return = self.episode_return + task.team_reward(step.reward)
        total, length, metrics = totals(team_return, self.episode_length + 1, done)
        acting = TeamLoopState(
            view=step.view, env_state=step.env_state,
            episode_return=total, episode_length=length, frames=self.frames + action.shape[0],
            episodes=self.episodes + done.sum(dtype=jnp.int32),
        )  # fmt: skip
        return acting, step, done, metrics


def greedy(values: jax.Array, available: jax.Array) -> jax.Array:
    """Return the best available action (...) of values and masks (..., A); of several the first."""
    return jnp.argmax(jnp.where(available, values, -jnp.inf), -1).astype(jnp.int32)


def epsilon_greedy(key: jax.Array, values: jax.Array, available: jax.Array, epsilon: jax.Array) -> jax.Array:
    """Return for each agent a random available action with probability epsilon, else a greedy one.

    Agents explore independently of one another; of several greedy actions one is drawn.
    """
    which, explore = jax.random.split(key)
    noise = jax.random.uniform(which, values.shape)
    best = jnp.max(jnp.where(available, values, -jnp.inf), -1, keepdims=True)
    ties = jnp.argmax(jnp.where(available & (values >= best), noise, -1.0), -1)
    drawn = jnp.argmax(jnp.where(available, noise, -1.0), -1)
    return jnp.where(jax.random.uniform(explore, ties.shape) < epsilon, drawn, ties).astype(jnp.int32)
