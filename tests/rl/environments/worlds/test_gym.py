"""The Gymnasium faces: Gymnasium's own checker, and the same episodes as inside the program."""

import subprocess
import sys
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import populace.rl.environments.worlds.gym
from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.environments.worlds import WORLDS

FACES = [
    ("LineWorld-v0", {"start": "random", "observation": "index"}),
    ("GridRobot-v0", {"width": 4, "obstacles": ((1, 1),), "source": "random", "observation": "index"}),
    ("RandomReward-v0", {"steps": 3, "observation": "index"}),
    ("Braking-v0", {"friction": (0.2, 0.4), "max_steps_in_episode": 12}),
]


@pytest.mark.parametrize(("name", "arguments"), [*((name, {}) for name in WORLDS), *FACES])
def test_gymnasiums_checker_gives_no_warning(name, arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(f"populace/{name}", render_mode="rgb_array", **arguments)
        check_env(env.unwrapped)
        env.close()


@pytest.mark.parametrize(("name", "arguments"), FACES)
def test_the_gymnasium_environment_plays_the_same_episode(name, arguments):
    seed = 7
    env = gymnasium.make(f"populace/{name}", **arguments)
    task = env.unwrapped.task
    observation, _ = env.reset(seed=seed)
    key, chain = jax.random.split(jax.random.key(seed))
    seen, world = task.environment.reset(key, task.parameters)
    assert np.array_equal(observation, seen)
    actions = np.random.default_rng(0).integers(task.actions, size=60)
    ends = 0
    for action in actions:
        key, chain = jax.random.split(chain)
        observation, reward, terminated, truncated, _ = env.step(action)
        seen, world, native_reward, *native, info = task.environment.step(key, world, action, task.parameters)
        assert np.array_equal(observation, info["final_observation"])
        assert reward == pytest.approx(float(native_reward), abs=1e-6)
        assert [terminated, truncated] == [bool(x) for x in native]
        assert env.observation_space.contains(observation)
        if terminated or truncated:
            ends += 1
            key, chain = jax.random.split(chain)
            observation, _ = env.reset()
            seen, world = task.environment.reset(key, task.parameters)
            assert np.array_equal(observation, seen)
    assert ends > 0 or name == "GridRobot-v0"


def test_an_environment_made_directly_has_a_spec_of_its_arguments_and_passes_the_checker():
    env = populace.rl.environments.worlds.gym.NativeEnv("LineWorld-v0", start=3)
    assert env.spec.id == "populace/LineWorld-v0"
    again = gymnasium.make(env.spec)
    assert again.reset(seed=0)[0].argmax() == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_importing_the_room_registers_the_worlds_without_jax():
    code = "import sys, gymnasium, populace.rl; print('jax' in sys.modules, *gymnasium.registry)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    jax, *names = done.stdout.split()
    assert jax == "False"
    assert {f"populace/{name}" for name in WORLDS} <= set(names)
    env = gymnasium.make("populace.rl:populace/LineWorld-v0")
    assert env.spec.id == "populace/LineWorld-v0"


def test_gymnasium_environments_of_one_task_share_its_programs():
    one, other, longer = (
        gymnasium.make("populace/LineWorld-v0", **given).unwrapped for given in ({}, {}, {"start": 1})
    )
    assert one._step is other._step
    assert one._step is not longer._step


def test_a_seed_restarts_the_random_sequence_and_none_continues_it():
    env = gymnasium.make("populace/LineWorld-v0", start="random")
    first = [env.reset(seed=3)[0].argmax()] + [env.reset()[0].argmax() for _ in range(20)]
    again = [env.reset(seed=3)[0].argmax()] + [env.reset()[0].argmax() for _ in range(20)]
    assert first == again
    assert len(set(first)) > 4
    fresh = [gymnasium.make("populace/LineWorld-v0", start="random").reset()[0].argmax() for _ in range(12)]
    assert len(set(fresh)) > 1, "without any seed, every environment must draw its own"


@pytest.mark.parametrize("name", WORLDS)
def test_frames_of_a_video_change_and_have_equal_sizes(name):
    env = gymnasium.make(f"populace/{name}", render_mode="rgb_array")
    env.reset(seed=0)
    frames = [env.render()]
    for _ in range(3):
        env.step(1)
        frames.append(env.render())
    height, width, colors = frames[0].shape
    assert (colors, frames[0].dtype) == (3, np.uint8)
    assert (height % 2, width % 2) == (0, 0), "a film in yuv420p needs even sizes"
    assert all(frame.shape == frames[0].shape for frame in frames)
    assert not np.array_equal(frames[0], frames[1])
    assert env.metadata["render_fps"] == registry.make(name).environment.fps


def test_every_native_environment_works_in_gymnasium_but_only_ours_render():
    face = populace.rl.environments.worlds.gym.NativeEnv("CartPole-v1", render_mode="rgb_array")
    with pytest.raises(UsageError, match=r"call reset\(\) before the first step"):
        face.step(0)
    observation, _ = face.reset(seed=0)
    assert face.observation_space.contains(observation)
    with pytest.raises(UsageError, match="CartPole-v1 cannot be rendered"):
        face.render()


def test_bad_arguments_are_refused_as_by_make():
    with pytest.raises(UsageError, match="start must be a cell"):
        gymnasium.make("populace/LineWorld-v0", start=9)
    with pytest.raises(UsageError, match="render_mode must be None or 'rgb_array', got 'ansi'"):
        populace.rl.environments.worlds.gym.NativeEnv("LineWorld-v0", render_mode="ansi")


def test_a_policy_may_give_actions_of_any_integer_type():
    env = gymnasium.make("populace/LineWorld-v0")
    for action in (1, np.int64(1), np.int32(1), jnp.int32(1)):
        env.reset(seed=0)
        assert env.unwrapped.step(action)[1] == pytest.approx(0.1)
