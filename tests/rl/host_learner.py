"""The smallest learner that acts: no network, so that its programs are compiled in no time."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.mean import Metrics
from populace.core.settings import setting
from populace.rl.agents.agent import Agent
from populace.rl.environments.stepping import EnvLoopState


class State(eqx.Module):
    weight: jax.Array
    acting: EnvLoopState


class Wanderer(Agent):
    """Draws its actions, and keeps a weighted sum of what it sees: any difference stays visible."""

    bias: float = setting(0.5, low=0, high=1, help="how often an action is the first")
    rollout: int = setting(2, low=1, help="steps per iteration")

    @property
    def units_per_step(self) -> int:
        return self.num_envs * self.rollout

    def init(self, key: jax.Array) -> State:
        return State(jnp.float32(0), EnvLoopState.start(self.task, key, self.num_envs))

    def step(self, state: State, key: jax.Array) -> tuple[State, Metrics]:
        def act(state: State, key: jax.Array) -> tuple[State, Any]:
            choose, world = jax.random.split(key)
            shape = (self.num_envs, *self.task.action_shape)
            first = jax.random.uniform(choose, shape) < self.bias
            action = jnp.where(first, 0, 1).astype(jnp.float32 if self.task.box else jnp.int32)
            acting, transition, _, metrics = state.acting.act(self.task, world, action)
            seen = jnp.sum(transition.next_observation.astype(jnp.float32)) + jnp.sum(transition.reward)
            return State(0.9 * state.weight + seen, acting), metrics

        state, metrics = jax.lax.scan(act, state, jax.random.split(key, self.rollout))
        return state, jax.tree.map(lambda x: x.sum(0), metrics)

    def act(self, model: jax.Array, observation: jax.Array) -> jax.Array:
        if self.task.box:
            return jnp.zeros(self.task.action_shape)
        return jnp.int32(jnp.sum(observation) + model > 0)

    def model(self, state: State) -> jax.Array:
        return state.weight
