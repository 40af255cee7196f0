"""Creating Gymnasium environments by id or by class."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

_SEED = 0  # of worlds that are drawn when an environment is made


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

        The time limit is enforced from outside, too: a wrapper may go on after a limit further inside. A
        world that is drawn when the environment is made, such as a random map, is the same every time.

        Raises:
            Exception: whatever Gymnasium or the class raises.

        """
        import gymnasium

        arguments, limit = self.arguments | more, self.max_episode_steps
        with _seeded():
            if self.registered:
                limited = {} if limit is None else {"max_episode_steps": limit}
                env = gymnasium.make(self.identifier, disable_env_checker=True, **limited, **arguments)
            else:
                found = import_class(self.identifier)
                if isinstance(found, type) and not issubclass(found, gymnasium.Env):
                    raise TypeError(f"'{self.identifier}' is not a subclass of gymnasium.Env")
                env = found(**arguments)
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"it creates a {type(env).__name__}, which is not a gymnasium.Env")
        if limit is None or (self.registered and type(env) is gymnasium.wrappers.TimeLimit):
            return env
        return gymnasium.wrappers.TimeLimit(env, limit)


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed what draws without a seed: the generators of Python and NumPy, and those that Gymnasium makes."""
    from gymnasium.utils import seeding

    before, make = (random.getstate(), np.random.get_state()), seeding.np_random

    def np_random(seed: int | None = None) -> Any:
        return make(_SEED if seed is None else seed)

    random.seed(_SEED)
    np.random.seed(_SEED)
    seeding.np_random = np_random
    try:
        yield
    finally:
        seeding.np_random = make
        random.setstate(before[0])
        np.random.set_state(before[1])


def import_class(path: str) -> Any:
    """Return the object that `module:Class` names.

    As `core.imports.by_path.find` does, of which a worker must load nothing: it starts for every environment.
    What may be imported at all was decided before, by the training process.

    Raises:
        ImportError: there is no such module, or it is a part of Python.
        AttributeError: the module has no such class.

    """
    module, _, inside = path.partition(":")
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise ImportError(f"'{module}' is a part of Python, and has no environments")
    found: Any = import_module(module)
    for part in inside.split("."):
        if found is not sys.modules[module] and not isinstance(found, type):
            raise AttributeError(f"'{part}' is not looked for in what is no class")
        found = getattr(found, part)
    return found
