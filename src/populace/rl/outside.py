"""Outside the compiled program: the same policy in the real Gymnasium, played and filmed."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Policy = Callable[[Any], np.ndarray]
_FILM_SECONDS = 20


def known(name: str) -> bool:
    """Return whether Gymnasium has an environment of that name."""
    import gymnasium

    return name in gymnasium.registry


def solved(name: str) -> float | None:
    """Return the return that Gymnasium calls solved, or None."""
    import gymnasium

    return gymnasium.spec(name).reward_threshold if known(name) else None


def play(name: str, policy: Policy, episodes: int, seed: int) -> np.ndarray:
    """Play episodes of the real environment, all side by side.

    Args:
        name: its id in Gymnasium.
        policy: maps observations (episodes, ...) to actions.
        episodes: how many; the i-th is reset with `seed + i`.
        seed: of the first episode.

    Returns:
        the undiscounted return of each episode.

    """
    import gymnasium

    envs = gymnasium.make_vec(name, num_envs=episodes, vectorization_mode="sync")
    total, over = np.zeros(episodes), np.zeros(episodes, bool)
    try:
        observation, _ = envs.reset(seed=seed)
        while not over.all():
            observation, reward, terminated, truncated, _ = envs.step(policy(observation))
            total += np.where(over, 0.0, reward)
            over |= terminated | truncated
    finally:
        envs.close()
    return total


def film(name: str, policy: Policy, seed: int) -> tuple[Iterator[np.ndarray], int, float]:
    """Play one episode and return (its frames, frames per second, its return).

    The frames are drawn while they are read, from a second playing of the same episode.
    """
    import gymnasium

    fps = int(gymnasium.make(name).metadata.get("render_fps", 30))

    def episode(render: bool) -> Iterator[tuple[np.ndarray | None, float]]:
        env = gymnasium.make(name, render_mode="rgb_array" if render else None)
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            picture: Any = env.render() if render else None
            action = policy(observation)
            observation, reward, terminated, truncated, _ = env.step(action)
            over = terminated or truncated
            yield picture, float(reward)
        env.close()

    total = sum(reward for _, reward in episode(render=False))
    frames = (picture for picture, _ in episode(render=True) if picture is not None)
    limited = (frame for _, frame in zip(range(_FILM_SECONDS * fps), frames))
    return limited, fps, total
