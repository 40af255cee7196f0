"""Native environments in lockstep with Gymnasium's of the same name, on the boundaries of their states."""

import itertools
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest

from populace.rl.environments import registry


def beside(*numbers):
    """Each number and the next ones below and above in float32."""
    return [np.nextafter(np.float32(x), np.float32(x + d)) for x in numbers for d in (-1, 0, 1)]


TILT = 12 * 2 * np.pi / 360
TWINS = {
    "CartPole-v1": (
        {"x": [*beside(-2.4, 2.4), 0, 2.35], "x_dot": [0, -3, 3],
         "theta": [*beside(-TILT, TILT), 0, 0.2, -0.2], "theta_dot": [0, 3, -3]}, range(2),
    ),
    "MountainCar-v0": (
        {"position": [*beside(-1.2, 0.5, 0.6), -1.15, -0.5, 0.45, 0.55],
         "velocity": [*beside(-0.07, 0, 0.07), 0.04]}, range(3),
    ),
    "MountainCarContinuous-v0": (
        {"position": [*beside(-1.2, 0.45, 0.6), -1.15, -0.5, 0.42],
         "velocity": [*beside(-0.07, 0, 0.07), 0.04]}, (-3, -1, -0.5, 0, 0.5, 1, 3),
    ),
    "Pendulum-v1": (
        {"theta": [*beside(-np.pi, 0, np.pi), 1, -7, 7, 2 * np.pi], "theta_dot": [*beside(-8, 0, 8), 4, -4]},
        (-5, -2, -1, 0, 1, 2, 5),
    ),
    "Acrobot-v1": (
        {"joint_angle1": [*beside(-np.pi, np.pi), 0, 1, 2], "joint_angle2": [*beside(-np.pi, np.pi), 0, 1],
         "velocity_1": [-4 * np.pi, 0, 4 * np.pi], "velocity_2": [-9 * np.pi, 0, 9 * np.pi]}, range(3),
    ),
}  # fmt: skip


def test_every_twin_is_compared():
    assert set(TWINS) == set(registry.names()) & set(gymnasium.registry)


@pytest.mark.parametrize("name", TWINS)
def test_a_step_from_every_boundary_is_gymnasiums(name):
    numbers, actions = TWINS[name]
    task: Any = registry.make(name)
    env: Any = gymnasium.make(name).unwrapped
    _, start = jax.jit(task.environment.reset_env)(jax.random.key(0), task.parameters)
    rows = list(itertools.product(*numbers.values(), actions))
    states = np.array([row[:-1] for row in rows], np.float32)
    taken = np.array([row[-1] for row in rows], np.float32 if task.box else np.int32)
    if name == "CartPole-v1":  # no step begins where an episode has ended
        going = (np.abs(states.astype(float)[:, [0, 2]]) <= [2.4, TILT]).all(axis=1)
        states, taken = states[going], taken[going]

    @jax.jit
    @jax.vmap
    def step(state, action):
        begun = start.replace(time=0, **dict(zip(numbers, state)))
        action = action[None] if task.box else action
        obs, after, reward, terminated, _ = task.environment.step_env(
            jax.random.key(0), begun, action, task.parameters
        )
        return obs, reward, terminated, after.time

    obs, reward, terminated, time = jax.device_get(step(states, taken))
    env.reset(seed=0)
    for i, (state, action) in enumerate(zip(states, taken)):
        env.state = state.astype(np.float64)
        if name == "CartPole-v1":
            env.steps_beyond_terminated = None
        wanted, gained, ended, _, _ = env.step(np.array([action]) if task.box else int(action))
        told = f"from {state} by {action}"
        np.testing.assert_allclose(obs[i], wanted, rtol=5e-5, atol=2e-4, err_msg=told)
        np.testing.assert_allclose(reward[i], gained, rtol=1e-5, atol=1e-5, err_msg=told)
        assert bool(terminated[i]) == bool(ended), told
    assert (time == 1).all()


@pytest.mark.parametrize("name", TWINS)
def test_episodes_begin_where_gymnasiums_do(name):
    task, env = registry.make(name), gymnasium.make(name)
    ours, _ = jax.jit(lambda key: task.reset(key, 2000))(jax.random.key(0))
    theirs = np.array([env.reset(seed=seed)[0] for seed in range(500)])
    for of in (np.min, np.max):
        np.testing.assert_allclose(
            of(ours, axis=0), of(theirs, axis=0), atol=0.06 * np.ptp(ours, axis=0).max()
        )
    assert env.spec is not None
    assert task.horizon == env.spec.max_episode_steps
