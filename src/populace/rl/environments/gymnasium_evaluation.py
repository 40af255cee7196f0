"""Evaluation outside the compiled program: a policy plays in Gymnasium's own environment, and is recorded."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from populace.rl.environments import names
from populace.rl.environments.worlds import WORLDS
from populace.rl.vector_env.process import making

Policy = Callable[[Any], np.ndarray]
_VIDEO_SECONDS = 20


def known(name: str) -> bool:
    """Return whether Gymnasium has this environment, or it is a class derived from `gymnasium.Env`."""
    return _maker(name) is not None


def renders(name: str) -> bool:
    """Return whether the environment renders to arrays, so that `record_video` works."""
    make = _maker(name) or _native_maker(name)
    if make is None:
        return False
    env = make()
    modes = env.metadata.get("render_modes", [])
    env.close()
    return "rgb_array" in modes


def score_threshold(name: str) -> float | None:
    """Return the return at which Gymnasium considers the environment solved, or None."""
    import gymnasium

    asked = names.parse(name)
    registered = asked.identifier in gymnasium.registry and not asked.arguments
    return gymnasium.spec(asked.identifier).reward_threshold if registered else None


def play(name: str, policy: Policy, episodes: int, seed: int) -> np.ndarray:
    """Play episodes of Gymnasium's environment, all at the same time.

    Args:
        name: name of an environment that is `known`.
        policy: maps observations (episodes, ...) to actions (episodes, ...).
        episodes: number of episodes; episode i is reset with `seed + i`.
        seed: seed of the first episode.

    Returns:
        the undiscounted return of each episode, (episodes,).

    """
    make = _maker(name)
    assert make is not None
    envs = [make() for _ in range(episodes)]
    to_action = making.action_converter(envs[0].action_space)
    to_obs = making.observation_converter(envs[0].observation_space)
    total, done = np.zeros(episodes), np.zeros(episodes, bool)
    try:
        observation = np.stack([to_obs(env.reset(seed=seed + i)[0]) for i, env in enumerate(envs)])
        while not done.all():
            # Include the episodes that are done: fewer rows would compile the policy again.
            actions = policy(observation)
            for i in np.flatnonzero(~done):
                obs, reward, terminated, truncated, _ = envs[i].step(to_action(actions[i]))
                observation[i] = to_obs(obs)
                total[i] += float(reward)
                done[i] = terminated or truncated
    finally:
        for env in envs:
            env.close()
    return total


def record_video(name: str, policy: Policy, seed: int) -> tuple[Iterator[np.ndarray], int, float]:
    """Play one episode and return its frames, frames per second, and its undiscounted return.

    Frames are uint8 arrays (height, width, 3), at most 20 s of them, rendered as they are consumed: the
    episode is played a second time for that.
    """
    make = _maker(name) or _native_maker(name)
    assert make is not None

    def episode(render: bool) -> Iterator[tuple[np.ndarray | None, float]]:
        env = make(render_mode="rgb_array") if render else make()
        to_action = making.action_converter(env.action_space)
        to_obs = making.observation_converter(env.observation_space)
        observation, _ = env.reset(seed=seed)
        done = False
        while not done:
            frame: Any = env.render() if render else None
            observation, reward, terminated, truncated, _ = env.step(to_action(policy(to_obs(observation))))
            done = terminated or truncated
            yield frame, float(reward)
        if render:
            yield env.render(), 0.0  # the state after the last step
        env.close()

    fps = int(make(render_mode="rgb_array").metadata.get("render_fps", 30))
    total = sum(reward for _, reward in episode(render=False))
    frames = (frame for frame, _ in episode(render=True) if frame is not None)
    limited = (frame for _, frame in zip(range(_VIDEO_SECONDS * fps), frames))
    return limited, fps, total


def _maker(name: str) -> Callable[..., Any] | None:
    """Return a function that creates Gymnasium's environment, or None if it has none of that name."""
    import gymnasium

    asked = names.parse(name)
    if asked.source == "gymnasium" or asked.path:
        from populace.rl.environments import registry
        from populace.rl.vector_env import make

        hosted = registry.make(name).origin == "host"
        return make.spec_of(name, asked.identifier, asked.arguments).make if hosted else None
    if asked.arguments or asked.identifier not in gymnasium.registry:
        return None  # the arguments are those of the compiled environment
    return lambda **more: gymnasium.make(asked.identifier, **more)


def _native_maker(name: str) -> Callable[..., Any] | None:
    """Return a function that creates the Gymnasium view of a compiled environment, or None if it has none."""
    asked = names.parse(name)
    if asked.identifier not in WORLDS and not asked.identifier.endswith("-MinAtar"):
        return None
    from populace.rl.environments.worlds.gym import NativeEnv

    return lambda **more: NativeEnv(asked.identifier, **(asked.arguments | more))
