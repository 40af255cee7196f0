"""Base class of compiled environments with several agents."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean
from populace.rl.multi_agent.task import View


class WorldState(eqx.Module):
    """A state of a world; `time` is the number of steps so far, ()."""

    time: jax.Array


class MultiAgentWorld(ABC):
    """An environment of several agents as pure functions of one state; `MultiAgentTask` vectorizes it.

    A class of your own is an environment too, by its import path `module:Class`; its arguments must be
    literals.
    """

    fps: ClassVar[int] = 4
    """Steps per second of a video."""
    shared_reward: ClassVar[bool] = False
    """Whether all agents get one and the same reward."""
    agents: tuple[str, ...]
    """Names of the agents."""
    actions: tuple[tuple[str, ...], ...]
    """Names of the actions of each agent."""
    horizon: int
    """Steps after which an episode is truncated."""

    @property
    def name(self) -> str:
        """Name of the environment."""
        return f"{type(self).__name__}-v0"

    @property
    @abstractmethod
    def bounds(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Lower and upper bounds of the observation of each agent, each (F_i,), possibly infinite."""

    @abstractmethod
    def reset(self, key: jax.Array) -> Any:
        """Return the first state of an episode, a `WorldState`."""

    @abstractmethod
    def step(
        self, key: jax.Array, state: Any, action: jax.Array
    ) -> tuple[Any, jax.Array, dict[str, jax.Array]]:
        """Return the next state, the rewards (N,) and the events of one joint action (N,).

        Events are counts by name, (N,): what each agent did in this step.
        """

    @abstractmethod
    def view(self, state: Any) -> View:
        """Return what the agents see; where spaces differ, a tuple of rows in the place of (N, ...)."""

    def terminated(self, state: Any) -> jax.Array:
        """Return whether the game ended; by default never."""
        del state
        return jnp.bool(False)

    def truncated(self, state: Any) -> jax.Array:
        """Return whether the time limit of the whole game is reached."""
        return state.time >= self.horizon

    def truncated_agents(self, state: Any) -> jax.Array:
        """Return whose part a time limit ended in the step to a state, while others go on, (N,).

        By default none. In `view` they are not alive any more; who is neither here nor alive there has died.
        """
        del state
        return jnp.zeros(len(self.agents), jnp.bool)

    def outcomes(self, state: Any, events: dict[str, jax.Array], length: jax.Array) -> dict[str, Mean]:
        """Return metrics of E whole episodes, besides the sums of events per episode.

        Args:
            state: last states, with a leading axis of E.
            events: sums over each episode, (E, N).
            length: steps of each episode, (E,).

        """
        del state, events, length
        return {}

    def everyone(self, observation: Any, actions: int, state: jax.Array) -> View:
        """Return the view where all agents are alive, act at once and may do anything."""
        n = len(self.agents)
        whole = jnp.ones(n, jnp.bool)
        return View(observation, jnp.ones((n, actions), jnp.bool), whole, whole, state)
