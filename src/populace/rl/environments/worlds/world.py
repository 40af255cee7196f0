"""Base classes of the worlds: an episode is either terminated or truncated, and states may have an index."""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from gymnax.environments import environment, spaces

from populace.rl.environments.worlds import checks


class World(environment.Environment):
    """A Gymnax environment; `step` returns observation, state, reward, terminated, truncated, info."""

    actions: ClassVar[tuple[str, ...]] = ()
    """A description of each action."""
    fps: ClassVar[int] = 4
    """Steps per second of a video."""

    @property
    def name(self) -> str:
        """Name of the environment."""
        return f"{type(self).__name__}-v0"

    @property
    def num_actions(self) -> int:
        """Number of actions."""
        return self.action_space().n

    def action_space(self, params: Any = None) -> spaces.Discrete:
        """Return the action space."""
        return spaces.Discrete(len(self.actions))

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """Return whether the time limit ended the episode; false if it terminated in the same step."""
        return super().is_truncated(state, params) & ~self.is_terminated(state, params)


class IndexedWorld(World):
    """A world whose observation is the index of its state, as an integer or one-hot.

    `one-hot` is a float vector with a single 1, for networks and linear learners; `index` is an integer
    below `num_states`, for tables.
    """

    def __init__(self, observation: str) -> None:
        self.observation = checks.choice(self.name, "observation", observation, ("one-hot", "index"))

    @property
    @abstractmethod
    def num_states(self) -> int:
        """Number of different observations."""

    @abstractmethod
    def state_index(self, state: Any) -> jax.Array:
        """Return the index that the agent observes of a state."""

    def get_obs(self, state: Any, params: Any = None, key: Any = None) -> jax.Array:
        """Return the observation of a state."""
        index = self.state_index(state)
        if self.observation == "index":
            return index
        return jax.nn.one_hot(index, self.num_states, dtype=jnp.float32)

    def observation_space(self, params: Any = None) -> spaces.Discrete | spaces.Box:
        """Return the space of `get_obs`."""
        if self.observation == "index":
            return spaces.Discrete(self.num_states)
        return spaces.Box(0.0, 1.0, (self.num_states,), jnp.float32)
