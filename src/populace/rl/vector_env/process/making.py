"""Making environments of Gymnasium's kind, by id or by class, and handing them their actions."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Spec:
    """What is needed to make an environment anywhere.

    Attributes:
        registered: whether it is known to Gymnasium by an id, or a `module:Class` of the user's.
        identifier: that id or path.
        arguments: what it is made with.
        limit: steps after which an episode is cut; None where Gymnasium knows.

    """

    registered: bool
    identifier: str
    arguments: dict[str, Any]
    limit: int | None = None

    def make(self, **more: Any) -> Any:
        """Make one, with further arguments such as `render_mode`.

        Raises:
            Exception: whatever Gymnasium or the class itself raises.

        """
        import gymnasium

        arguments = self.arguments | more
        if self.registered:
            timed = {} if self.limit is None else {"max_episode_steps": self.limit}
            return gymnasium.make(self.identifier, disable_env_checker=True, **timed, **arguments)
        env = imported(self.identifier)(**arguments)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"it gives a {type(env).__name__}, which is no gymnasium.Env")
        return gymnasium.wrappers.TimeLimit(env, self.limit) if self.limit else env


def imported(path: str) -> Any:
    """Return what `module:Class` names.

    Raises:
        ImportError: there is no such module.
        AttributeError: there is no such class in it.

    """
    module, _, inside = path.partition(":")
    found: Any = import_module(module)
    for part in inside.split("."):
        found = getattr(found, part)
    return found


def taken(space: Any) -> Callable[[Any], Any]:
    """Return what turns an agent's action into one that an environment with this action space takes.

    A discrete action counts from the space's own start. A continuous one is clipped to its box; what is
    not a number, as a policy that diverged gives it, becomes 0 first.
    """
    if hasattr(space, "n"):
        first = start(space)
        return lambda action: int(action) + first
    low, high, dtype = space.low, space.high, space.dtype
    return lambda action: np.clip(np.nan_to_num(action), low, high).astype(dtype)


def seen(space: Any) -> Callable[[Any], Any]:
    """Return what turns an observation of this space into what agents see: numbers counted from 0."""
    first = start(space)
    return (lambda observation: observation - first) if np.any(first) else lambda observation: observation


def start(space: Any) -> Any:
    """Return what a space counts from: 0 where it counts nothing, an array where it has several parts."""
    first = getattr(space, "start", 0)
    return first if np.ndim(first) else int(first)
