"""Task: the common interface of all environments to the agents.

A step returns observation, state, reward, terminated, truncated and info. `terminated` means that the episode
reached a terminal state, whose value is 0; `truncated` means that only the time limit ended it, so the value
of the last state must be bootstrapped, from `info["final_observation"]`.
"""

import dataclasses
from typing import Any

import jax
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """An environment with its parameters, vectorized over parallel copies.

    Attributes:
        name: the name that it was created by, with arguments.
        environment: an environment with Gymnax's methods `reset` and `step`.
        parameters: its parameters.
        actions: number of discrete actions; 0 if actions are continuous.
        box: lower and upper bounds of a continuous action, each of shape `action_shape`; else None.
        states: number of states if an observation is one integer, else 0.
        observation_shape: shape of one observation.
        observation_dtype: data type of observations.
        observation_low: lower bounds of an observation, possibly -inf.
        observation_high: upper bounds of an observation, possibly inf.
        horizon: maximum length of an episode in steps, after which it is truncated.
        origin: `native` (inside the compiled program) or `host` (in worker processes).
        observation_start: smallest discrete observation in the environment's own numbering; agents count
            from 0.
        action_start: smallest discrete action in the environment's own numbering.

    """

    name: str
    environment: Any
    parameters: Any
    actions: int
    box: tuple[np.ndarray, np.ndarray] | None
    states: int
    observation_shape: tuple[int, ...]
    observation_dtype: np.dtype
    observation_low: np.ndarray
    observation_high: np.ndarray
    horizon: int
    origin: str = "native"
    observation_start: Any = 0
    action_start: int = 0

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Shape of one action: () if it is discrete."""
        return () if self.box is None else self.box[0].shape

    def reset(self, key: jax.Array, num_envs: int) -> tuple[jax.Array, Any]:
        """Start episodes; return observations (num_envs, ...) and states, with a leading axis of num_envs."""
        keys = jax.random.split(key, num_envs)
        return jax.vmap(self.environment.reset, (0, None))(keys, self.parameters)

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
        """Step every copy once; a copy whose episode ends starts the next one.

        Args:
            key: JAX random key.
            state: states, with a leading axis of num_envs.
            action: actions (num_envs, *action_shape), in the environment's units.

        Returns:
            observation, state, reward, terminated, truncated, each with a leading axis of num_envs, and
            info, whose `final_observation` is the observation before a reset.

        """
        keys = jax.random.split(key, action.shape[0])
        step = jax.vmap(self.environment.step, (0, 0, 0, None))
        return step(keys, state, action, self.parameters)
