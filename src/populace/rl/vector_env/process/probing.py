"""A short episode of random actions in an environment, before anything is trained in it."""

import math
import struct
import time
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.rl.vector_env.process.interface import Interface, InvalidResult, start
from populace.rl.vector_env.process.making import Spec

_STEPS, _SECONDS = 300, 0.05
_COMPARED = 16
_SEED = 1
OBSERVATIONS = ("Box", "Discrete", "MultiBinary", "MultiDiscrete")
"""Kinds of observation spaces that agents support."""


@dataclass(frozen=True)
class EnvInfo:
    """What probing an environment found.

    Attributes:
        action_space: the Gymnasium space.
        observation_space: the Gymnasium space.
        max_episode_steps: steps after which an episode is truncated, or None.
        step_seconds: duration of one step in seconds.
        nan: where the first NaN appeared, such as `the reward of step 3`; empty if nowhere.
        deterministic: whether the same seed and actions gave the same steps twice.

    """

    action_space: Any
    observation_space: Any
    max_episode_steps: int | None
    step_seconds: float
    nan: str
    deterministic: bool


def probe(spec: Spec) -> EnvInfo:
    """Take random actions in an environment.

    Raises:
        Exception: whatever the environment raises when it is created, or twice while it is stepped.

    """
    first = spec.make()
    registered = first.spec.max_episode_steps if first.spec is not None else None
    spaces, limit = (first.action_space, first.observation_space), spec.max_episode_steps or registered
    if not supported(*spaces):
        return EnvInfo(*spaces, limit, 0.0, "", deterministic=True)
    interface = Interface(*spaces)
    try:
        one, seconds, nan = _play(first, interface, _STEPS)
    except InvalidResult:
        raise
    except Exception:  # try again: a run recovers from a single failure too
        one, seconds, nan = _play(spec.make(), interface, _STEPS)
    other, _, _ = _play(spec.make(), interface, _COMPARED)
    return EnvInfo(*spaces, limit, seconds, nan, deterministic=one[: len(other)] == other)


def supported(action_space: Any, observation_space: Any) -> bool:
    """Return whether agents support these spaces."""
    action, observation = type(action_space).__name__, type(observation_space).__name__
    acts = action in ("Discrete", "JointActions") or (
        action == "Box" and np.issubdtype(action_space.dtype, np.floating)
    )
    return acts and observation in OBSERVATIONS


def _play(env: Any, interface: Interface, steps: int) -> tuple[list[int], float, str]:
    """Return a checksum per step, seconds per step, and where the first NaN appeared.

    Raises:
        InvalidResult: the environment returned something invalid; the message names the step.

    """
    space, first = env.action_space, start(env.action_space)
    space.seed(_SEED)
    t, nan = 0, ""
    try:
        observation = interface.reset(env, _SEED)
        checksums, nan = [_checksum(observation, 0.0)], _nan(observation, 0.0, "the reset")
        begun = time.perf_counter()
        while t < steps and (t < _COMPARED or time.perf_counter() - begun < _SECONDS):
            t += 1
            observation, reward, terminated, truncated = interface.step(env, space.sample() - first)
            checksums.append(_checksum(observation, reward))
            nan = nan or _nan(observation, reward, f"step {t}")
            if terminated or truncated:
                observation = interface.reset(env, _SEED + t)
    except InvalidResult as error:
        raise InvalidResult(f"{error}, in step {t} of random actions after seed {_SEED}") from None
    seconds = (time.perf_counter() - begun) / max(t, 1)
    env.close()
    return checksums, seconds, nan


def _checksum(observation: Any, reward: float) -> int:
    return zlib.crc32(struct.pack("<d", reward) + np.asarray(observation).tobytes())


def _nan(observation: Any, reward: float, where: str) -> str:
    if math.isnan(reward):
        return f"the reward of {where}"
    return f"the observation of {where}" if np.isnan(observation).any() else ""
