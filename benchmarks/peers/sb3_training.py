"""How Stable-Baselines3's training is timed, whatever the algorithm.

What is timed: one `learn()` call by a fresh agent. Imports, building the agent and a throwaway agent's own
`learn()` call (which pays for whatever torch sets up lazily) come before the clock starts. There is no
evaluation, no logging, no `Monitor` and no environment checker in the timed part.
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import gymnasium as gym
import torch


def make_env() -> gym.Env:
    """Return CartPole without the checker that `gymnasium.make` wraps around it."""
    return gym.make("CartPole-v1", disable_env_checker=True)


def timed(
    build: Callable[[int], Any], throwaway: int, frames: int, threads: int, seed: int
) -> tuple[Any, dict]:
    """Train a throwaway agent, then time a fresh one; return it, and what to report.

    Args:
        build: makes an untrained agent of a seed.
        throwaway: frames of the agent that nobody times.
        frames: frames of the agent that is timed.
        threads: `torch.set_num_threads`.
        seed: of the throwaway agent; the timed one has the next.

    """
    torch.set_num_threads(threads)
    build(seed).learn(throwaway, log_interval=None)

    model = build(seed + 1)
    start = time.perf_counter()
    model.learn(frames, log_interval=None)
    seconds = time.perf_counter() - start
    done = model.num_timesteps  # `frames`, rounded up to whole rollouts
    return model, {
        "peer": "stable-baselines3",
        "version": version("stable-baselines3"),
        "torch": torch.__version__,
        "frames_per_second": round(done / seconds, 1),
        "seconds": round(seconds, 3),
        "frames": done,
        "agents": 1,
        "threads": torch.get_num_threads(),
    }
