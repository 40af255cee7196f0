"""Tasks by the name of their environment: compiled ones, and Gymnasium's in worker processes."""

import dataclasses
import inspect
import sys
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from populace.core.errors import (
    PopulaceError,
    UsageError,
    did_you_mean,
    likeness,
    near,
    typed_line,
    unknown,
)
from populace.core.imports import by_path
from populace.rl.eager import eager
from populace.rl.environments import names as naming
from populace.rl.environments.worlds import WORLDS
from populace.rl.task import Task

_CORRECTED = {
    "MountainCarContinuous-v0": "populace.rl.environments.mountain_car_continuous:MountainCarContinuous"
}
"""Import paths of classes in the place of Gymnax's whose steps are not Gymnasium's."""


class _LazyModule(ModuleType):
    """A placeholder that imports its module when an attribute of it is used."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@cache
def _gymnax() -> ModuleType:
    """Import Gymnax without the plotting libraries that only its own renderers use.

    Seaborn, which imports pandas and Matplotlib, takes most of the two seconds that `import gymnax` takes.
    Gymnax imports it at the top of its files, so placeholders stand in `sys.modules` meanwhile. The lazy
    loader of the standard library does not help: on Python 3.11 an import statement alone makes it load. If
    Gymnax uses the libraries during its import, the placeholders import them, and only time is lost.
    """
    absent = [name for name in ("seaborn", "matplotlib.pyplot") if name not in sys.modules]
    placeholders = {name: _LazyModule(name) for name in absent}
    sys.modules.update(placeholders)
    try:
        return import_module("gymnax")
    finally:
        for name, placeholder in placeholders.items():
            if sys.modules.get(name) is placeholder:
                del sys.modules[name]


def names() -> list[str]:
    """Return the names of all compiled environments, sorted."""
    return sorted({*_gymnax().registered_envs, *WORLDS})


@cache
@eager
def make(name: str) -> Task:
    """Return the task of that name.

    Args:
        name: one of `names()`; `gymnasium:` and an id of Gymnasium; or `module:Class`, a user's class
            that derives from Gymnax's or Gymnasium's environment. Arguments may follow, as in
            `Braking-v0(friction=(0.6, 0.9))`.

    Raises:
        UsageError: an unknown environment (the message names the nearest known one), an argument that it
            does not have, or spaces that agents do not support.

    """
    asked = naming.parse(name)
    if asked.source == "gymnasium":
        return _host(asked)
    if asked.source:
        raise UsageError(
            f"environment '{name}' has several agents; take a kind of several: iql, vdn, qmix, ippo or mappo"
        )
    if asked.path:
        return _user_class(asked)
    gymnax = _gymnax()
    own = WORLDS | _CORRECTED
    if asked.identifier in own:
        module, _, cls = own[asked.identifier].partition(":")
        return _native(asked, getattr(import_module(module), cls))
    if asked.identifier in gymnax.registered_envs:
        return _native(asked, lambda **given: gymnax.make(asked.identifier, **given)[0])
    raise _unknown(asked.identifier, name)


def _unknown(identifier: str, name: str) -> UsageError:
    """Return the error for an environment that is not compiled; Gymnasium may have it, or a nearer one."""
    import gymnasium

    start, known = f"unknown environment '{identifier}'", names()
    if identifier in gymnasium.registry:
        return UsageError(f"{start}; Gymnasium has one: {did_you_mean([f'gymnasium:{name}'])}")
    theirs = near(identifier, [name for name in gymnasium.registry if "/" not in name])
    ours = near(identifier, known)
    if theirs and not (ours and likeness(identifier, ours[0]) >= likeness(identifier, theirs[0])):
        return UsageError(f"{start}; {did_you_mean(f'gymnasium:{name}' for name in theirs)}")
    return unknown("environment", identifier, known)


def _user_class(asked: naming.Name) -> Task:
    """Return the task of a user's class, derived from Gymnax's or Gymnasium's environment."""
    _gymnax()
    from gymnax.environments import environment

    found = by_path.find(asked.identifier, "environment")
    if isinstance(found, type) and issubclass(found, environment.Environment):
        from populace.rl.environments.env_check import check_env

        try:
            task = _native(asked, found)
            check_env(task)
        except PopulaceError:
            raise
        except Exception as error:  # a user's class may raise anything while JAX traces it
            raise UsageError(f"environment '{asked.whole}' does not work: {typed_line(error)}") from error
        return task
    return _host(asked)


def _host(asked: naming.Name) -> Task:
    from populace.rl.vector_env import make

    return make.task(asked.whole, asked.identifier, asked.arguments)


def _native(asked: naming.Name, maker: Any) -> Task:
    """Return the task of a Gymnax environment; arguments may be those of its class or its parameters."""
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
            raise UsageError(f"environment '{asked.whole}' cannot be created: {error}") from None
        return _task(asked.whole, made, dataclasses.replace(made.default_params, **changed))
    except OSError as error:  # some of Gymnax's environments download data
        raise UsageError(f"environment '{asked.whole}' cannot load its data: {error}") from None


def _task(name: str, environment: Any, parameters: Any) -> Task:
    from gymnax.environments import spaces

    _check_interface(name, environment)
    action: Any = environment.action_space(parameters)
    observation: Any = environment.observation_space(parameters)
    (discrete, continuous), box = (isinstance(action, kind) for kind in (spaces.Discrete, spaces.Box)), None
    if not discrete:
        if not continuous:
            raise UsageError(
                f"environment '{name}': the action space must be Discrete or a Box, "
                f"got {type(action).__name__}"
            )
        box = (_filled(action.low, action), _filled(action.high, action))
    shape = getattr(observation, "shape", None)
    if shape is None:
        raise UsageError(
            f"environment '{name}': observations must be one array, got {type(observation).__name__}"
        )
    states = int(getattr(observation, "n", 0))
    low, high = (0, states - 1) if states else (observation.low, observation.high)
    return Task(
        name, environment, parameters,
        actions=int(action.n) if discrete else 0, box=box, states=states, observation_shape=tuple(shape),
        observation_dtype=np.dtype(np.int32 if states else observation.dtype),
        observation_low=_filled(low, observation), observation_high=_filled(high, observation),
        horizon=int(parameters.max_steps_in_episode),
    )  # fmt: skip


def _check_interface(name: str, environment: Any) -> None:
    """Raise a `UsageError` for a class of Gymnax's interface before 1.0, whose time limit would terminate."""
    from gymnax.environments import environment as gymnax

    if type(environment).is_terminal is not gymnax.Environment.is_terminal:
        raise UsageError(
            f"environment '{name}' has the method is_terminal of Gymnax before 1.0, whose time limit would "
            "count as an end of the task; name it is_terminated, and leave the time limit to is_truncated"
        )


def _filled(bound: Any, space: Any) -> np.ndarray:
    """Return a bound as an array of the space's shape, read-only because it is shared."""
    return np.broadcast_to(np.asarray(bound, np.float32), tuple(space.shape))
