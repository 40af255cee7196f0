"""Line world: rewards and ends counted by hand, and the best return by planning."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from tests.rl.environments.worlds.rollout import play


def test_rewards_on_the_way_to_the_goal():
    observations, _, rewards, terminated, truncated = play("LineWorld-v0", [1] * 9)
    assert rewards == pytest.approx([0.1] * 8 + [1.0])
    assert terminated == [False] * 8 + [True]
    assert not any(truncated)
    assert np.array_equal(np.stack(observations), np.eye(10))
    assert sum(rewards) == pytest.approx(1.8)


def test_off_the_edge_costs_one_and_ends():
    observations, _, rewards, terminated, _ = play("LineWorld-v0(start=1)", [1, 0, 0, 0])
    assert rewards == pytest.approx([0.1, -0.1, -0.1, -1.0])
    assert terminated == [False, False, False, True]
    assert np.array_equal(observations[-1], np.eye(10)[0])


def test_the_twentieth_move_costs_one_and_ends_unless_it_arrives():
    _, _, rewards, terminated, truncated = play("LineWorld-v0(start=4)", [1, 0] * 10)
    assert rewards == pytest.approx([0.1, -0.1] * 9 + [0.1, -1.0])
    assert terminated == [False] * 19 + [True]
    assert not any(truncated)
    wander = [1, 0] * 6 + [1] * 8
    _, _, rewards, terminated, _ = play("LineWorld-v0(start=1)", wander)
    assert (len(wander), rewards[-1], terminated[-1]) == (20, 1.0, True)


def test_a_lower_time_limit_truncates_and_does_not_terminate():
    _, _, rewards, terminated, truncated = play("LineWorld-v0(max_steps_in_episode=3)", [1] * 3)
    assert rewards == pytest.approx([0.1] * 3)
    assert truncated == [False, False, True]
    assert not any(terminated)


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_the_optimal_value_equals_plannings(discount):
    """Backward induction over (cell, moves) on the world's own steps, against the closed form."""
    task = registry.make('LineWorld-v0(observation="index")')
    environment, parameters = task.environment, task.parameters
    cls = type(jax.eval_shape(lambda: environment.reset(jax.random.key(0), parameters))[1])
    cells = np.repeat(np.arange(9), 2)
    actions = np.tile([0, 1], 9)
    best = np.zeros(10)
    step = jax.jit(jax.vmap(environment.step_env, (None, 0, 0, None)))
    for made in reversed(range(20)):
        states = cls(time=np.full(18, made, np.int32), cell=cells, fallen=np.zeros(18, bool))
        seen, _, reward, done, _ = step(jax.random.key(0), states, actions, parameters)
        value = np.asarray(reward) + discount * np.where(done, 0.0, best[np.asarray(seen)])
        value = value.reshape(9, 2)
        best = np.append(value.max(1), 0.0)
        if made <= 10 and discount < 1:  # enough moves are left to arrive from everywhere
            assert (value.argmax(1) == 1).all()
    left = 8 - np.arange(9)
    steps = left if discount == 1 else (1 - discount**left) / (1 - discount)
    assert best[:9] == pytest.approx(0.1 * steps + discount**left, abs=1e-5)


def test_a_random_start_is_uniform_over_all_cells_but_the_goal():
    task = registry.make('LineWorld-v0(start="random", observation="index")')
    assert task.states == 10
    observation, _ = jax.jit(task.reset, static_argnums=1)(jax.random.key(1), 9_000)
    counts = np.bincount(observation, minlength=10)
    assert counts[9] == 0
    assert np.abs(counts[:9] - 1000).max() < 5 * np.sqrt(1000 * 8 / 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("start=9", 'start must be a cell from 0 to 8 or "random", got 9'),
        ("start=-1", "start .* must be a whole number of at least 0, got -1"),
        ('start="anywhere"', "got 'anywhere'"),
        ('observation="onehot"', "unknown observation 'onehot'.*did you mean 'one-hot'"),
        ("size=3", "unknown argument 'size'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        registry.make(f"LineWorld-v0({arguments})")
    assert "\n" not in str(caught.value)
