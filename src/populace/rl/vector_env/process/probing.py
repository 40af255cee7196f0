"""Probing: what a short playing with random actions tells of an environment, before anybody trains in it."""

import math
import struct
import time
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from .making import Spec

_STEPS, _SECONDS = 300, 0.05
_COMPARED = 16
_SEED = 1


@dataclass(frozen=True)
class EnvInfo:
    """What was found.

    Attributes:
        action_space: Gymnasium's.
        observation_space: Gymnasium's.
        limit: steps after which an episode is cut, or None.
        seconds: of one step.
        nan: what was not a number and in which step, or empty.
        deterministic: whether the same seed and actions gave the same twice.

    """

    action_space: Any
    observation_space: Any
    limit: int | None
    seconds: float
    nan: str
    deterministic: bool


def probe(spec: Spec) -> EnvInfo:
    """Play an environment.

    Raises:
        Exception: whatever it raises when it is made, or twice at the same step.

    """
    first = spec.make()
    known = first.spec.max_episode_steps if first.spec is not None else None
    try:
        one, seconds, nan = _play(first, _STEPS)
    except Exception:  # once is an accident, which the run itself would overcome
        one, seconds, nan = _play(spec.make(), _STEPS)
    other, _, _ = _play(spec.make(), _COMPARED)
    return EnvInfo(
        first.action_space, first.observation_space, spec.limit or known, seconds, nan,
        deterministic=one[: len(other)] == other,
    )  # fmt: skip


def _play(env: Any, steps: int) -> tuple[list[int], float, str]:
    """Return a checksum of each step, seconds per step, and what was not a number first."""
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
            f"reset gives an observation of shape {np.shape(observation)}, its space says {wanted}"
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
