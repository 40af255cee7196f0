"""What passes between an agent and a Gymnasium environment: actions out, and results in, which are checked.

NumPy writes a result into shared memory whatever it is: it broadcasts an array of another shape and drops the
upper half of a 64-bit integer, and the agent would be trained on the wrong numbers. So every result is
checked before it is converted. A result of the declared type and shape costs less than a microsecond.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_MAX = float(np.finfo(np.float32).max)


class InvalidResult(Exception):  # noqa: N818  it names what an environment returned
    """A reset or step returned what does not fit; the message continues `the environment returned`."""


class Interface:
    """Resets and steps environments with these Gymnasium spaces, and checks what they return.

    Observations keep the numbers of the environment, except that discrete ones count from 0, and that what
    has 64 bits must fit into 32: that is what a compiled program computes with.

    Args:
        action_space: the environment's.
        observation_space: the environment's; one of an array or an integer.

    """

    def __init__(self, action_space: Any, observation_space: Any) -> None:
        self.to_action = _action_converter(action_space)
        self.to_obs = observation_converter(observation_space)

    def reset(self, env: Any, seed: int) -> Any:
        """Reset the environment; return the observation.

        Raises:
            InvalidResult: it returned anything but a valid observation and `info`.

        """
        returned = env.reset(seed=seed)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise InvalidResult(f"{_short(returned)} from reset, which must return (observation, info)")
        return self.to_obs(returned[0])

    def step(self, env: Any, action: Any) -> tuple[Any, float, bool, bool]:
        """Take a step; return observation, reward, terminated and truncated.

        Args:
            env: the environment.
            action: the agent's: discrete ones count from 0, continuous ones are clipped to the box.

        Raises:
            InvalidResult: it returned anything but these and `info`, or one of them is invalid.

        """
        returned = env.step(self.to_action(action))
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise InvalidResult(
                f"{_short(returned)} from step, which must return "
                "(observation, reward, terminated, truncated, info)"
            )
        observation, reward, terminated, truncated, _ = returned
        if type(reward) is not float:
            reward = _reward(reward)
        if _MAX < abs(reward) < math.inf:
            raise InvalidResult(f"a reward of {reward:g}, beyond the range of float32")
        if type(terminated) is not bool:
            terminated = _flag("terminated", terminated)
        if type(truncated) is not bool:
            truncated = _flag("truncated", truncated)
        return self.to_obs(observation), reward, terminated, truncated


def narrow(dtype: Any) -> np.dtype:
    """Return the data type of observations inside the program: at most 32 bits."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return np.dtype(f"{dtype.kind}4") if dtype.itemsize == 8 else dtype


def start(space: Any) -> Any:
    """Return the smallest value of a discrete space: 0 for other spaces, an array for `MultiDiscrete`."""
    first = getattr(space, "start", 0)
    return first if np.ndim(first) else int(first)


def _action_converter(space: Any) -> Callable[[Any], Any]:
    """Return a function from an agent's action to an action in this Gymnasium space.

    A discrete action is shifted by the start of the space. A continuous one is clipped to its box; NaN, from
    a policy that diverged, becomes 0 first.
    """
    first = start(space)
    if hasattr(space, "nvec"):
        return lambda action: np.asarray(action, np.int64) + first
    if hasattr(space, "n"):
        return lambda action: int(action) + first
    low, high, dtype = space.low, space.high, space.dtype
    return lambda action: np.clip(np.nan_to_num(action), low, high).astype(dtype)


def observation_converter(space: Any) -> Callable[[Any], Any]:
    """Return a function that checks an observation in this Gymnasium space and converts it."""
    shape, declared, dtype = tuple(space.shape or ()), np.dtype(space.dtype), narrow(space.dtype)
    first, last = start(space), _last(space)
    scalar = last is not None and not shape

    def convert(observation: Any) -> Any:
        if last is None:
            if type(observation) is np.ndarray and (observation.dtype, observation.shape) == (dtype, shape):
                return observation
        elif scalar and isinstance(observation, int | np.integer) and first <= observation <= last:
            return observation - first
        found = _array("an observation", observation)
        if found.shape != shape:
            raise InvalidResult(
                f"an observation of shape {found.shape}, but observation_space has shape {shape}"
            )
        return _to_float32(found) if dtype.kind == "f" else whole(found)

    def whole(found: np.ndarray) -> np.ndarray:
        bounds = _limits(dtype)
        low, high = bounds if last is None else (np.asarray(first), last)
        wrong = (found < low) | (found > high)
        if found.dtype.kind == "f":
            wrong |= found != np.floor(found)
        if wrong.any():
            value, which = found[wrong][0], tuple(np.argwhere(wrong)[0])
            low, high = (np.broadcast_to(bound, shape)[which] for bound in (low, high))
            held = "" if last is not None else f": observations of {declared} must fit into {dtype}"
            raise InvalidResult(
                f"an observation with the value {value}, not a whole number from {low} to {high}{held}"
            )
        return (found - first if np.any(first) else found).astype(dtype)

    return convert


def _last(space: Any) -> np.ndarray | None:
    """Return the largest value of a discrete space; None for a box, whose bounds are often exceeded."""
    if type(space).__name__ == "Box":
        return None
    count = getattr(space, "nvec", None)
    if count is None:
        count = 2 if type(space).__name__ == "MultiBinary" else space.n
    return np.asarray(count, np.int64) - 1 + start(space)


def _limits(dtype: np.dtype) -> tuple[Any, Any]:
    return (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)


def _to_float32(found: np.ndarray) -> np.ndarray:
    if found.dtype.itemsize <= 4:
        return found
    with np.errstate(over="ignore"):
        kept = found.astype(np.float32)
    beyond = np.isinf(kept)
    if beyond.any() and not np.isinf(found[beyond]).all():
        raise InvalidResult(
            f"an observation with the value {found[beyond][0]:g}, beyond the range of float32"
        )
    return kept


def _reward(value: Any) -> float:
    found = _array("a reward", value)
    if found.ndim:
        raise InvalidResult(f"a reward of shape {found.shape}, expected one number")
    return float(found)


def _flag(name: str, value: Any) -> bool:
    found = _array(f"`{name}`", value)
    if found.ndim:
        raise InvalidResult(f"`{name}` of shape {found.shape}, expected True or False")
    if found not in (0, 1):
        raise InvalidResult(f"`{name}` = {_short(value)}, expected True or False")
    return bool(found)


def _array(what: str, value: Any) -> np.ndarray:
    try:
        found = np.asarray(value)
    except Exception:  # of lists of unequal lengths, and of whatever NumPy cannot read
        found = np.asarray(None)
    if found.dtype.kind not in "fiub":
        raise InvalidResult(f"{what} that is not made of numbers: {_short(value)}")
    return found


def _short(value: Any) -> str:
    """Return a value as part of a line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:60] + "..."
