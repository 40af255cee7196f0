"""Environments that run inside the compiled program, from Gymnax.

A step gives six things: observation, state, reward, terminated, truncated, info. `terminated` means
the task ended and nothing follows; `truncated` means only the clock ran out, so the value of what
would have followed must still be bootstrapped, from `info["final_observation"]`.
"""

import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import jax

from populace.errors import UsageError, unknown


@dataclass(frozen=True)
class Task:
    """An environment with its default parameters, vectorised over parallel copies.

    Attributes:
        name: the name it was made by, also its id in Gymnasium where that has it.
        actions: number of discrete actions.
        observation_shape: shape of one observation.
        horizon: steps after which an episode is truncated.

    """

    name: str
    environment: Any
    parameters: Any
    actions: int
    observation_shape: tuple[int, ...]
    horizon: int

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


class _Later(ModuleType):
    """Stands for a module until somebody uses it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


@cache
def _gymnax() -> ModuleType:
    """Import Gymnax without the plotting libraries that only its own pictures need.

    Seaborn, with pandas and Matplotlib behind it, is most of the two seconds that the import takes.
    """
    absent = [name for name in ("seaborn", "matplotlib.pyplot") if name not in sys.modules]
    sys.modules.update({name: _Later(name) for name in absent})
    try:
        return import_module("gymnax")
    finally:
        for name in absent:
            del sys.modules[name]


def names() -> list[str]:
    """Return the names of all environments, sorted."""
    return sorted(_gymnax().registered_envs)


@cache
def make(name: str) -> Task:
    """Return the task of that name.

    Raises:
        UsageError: no such environment (with the nearest known name), or one whose actions are
            continuous or whose observations are not one array.

    """
    gymnax = _gymnax()
    from gymnax.environments import spaces

    if name not in gymnax.registered_envs:
        raise unknown("environment", name, gymnax.registered_envs)
    environment, parameters = gymnax.make(name)
    action_space = environment.action_space(parameters)
    observation_space = environment.observation_space(parameters)
    if not isinstance(action_space, spaces.Discrete):
        raise UsageError(f"environment '{name}' has continuous actions; this agent needs discrete ones")
    shape = getattr(observation_space, "shape", None)
    if shape is None:
        raise UsageError(f"environment '{name}': observations must be one array, got {observation_space}")
    return Task(
        name, environment, parameters, int(action_space.n), tuple(shape),
        int(parameters.max_steps_in_episode),
    )  # fmt: skip
