"""Task: an environment as agents meet it, whatever it was made of.

A step gives six things: observation, state, reward, terminated, truncated, info. `terminated` means
the task ended and nothing follows; `truncated` means only the clock ran out, so the value of what
would have followed must still be bootstrapped, from `info["final_observation"]`.
"""

import dataclasses
from typing import Any

import jax
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """An environment with its parameters, vectorized over parallel copies.

    Attributes:
        name: the name it was made by.
        environment: as Gymnax defines them; of other origin it has the same methods.
        parameters: its parameters.
        actions: number of discrete actions; 0 where actions are continuous.
        box: None, or the lowest and the highest value of each part of a continuous action.
        states: number of states where an observation is one integer, else 0.
        observation_shape: shape of one observation.
        observation_dtype: its type.
        observation_low: lowest value of each part of an observation, may be -inf.
        observation_high: the highest.
        horizon: steps after which an episode is truncated.
        origin: `native` (inside the program) or `host`.
        observation_start: what the environment itself counts discrete observations from; inside, all are
            counted from 0.
        action_start: likewise of discrete actions.

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
        """Shape of one action: () where it is a number of a list."""
        return () if self.box is None else self.box[0].shape

    def reset(self, key: jax.Array, copies: int) -> tuple[jax.Array, Any]:
        """Return observations (copies, ...) and states of freshly started episodes."""
        keys = jax.random.split(key, copies)
        return jax.vmap(self.environment.reset, (0, None))(keys, self.parameters)

    def step(self, key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
        """Step every copy once; a copy whose episode ended starts the next.

        Returns:
            observation, state, reward, terminated, truncated (each with the copies in front), and
            info, where `final_observation` is what was seen before the restart.

        """
        keys = jax.random.split(key, action.shape[0])
        step = jax.vmap(self.environment.step, (0, 0, 0, None))
        return step(keys, state, action, self.parameters)
