"""Environments by name: those that run inside the compiled program, and Gymnasium's on the host."""

import dataclasses
import inspect
import sys
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from populace.core.errors import PopulaceError, UsageError, unknown
from populace.rl.environments import names as naming
from populace.rl.environments.worlds import WORLDS
from populace.rl.task import Task


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
    """Return the names of all environments that run inside the program, sorted."""
    return sorted({*_gymnax().registered_envs, *WORLDS})


@cache
def make(name: str) -> Task:
    """Return the task of that name.

    Args:
        name: one of `names()`; `gymnasium:` and an id of Gymnasium's; or `module:Class`, a class of the
            user's that derives from Gymnax's or Gymnasium's environment. Arguments may follow, as in
            `Braking-v0(friction=(0.6, 0.9))`.

    Raises:
        UsageError: no such environment (with the nearest known name), arguments that it does not take, or
            observations that are not one array.

    """
    asked = naming.parse(name)
    if asked.source == "gymnasium":
        return _host(asked)
    if asked.path:
        return _own(asked)
    gymnax = _gymnax()
    if asked.identifier in WORLDS:
        module, _, cls = WORLDS[asked.identifier].partition(":")
        return _native(asked, getattr(import_module(module), cls))
    if asked.identifier in gymnax.registered_envs:
        return _native(asked, lambda **given: gymnax.make(asked.identifier, **given)[0])
    import gymnasium

    if asked.identifier in gymnasium.registry:
        raise UsageError(
            f"unknown environment '{asked.identifier}'; Gymnasium has it: did you mean 'gymnasium:{name}'?"
        )
    raise unknown("environment", asked.identifier, names())


def _own(asked: naming.Name) -> Task:
    """Return the task of a class of the user's."""
    _gymnax()
    from gymnax.environments import environment

    from populace.rl.vector_env import make

    found = make.imported(asked.identifier)
    if isinstance(found, type) and issubclass(found, environment.Environment):
        from populace.rl.environments.env_check import check_env

        try:
            task = _native(asked, found)
            check_env(task)
        except PopulaceError:
            raise
        except Exception as error:  # a class of the user's may raise anything while it is traced
            line = (str(error).strip().splitlines() or ["it gives no reason"])[0]
            raise UsageError(
                f"environment '{asked.whole}' cannot be played: {type(error).__name__}: {line}"
            ) from error
        return task
    return _host(asked)


def _host(asked: naming.Name) -> Task:
    from populace.rl.vector_env import make

    return make.task(asked.whole, asked.identifier, asked.arguments)


def _native(asked: naming.Name, maker: Any) -> Task:
    """Return the task of an environment of Gymnax's kind; an argument may be one of its parameters."""
    try:
        made = maker()
        changed = {k: v for k, v in asked.arguments.items() if hasattr(made.default_params, k)}
        given = {k: v for k, v in asked.arguments.items() if k not in changed}
        known = [*inspect.signature(type(made).__init__).parameters][1:]
        for argument in given:
            if argument not in known:
                fields = [f.name for f in dataclasses.fields(made.default_params)]
                raise unknown(
                    "argument", argument, [*known, *fields], where=f" of environment '{asked.whole}'"
                )
        try:
            made = maker(**given) if given else made
        except (TypeError, ValueError) as error:
            raise UsageError(f"environment '{asked.whole}' cannot be made: {error}") from None
        return _task(asked.whole, made, dataclasses.replace(made.default_params, **changed))
    except OSError as error:  # one of Gymnax's downloads what it shows
        raise UsageError(f"environment '{asked.whole}' needs data that cannot be had here: {error}") from None


def _task(name: str, environment: Any, parameters: Any) -> Task:
    from gymnax.environments import spaces

    action: Any = environment.action_space(parameters)
    seen: Any = environment.observation_space(parameters)
    kinds = (spaces.Discrete, spaces.Box)
    chosen, bounded = (isinstance(action, kind) for kind in kinds)
    counted, _ = (isinstance(seen, kind) for kind in kinds)
    box = None
    if not chosen:
        if not bounded:
            raise UsageError(
                f"environment '{name}': actions must be Discrete or one Box, got {type(action).__name__}"
            )
        box = (_filled(action.low, action), _filled(action.high, action))
    shape = getattr(seen, "shape", None)
    if shape is None:
        raise UsageError(f"environment '{name}': observations must be one array, got {type(seen).__name__}")
    states = int(seen.n) if counted else 0
    low, high = (0, states - 1) if states else (seen.low, seen.high)
    return Task(
        name, environment, parameters,
        actions=int(action.n) if chosen else 0, box=box, states=states, observation_shape=tuple(shape),
        observation_dtype=np.dtype(np.int32 if states else seen.dtype),
        observation_low=_filled(low, seen), observation_high=_filled(high, seen),
        horizon=int(parameters.max_steps_in_episode),
    )  # fmt: skip


def _filled(bound: Any, space: Any) -> np.ndarray:
    """Return a bound as an array of the space's shape, read-only: it is shared."""
    return np.broadcast_to(np.asarray(bound, np.float32), tuple(space.shape))
