"""Actions in the bounds of their environment, and observations as features."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import spaces

from populace.rl import DQN, PPO, Tabular
from populace.rl.environments import registry
from populace.rl.spaces import flat, pixel_scale, to_env_action
from populace.rl.tabular.features import Raw
from tests.rl import probes_policy
from tests.rl.probes import Probe


def test_actions_are_in_units_of_the_box_and_never_leave_it():
    task = registry.make("ProbeChosenContinuous-test")
    raw = np.float32([[-1.0], [0.0], [1.0], [-7.0], [7.0], [0.5]])
    low, high = probes_policy.LOW, probes_policy.HIGH
    given = jax.jit(lambda raw: to_env_action(task, raw))(raw)
    np.testing.assert_allclose(given[:, 0], [low, (low + high) / 2, high, low, high, 2.0])


class Bright(Probe):
    """Pictures in bytes."""

    def get_obs(self, state, params=None, key=None) -> Any:
        return jnp.arange(250, 250 - 32, -2, jnp.int32).astype(jnp.uint8)[:16].reshape(4, 4, 1)

    def observation_space(self, params) -> Any:
        return spaces.Box(0, 255, (4, 4, 1), jnp.uint8)


@pytest.mark.parametrize("agent", [DQN, PPO, partial(Tabular, features=Raw())], ids=["dqn", "ppo", "linear"])
def test_pictures_in_bytes_are_divided_by_255_unless_told_otherwise(agent):
    """The same weights give for a picture what they give for its 255th part unscaled."""
    by_default = agent(env="tests.rl.test_spaces:Bright")
    plain = agent(env="tests.rl.test_spaces:Bright", normalize_images=False)
    by_default.check()
    assert (by_default.input_scale, plain.input_scale) == (1 / 255, 1.0)
    picture = np.arange(250, 250 - 32, -2, np.int32).astype(np.uint8)[:16].reshape(4, 4, 1)

    def seen(learner, observation):
        if isinstance(learner, DQN):
            return learner.build(jax.random.key(0))(observation)
        if isinstance(learner, Tabular):
            return learner.basis.encode(observation)
        return learner._see(learner.init(jax.random.key(0)).model, observation)

    @jax.jit
    def both(picture):
        return seen(by_default, picture), seen(plain, picture / jnp.float32(255))

    np.testing.assert_allclose(*both(picture), rtol=1e-5, atol=1e-6)


def test_planes_of_booleans_and_numbers_are_seen_as_they_are():
    for name in ("Breakout-MinAtar", "CartPole-v1"):
        assert pixel_scale(registry.make(name)) == 1.0


def test_discrete_actions_are_passed_on():
    action = np.int32(1)
    assert to_env_action(registry.make("CartPole-v1"), action) is action  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("low", "high"), [(-2.0, np.inf), (-np.inf, np.inf), (-3.4e38, 3.4e38)])
def test_a_box_without_bounds_keeps_its_own_units(low, high):
    class Open:
        box = (np.array([low]), np.array([high]))
        action_shape = (1,)

    given = jax.jit(lambda raw: to_env_action(Open(), raw))(np.float32([[0.3], [-5.0]]))  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(given[:, 0], [0.3, max(low, -5.0)], rtol=1e-6)


def test_states_that_are_numbers_are_seen_one_hot():
    class Numbered:
        states = 4

    seen = jax.jit(lambda state: flat(Numbered(), state))(np.array([[0, 3]]))  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(seen, np.eye(4)[[[0, 3]]])
