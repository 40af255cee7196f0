"""What the worlds share: an end is either the task's or the clock's, and states have a number."""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from gymnax.environments import environment, spaces

from populace.rl.environments.worlds import checks


class World(environment.Environment):
    """A Gymnax environment of ours: `step` gives observation, state, reward, terminated, truncated, info."""

    actions: ClassVar[tuple[str, ...]] = ()
    """What each action does, in words."""
    fps: ClassVar[int] = 4
    """Steps per second of a film."""

    @property
    def name(self) -> str:
        """Name of the environment."""
        return f"{type(self).__name__}-v0"

    @property
    def num_actions(self) -> int:
        """Number of actions."""
        return self.action_space().n

    def action_space(self, params: Any = None) -> spaces.Discrete:
        """Return the actions."""
        return spaces.Discrete(len(self.actions))

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        """Return whether the clock cut the episode; never where the task itself ended in the same step."""
        return super().is_truncated(state, params) & ~self.is_terminated(state, params)


class NumberedWorld(World):
    """A world whose observation is the number of its place, as one integer or one-hot.

    `one-hot` is a float vector with a single 1, for networks and linear learners; `index` is an integer
    below `places`, for tables.
    """

    def __init__(self, observation: str) -> None:
        self.observation = checks.choice(self.name, "observation", observation, ("one-hot", "index"))

    @property
    @abstractmethod
    def places(self) -> int:
        """How many different observations there are."""

    @abstractmethod
    def place(self, state: Any) -> jax.Array:
        """Return the number of the place that a state is in."""

    def get_obs(self, state: Any, params: Any = None, key: Any = None) -> jax.Array:
        """Return what is seen of a state."""
        place = self.place(state)
        return place if self.observation == "index" else jax.nn.one_hot(place, self.places, dtype=jnp.float32)

    def observation_space(self, params: Any = None) -> spaces.Discrete | spaces.Box:
        """Return the space of `get_obs`."""
        if self.observation == "index":
            return spaces.Discrete(self.places)
        return spaces.Box(0.0, 1.0, (self.places,), jnp.float32)
