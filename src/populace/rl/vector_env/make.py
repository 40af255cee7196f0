"""Tasks whose environments are Gymnasium's and run in worker processes."""

import atexit
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from populace.core.errors import UsageError
from populace.core.imports import by_path
from populace.core.untrusted.shown import shown
from populace.engine.placement import cores
from populace.rl.task import Task
from populace.rl.vector_env.callback import HostEnvironment
from populace.rl.vector_env.episode_cache import EpisodeCache
from populace.rl.vector_env.process import interface, messages
from populace.rl.vector_env.process.making import Spec
from populace.rl.vector_env.process.probing import OBSERVATIONS, EnvInfo
from populace.rl.vector_env.worker_pool import WorkerPool

_TIMEOUT = 60.0
_OWN = ("workers", "timeout", "max_episode_steps")

T = TypeVar("T")
Field = tuple[str, tuple[int, ...]]


def task(name: str, identifier: str, arguments: dict[str, Any]) -> Task:
    """Return the task of a Gymnasium environment.

    Args:
        name: as the user wrote it: `gymnasium:` and an id, or the path of a class.
        identifier: the id, or `module:Class`.
        arguments: keyword arguments of the environment; `workers` (number of processes, by default one per
            core), `timeout` (seconds that a reset or step may take, by default 60) and `max_episode_steps`
            are used here and not passed on.

    Raises:
        UsageError: the environment is unknown, not installed, does not work, returns NaN, has no time
            limit, or has spaces that agents do not support.

    """
    spec = spec_of(name, identifier, arguments)
    return in_workers(name, spec, arguments, lambda pool, info: _task(name, pool, info))


def in_workers(
    name: str, spec: Spec, arguments: dict[str, Any], connect: Callable[[WorkerPool, EnvInfo], T]
) -> T:
    """Return what `connect` makes of new worker processes, and of what probing the environment found.

    Raises:
        UsageError: `workers` or `timeout` is not a positive number, or the environment does not work.

    """
    workers = _number(name, "workers", arguments.get("workers", cores()), int)
    worker_pool = WorkerPool(
        name, spec, workers, _number(name, "timeout", arguments.get("timeout", _TIMEOUT), float)
    )
    try:
        return connect(worker_pool, worker_pool.probe())
    except BaseException:
        worker_pool.close()
        raise


def connected(
    worker_pool: WorkerPool, env_info: EnvInfo, observation: Field, action: Field
) -> HostEnvironment:
    """Return the environments of the workers, given (dtype, shape) of an observation and an action."""
    cache = EpisodeCache(worker_pool, messages.record(observation, action), env_info)
    atexit.register(cache.close)
    return HostEnvironment(cache)


def own_arguments(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split arguments into those of the environment, and those that are used here."""
    inside = {k: v for k, v in arguments.items() if k not in _OWN}
    return inside, {k: v for k, v in arguments.items() if k in _OWN}


def time_limit(name: str, arguments: dict[str, Any]) -> int | None:
    """Return `max_episode_steps` of the arguments, or None.

    Raises:
        UsageError: it is not a positive integer.

    """
    limit = arguments.get("max_episode_steps")
    return None if limit is None else _number(name, "max_episode_steps", limit, int)


def check_info(name: str, env_info: EnvInfo) -> None:
    """Raise a `UsageError` for an environment that returns NaN, or has no time limit."""
    if env_info.nan:
        raise UsageError(f"environment '{name}': {env_info.nan} is NaN, with seed 1 and random actions")
    if env_info.max_episode_steps is None:
        raise UsageError(
            f"environment '{name}' has no time limit, but agents need one; "
            f"set it: {name.partition('(')[0]}(max_episode_steps=1000)"
        )


def spec_of(name: str, identifier: str, arguments: dict[str, Any]) -> Spec:
    """Return what is needed to create an environment, from the parts of its name.

    Raises:
        UsageError: `max_episode_steps` is not a positive integer, or there is no such class.

    """
    registered = name.lstrip().startswith("gymnasium:")
    module, colon, _ = identifier.partition(":")
    if not registered:
        import gymnasium

        by_path.find_class_or_factory(identifier, "environment", gymnasium.Env)
    elif colon:  # Gymnasium imports the module
        by_path.check(module, name, "environment")
    inside, own = own_arguments(arguments)
    return Spec(registered, identifier, inside, time_limit(name, own))


def _task(name: str, worker_pool: WorkerPool, env_info: EnvInfo) -> Task:
    action, observation = env_info.action_space, env_info.observation_space
    kind, box = type(action).__name__, None
    if kind == "Box" and np.issubdtype(action.dtype, np.floating):
        box = (np.asarray(action.low, np.float32), np.asarray(action.high, np.float32))
    elif kind != "Discrete":
        raise UsageError(
            f"environment '{name}': the action space must be Discrete or a Box of floats, got {action}"
        )
    if type(observation).__name__ not in OBSERVATIONS:
        raise UsageError(
            f"environment '{name}': observations must be one array, got {type(observation).__name__}; wrap "
            "the environment in Gymnasium's FlattenObservation, in a class of your own"
        )
    check_info(name, env_info)
    actions = 0 if box else int(action.n)
    states = int(observation.n) if type(observation).__name__ == "Discrete" else 0
    if max(actions, states) > np.iinfo(np.int32).max:
        raise UsageError(
            f"environment '{name}': discrete spaces may have {np.iinfo(np.int32).max:,} values, got "
            f"{max(actions, states):,}"
        )
    shape, dtype = tuple(observation.shape or ()), interface.narrow(observation.dtype)
    low, high = _bounds(observation)
    stored = ("f4", box[0].shape) if box else (np.min_scalar_type(actions - 1).str, ())
    host = connected(worker_pool, env_info, (dtype.str, shape), stored)
    assert env_info.max_episode_steps is not None
    return Task(
        name=name, environment=host, parameters=None, actions=actions, box=box,
        states=states, observation_shape=shape, observation_dtype=dtype, observation_low=low,
        observation_high=high, horizon=env_info.max_episode_steps, origin="host",
        observation_start=interface.start(observation), action_start=0 if box else interface.start(action),
    )  # fmt: skip


def _bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest value of each entry of an observation, discrete ones counted from 0."""
    count = getattr(space, "nvec", getattr(space, "n", None))
    if type(space).__name__ == "Box":
        return np.asarray(space.low, np.float32), np.asarray(space.high, np.float32)
    high = 1 if type(space).__name__ == "MultiBinary" else np.asarray(count) - 1
    high = np.broadcast_to(np.asarray(high, np.float32), tuple(space.shape or ()))
    return np.zeros_like(high), high


def _number(name: str, argument: str, value: Any, kind: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | kind) or not value > 0:
        what = "a whole number above 0" if kind is int else "a number above 0"
        raise UsageError(f"environment '{name}': {argument} must be {what}, got {shown(value)}")
    return value
