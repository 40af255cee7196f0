"""Creating Gymnasium environments by id or by class."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any


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

        The time limit is enforced from outside, too: a wrapper may go on after a limit further inside.

        Raises:
            Exception: whatever Gymnasium or the class raises.

        """
        import gymnasium

        arguments, limit = self.arguments | more, self.max_episode_steps
        if self.registered:
            limited = {} if limit is None else {"max_episode_steps": limit}
            env = gymnasium.make(self.identifier, disable_env_checker=True, **limited, **arguments)
        else:
            env = import_class(self.identifier)(**arguments)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"it creates a {type(env).__name__}, which is not a gymnasium.Env")
        if limit is None or (self.registered and type(env) is gymnasium.wrappers.TimeLimit):
            return env
        return gymnasium.wrappers.TimeLimit(env, limit)


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
