"""Gymnax's MountainCarContinuous-v0 with the steps of Gymnasium's."""

from typing import Any

import jax
import jax.numpy as jnp
from gymnax.environments.classic_control import continuous_mountain_car as gymnax


class MountainCarContinuous(gymnax.ContinuousMountainCar):
    """The car stops at the left wall, where Gymnax lets it keep its velocity.

        velocity' = clip(velocity + power * clip(action, -1, 1) - gravity * cos(3 * position), -0.07, 0.07)
        position' = clip(position + velocity', -1.2, 0.6)
        velocity' = 0 if position' = -1.2 and velocity' < 0
        reward    = 100 * terminated - 0.1 * action^2

    An episode terminates at position 0.45 with a velocity of at least 0. As Gymnasium's
    `Continuous_MountainCarEnv`: github.com/Farama-Foundation/Gymnasium.
    """

    def step_env(
        self, key: jax.Array, state: Any, action: Any, params: gymnax.EnvParams
    ) -> tuple[jax.Array, gymnax.EnvState, jax.Array, jax.Array, dict[Any, Any]]:
        """Take a step: observation, state, reward, terminated, info."""
        force = jnp.clip(action, params.min_action, params.max_action)
        velocity = state.velocity + params.power * force - params.gravity * jnp.cos(3 * state.position)
        velocity = jnp.clip(velocity, -params.max_speed, params.max_speed)
        position = jnp.clip(state.position + velocity, params.min_position, params.max_position)
        stopped = (position <= params.min_position) & (velocity < 0)
        velocity = jnp.where(stopped, 0.0, velocity)
        state = state.replace(position=position.squeeze(), velocity=velocity.squeeze(), time=state.time + 1)
        terminated = self.is_terminated(state, params)
        reward = 100.0 * terminated - 0.1 * jnp.squeeze(action) ** 2
        obs, state = self._apply_transition_gradient_policy(self.get_obs(state), state)
        return obs, state, reward, terminated, {"discount": self.discount(state, params)}
