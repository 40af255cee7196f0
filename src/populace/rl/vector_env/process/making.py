"""Creating Gymnasium environments by id or by class, and converting actions and observations for them."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spec:
    """What is needed to create an environment in any process.

    Attributes:
        registered: whether `identifier` is an id registered with Gymnasium, or a class `module:Class`.
        identifier: the id or the path of the class.
        arguments: keyword arguments of the environment.
        max_episode_steps: steps after which an episode is truncated; None for Gymnasium's registered limit.

    """

    registered: bool
    identifier: str
    arguments: dict[str, Any]
    max_episode_steps: int | None = None

    def make(self, **more: Any) -> Any:
        """Create the environment, with additional keyword arguments such as `render_mode`.

        Raises:
            Exception: whatever Gymnasium or the class raises.

        """
        import gymnasium

        arguments, limit = self.arguments | more, self.max_episode_steps
        if self.registered:
            limited = {} if limit is None else {"max_episode_steps": limit}
            return gymnasium.make(self.identifier, disable_env_checker=True, **limited, **arguments)
        env = import_class(self.identifier)(**arguments)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"it creates a {type(env).__name__}, which is not a gymnasium.Env")
        return gymnasium.wrappers.TimeLimit(env, limit) if limit else env


def import_class(path: str) -> Any:
    """Return the object that `module:Class` names.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such class.

    """
    module, _, inside = path.partition(":")
    found: Any = import_module(module)
    for part in inside.split("."):
        found = getattr(found, part)
    return found


def action_converter(space: Any) -> Callable[[Any], Any]:
    """Return a function from an agent's action to an action in this Gymnasium space.

    A discrete action is shifted by the start of the space. A continuous one is clipped to its box; NaN, from
    a policy that diverged, becomes 0 first.
    """
    if hasattr(space, "n"):
        first = start(space)
        return lambda action: int(action) + first
    low, high, dtype = space.low, space.high, space.dtype
    return lambda action: np.clip(np.nan_to_num(action), low, high).astype(dtype)


def observation_converter(space: Any) -> Callable[[Any], Any]:
    """Return a function from an observation in this Gymnasium space to an agent's, discrete ones from 0."""
    first = start(space)
    return (lambda observation: observation - first) if np.any(first) else lambda observation: observation


def start(space: Any) -> Any:
    """Return the smallest value of a discrete space: 0 for other spaces, an array for `MultiDiscrete`."""
    first = getattr(space, "start", 0)
    return first if np.ndim(first) else int(first)
