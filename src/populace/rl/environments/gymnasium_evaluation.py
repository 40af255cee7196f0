"""Outside the compiled program: the same policy in the real Gymnasium, played and filmed."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from populace.rl.environments import names
from populace.rl.environments.worlds import WORLDS
from populace.rl.vector_env.process import making

Policy = Callable[[Any], np.ndarray]
_FILM_SECONDS = 20


def known(name: str) -> bool:
    """Return whether it is an environment that Gymnasium has, or a class of its kind."""
    return _maker(name) is not None


def filmed(name: str) -> bool:
    """Return whether an episode of that environment can be drawn."""
    make = _maker(name) or _world(name)
    if make is None:
        return False
    env = make()
    modes = env.metadata.get("render_modes", [])
    env.close()
    return "rgb_array" in modes


def score_threshold(name: str) -> float | None:
    """Return the return that Gymnasium calls solved, or None."""
    import gymnasium

    asked = names.parse(name)
    registered = asked.identifier in gymnasium.registry and not asked.arguments
    return gymnasium.spec(asked.identifier).reward_threshold if registered else None


def play(name: str, policy: Policy, episodes: int, seed: int) -> np.ndarray:
    """Play episodes of the real environment, all side by side.

    Args:
        name: of an environment that is `known`.
        policy: maps observations (episodes, ...) to actions.
        episodes: how many; the i-th is reset with `seed + i`.
        seed: of the first episode.

    Returns:
        the undiscounted return of each episode.

    """
    make = _maker(name)
    assert make is not None
    envs = [make() for _ in range(episodes)]
    taken, seen = making.taken(envs[0].action_space), making.seen(envs[0].observation_space)
    total, done = np.zeros(episodes), np.zeros(episodes, bool)
    try:
        observation = np.stack([seen(env.reset(seed=seed + i)[0]) for i, env in enumerate(envs)])
        while not done.all():
            # All are asked for, those that are over too: another shape would be compiled anew.
            actions = policy(observation)
            for i in np.flatnonzero(~done):
                found, reward, terminated, truncated, _ = envs[i].step(taken(actions[i]))
                observation[i] = seen(found)
                total[i] += float(reward)
                done[i] = terminated or truncated
    finally:
        for env in envs:
            env.close()
    return total


def film(name: str, policy: Policy, seed: int) -> tuple[Iterator[np.ndarray], int, float]:
    """Play one episode and return (its frames, frames per second, its return).

    The frames are drawn while they are read, from a second playing of the same episode.
    """
    make = _maker(name) or _world(name)
    assert make is not None

    def episode(render: bool) -> Iterator[tuple[np.ndarray | None, float]]:
        env = make(render_mode="rgb_array") if render else make()
        taken, seen = making.taken(env.action_space), making.seen(env.observation_space)
        observation, _ = env.reset(seed=seed)
        done = False
        while not done:
            picture: Any = env.render() if render else None
            observation, reward, terminated, truncated, _ = env.step(taken(policy(seen(observation))))
            done = terminated or truncated
            yield picture, float(reward)
        if render:
            yield env.render(), 0.0  # what the last step led to
        env.close()

    fps = int(make(render_mode="rgb_array").metadata.get("render_fps", 30))
    total = sum(reward for _, reward in episode(render=False))
    frames = (picture for picture, _ in episode(render=True) if picture is not None)
    limited = (frame for _, frame in zip(range(_FILM_SECONDS * fps), frames))
    return limited, fps, total


def _maker(name: str) -> Callable[..., Any] | None:
    """Return what makes the environment of Gymnasium's, None where it has none of that name."""
    import gymnasium

    asked = names.parse(name)
    if asked.source == "gymnasium" or asked.path:
        from populace.rl.environments import registry
        from populace.rl.vector_env import make

        hosted = registry.make(name).origin == "host"
        return make.spec_of(name, asked.identifier, asked.arguments).make if hosted else None
    if asked.arguments or asked.identifier not in gymnasium.registry:
        return None  # arguments are those of the environment inside the program
    return lambda **more: gymnasium.make(asked.identifier, **more)


def _world(name: str) -> Callable[..., Any] | None:
    """Return what makes the face that an environment inside the program shows, where it has pictures."""
    asked = names.parse(name)
    if asked.identifier not in WORLDS and not asked.identifier.endswith("-MinAtar"):
        return None
    from populace.rl.environments.worlds.gym import NativeEnv

    return lambda **more: NativeEnv(asked.identifier, **(asked.arguments | more))
