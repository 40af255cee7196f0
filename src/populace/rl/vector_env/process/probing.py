"""A short episode of random actions in an environment, before anything is trained in it."""

import math
import struct
import time
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from populace.rl.vector_env.process.making import Spec

_STEPS, _SECONDS = 300, 0.05
_COMPARED = 16
_SEED = 1


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
    try:
        one, seconds, nan = _play(first, _STEPS)
    except Exception:  # try again: a run recovers from a single failure too
        one, seconds, nan = _play(spec.make(), _STEPS)
    other, _, _ = _play(spec.make(), _COMPARED)
    return EnvInfo(
        first.action_space, first.observation_space, spec.max_episode_steps or registered, seconds, nan,
        deterministic=one[: len(other)] == other,
    )  # fmt: skip


def _play(env: Any, steps: int) -> tuple[list[int], float, str]:
    """Return a checksum per step, seconds per step, and where the first NaN appeared."""
    env.action_space.seed(_SEED)
    observation, _ = env.reset(seed=_SEED)
    _check(observation, env.observation_space)
    checksums, t, nan = [_checksum(observation, 0.0)], 0, _nan(observation, 0.0, "the reset")
    start = time.perf_counter()
    while t < steps and (t < _COMPARED or time.perf_counter() - start < _SECONDS):
        t += 1
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        checksums.append(_checksum(observation, reward))
        nan = nan or _nan(observation, reward, f"step {t}")
        if terminated or truncated:
            observation, _ = env.reset(seed=_SEED + t)
    seconds = (time.perf_counter() - start) / max(t, 1)
    env.close()
    return checksums, seconds, nan


def _check(observation: Any, space: Any) -> None:
    wanted = getattr(space, "shape", None)
    if wanted is not None and np.shape(observation) != wanted:
        raise ValueError(
            f"reset returns an observation of shape {np.shape(observation)}, but observation_space has "
            f"shape {wanted}"
        )


def _checksum(observation: Any, reward: Any) -> int:
    pair = struct.pack("<d", float(reward))
    return (
        zlib.crc32(pair + np.asarray(observation).tobytes()) if _is_array(observation) else zlib.crc32(pair)
    )


def _nan(observation: Any, reward: Any, where: str) -> str:
    if math.isnan(float(reward)):
        return f"the reward of {where}"
    if _is_array(observation) and np.isnan(np.asarray(observation)).any():
        return f"the observation of {where}"
    return ""


def _is_array(observation: Any) -> bool:
    return (
        isinstance(observation, np.ndarray | np.generic | int | float)
        and np.asarray(observation).dtype.kind in "fiub"
    )
