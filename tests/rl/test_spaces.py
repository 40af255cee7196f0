"""Actions in the bounds of their environment, and observations as features."""

import jax
import numpy as np
import pytest

from populace.rl.environments import registry
from populace.rl.spaces import flat, to_env_action
from tests.rl import probes_policy


def test_actions_are_in_units_of_the_box_and_never_leave_it():
    task = registry.make("ProbeChosenContinuous-test")
    raw = np.float32([[-1.0], [0.0], [1.0], [-7.0], [7.0], [0.5]])
    low, high = probes_policy.LOW, probes_policy.HIGH
    given = jax.jit(lambda raw: to_env_action(task, raw))(raw)
    np.testing.assert_allclose(given[:, 0], [low, (low + high) / 2, high, low, high, 2.0])


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
