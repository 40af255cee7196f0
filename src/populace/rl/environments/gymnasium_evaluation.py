"""Evaluation outside the compiled program: a policy plays in Gymnasium's own environment, and is recorded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from populace.core.errors import PopulaceError, RunError, typed_line
from populace.rl.environments import names
from populace.rl.environments.worlds import WORLDS
from populace.rl.vector_env.process.interface import Interface, InvalidResult

Policy = Callable[[Any], np.ndarray]
_VIDEO_SECONDS = 20


def known(name: str) -> bool:
    """Return whether Gymnasium has this environment, or it is a class derived from `gymnasium.Env`."""
    return _maker(name) is not None


def renders(name: str) -> bool:
    """Return whether the environment renders to arrays, so that `record_video` works."""
    make = _maker(name) or _native_maker(name)
    return make is not None and renders_to_arrays(name, make)


def renders_to_arrays(name: str, make: Callable[..., Any]) -> bool:
    """Return whether what `make` creates says that it renders to arrays."""
    with _told(name):
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

    Raises:
        RunError: the environment failed, or returned what does not fit its spaces.

    """
    make = _maker(name)
    assert make is not None
    with _told(name):
        envs = [make() for _ in range(episodes)]
    interface = Interface(envs[0].action_space, envs[0].observation_space)
    total, done, t = np.zeros(episodes), np.zeros(episodes, bool), 0
    try:
        with _told(name):
            observation = np.stack([interface.reset(env, seed + i) for i, env in enumerate(envs)])
        while not done.all():
            t += 1
            # Include the episodes that are done: fewer rows would compile the policy again.
            actions = policy(observation)
            for i in np.flatnonzero(~done):
                with _told(name, f", in step {t} of the episode with seed {seed + int(i)}"):
                    observation[i], reward, terminated, truncated = interface.step(envs[i], actions[i])
                total[i] += reward
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
    return recorded(name, make, lambda: policy, seed)


def recorded(
    name: str, make: Callable[..., Any], begin: Callable[[], Policy], seed: int
) -> tuple[Iterator[np.ndarray], int, float]:
    """Return what `record_video` does, of what `make` creates; `begin` returns the policy of one episode."""

    def episode(render: bool) -> Iterator[tuple[np.ndarray | None, float]]:
        with _told(name):
            env = make(render_mode="rgb_array") if render else make()
            interface = Interface(env.action_space, env.observation_space)
            observation, done = interface.reset(env, seed), False
        policy = begin()
        while not done:
            action = policy(observation)
            with _told(name, f", in an episode with seed {seed}"):
                frame: Any = env.render() if render else None
                observation, reward, terminated, truncated = interface.step(env, action)
            done = terminated or truncated
            yield frame, reward
        if render:
            yield env.render(), 0.0  # the state after the last step
        env.close()

    with _told(name):
        fps = int(make(render_mode="rgb_array").metadata.get("render_fps", 30))
    total = sum(reward for _, reward in episode(render=False))
    frames = (frame for frame, _ in episode(render=True) if frame is not None)
    limited = (frame for _, frame in zip(range(_VIDEO_SECONDS * fps), frames))
    return limited, fps, total


@contextmanager
def _told(name: str, where: str = "") -> Iterator[None]:
    """Raise a `RunError` of one line for whatever an environment raises."""
    try:
        yield
    except PopulaceError:
        raise
    except InvalidResult as error:
        raise RunError(f"environment '{name}' returned {error}{where}") from None
    except Exception as error:
        raise RunError(f"environment '{name}' failed: {typed_line(error)}{where}") from error


def _maker(name: str) -> Callable[..., Any] | None:
    """Return a function that creates Gymnasium's environment, or None if it has none of that name."""
    import gymnasium

    asked = names.parse(name)
    if asked.source == "gymnasium" or asked.path:
        from populace.rl.environments import registry

        task = registry.make(name)
        # As the worker processes make it: truncated at the limit that probing found.
        return task.environment.cache.worker_pool.spec.make if task.origin == "host" else None
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
