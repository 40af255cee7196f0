"""Enumeration against the environments themselves: every outcome, and no other."""

import dataclasses
from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import spaces

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.environments.discretization import aggregate
from populace.rl.planning import dynamic_programming, enumeration
from tests.rl.probes import Probe

LAKES = ["FrozenLake-misc", "FrozenLake-misc(map_name='8x8')", "FrozenLake-misc(is_slippery=False)"]


class Secret(Probe):
    """The observation is the time modulo 2, but the reward depends on the time itself: it hides something."""

    length = 4

    def reward(self, state: Any, action: Any) -> Any:
        return state.sign * state.time

    def reset_env(self, key: Any, params: Any) -> Any:
        observation, state = super().reset_env(key, params)
        return observation, state.replace(sign=jnp.float32(1))

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        state = state.replace(sign=state.sign + 1)
        return super().step_env(key, state, action, params)

    def get_obs(self, state: Any, params: Any = None, key: Any = None) -> Any:
        return jnp.int32(state.time % 2)

    def observation_space(self, params: Any) -> Any:
        return spaces.Discrete(2)


if "ProbeSecret-test" not in gymnax.registered_envs:
    gymnax.register("ProbeSecret-test", Secret)


@pytest.mark.parametrize("name", LAKES)
def test_frozen_lake_of_gymnax_equals_gymnasiums(name):
    ours = enumeration.mdp(name, 0.9)
    twin = name.replace("FrozenLake-misc", "gymnasium:FrozenLake-v1")
    theirs = enumeration.mdp(twin, 0.9)
    if "8x8" not in name:  # Gymnasium gives the large lake 200 steps under the name FrozenLake8x8-v1 only
        assert registry.make(name).horizon == registry.make(twin).horizon
    np.testing.assert_allclose(ours.dense(), theirs.dense(), atol=1e-7)
    np.testing.assert_allclose(ours.rewards, theirs.rewards, atol=1e-7)
    np.testing.assert_array_equal(ours.terminal, theirs.terminal)
    assert ours.start is not None
    assert theirs.start is not None
    np.testing.assert_array_equal(ours.start, theirs.start)


def test_the_table_of_frozen_lake_equals_the_environment():
    task = registry.make("FrozenLake-misc(success_rate=0.6)")
    mdp, draws = enumeration.outcomes(task).mdp(0.9), 4_000

    @jax.jit
    def follows(place, action):
        _, world = task.environment.reset(jax.random.key(0), task.parameters)
        keys = jax.random.split(jax.random.key(1), draws)
        step = jax.vmap(task.environment.step_env, (0, None, None, None))
        seen, _, reward, done, _ = step(keys, world.replace(position=place), action, task.parameters)
        return seen, done, reward.mean()

    for s in np.flatnonzero(~mdp.terminal):
        for a in range(4):
            seen, done, reward = jax.device_get(follows(np.int32(s), np.int32(a)))
            share = np.bincount(seen, minlength=16) / draws
            np.testing.assert_allclose(share, mdp.dense()[s, a], atol=0.04)  # 5 standard deviations
            np.testing.assert_array_equal(done, mdp.terminal[seen])
            assert reward == pytest.approx(mdp.rewards[s, a], abs=0.04)


def test_known_values_of_the_slippery_lake():
    # The optimum of the 4 x 4 lake without a time limit, found in every course, is 0.8235.
    plan = dynamic_programming.value_iteration(enumeration.mdp("FrozenLake-misc", 0.9999))
    assert plan.values[0] == pytest.approx(14 / 17, abs=0.01)


def test_line_world_is_found_by_search():
    mdp = enumeration.mdp("LineWorld-v0(observation='index')", 1.0 - 1e-9)
    plan = dynamic_programming.policy_iteration(mdp)
    np.testing.assert_allclose(plan.values[:9], 1 + 0.1 * (8 - np.arange(9)), atol=1e-6)
    assert plan.actions[:9].tolist() == [1] * 9
    assert mdp.start is not None
    assert mdp.start.argmax() == 0
    assert mdp.terminal.tolist() == [False] * 9 + [True]
    # Off the left edge the task ends without reaching a state of its own.
    assert mdp.termination[0, 0] == 1.0
    assert mdp.rewards[0, 0] == -1.0


def test_the_robot_takes_the_shortest_path():
    # From the top left, looking east, to the bottom right of 3 x 3 cells: 2 ahead, a turn, 2 ahead.
    mdp = enumeration.mdp("GridRobot-v0(observation='index')", 1.0 - 1e-9)
    plan = dynamic_programming.policy_iteration(mdp)
    assert mdp.start is not None
    assert mdp.start @ plan.values == pytest.approx(1 - 4 * 0.1, abs=1e-6)


def test_a_random_start_is_an_unknown_distribution():
    table = enumeration.outcomes(registry.make("LineWorld-v0(observation='index', start='random')"))
    assert table.start is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v1", "its observations must be one integer"),
        ("LineWorld-v0", "its observations must be one integer"),
        ("RandomReward-v0(observation='index')", "state 0 has random outcomes"),
        ("ProbeSecret-test", "depends on something that is not observed"),
        ("Pendulum-v1", "actions discrete"),
    ],
)
def test_environments_without_a_table_are_refused(name, message):
    with pytest.raises(UsageError, match=message) as caught:
        enumeration.mdp(name, 0.9)
    assert "\n" not in str(caught.value)


CORRIDOR = "tests.rl.corridor:Corridor(max_episode_steps=50)"


def test_a_users_class_may_have_a_table():
    # 3 cells to go, each 1 / 0.8 steps away.
    mdp = enumeration.mdp(CORRIDOR, 1.0 - 1e-9)
    plan = dynamic_programming.policy_iteration(mdp)
    np.testing.assert_allclose(plan.values, [-3.75, -2.5, -1.25, 0.0], atol=1e-5)
    assert mdp.start is not None
    assert mdp.start.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_the_table_of_a_users_class_is_used_only_if_asked_for():
    assert enumeration.defined_outcomes(registry.make(CORRIDOR)) is None
    with pytest.raises(UsageError, match="it has no `P`, and its state cannot be set"):
        enumeration.mdp("tests.rl.corridor:Cheaper(max_episode_steps=50)", 0.9)


def test_bins_of_a_native_environment_are_not_an_mdp():
    task = aggregate(registry.make("MountainCar-v0"), 5)
    assert enumeration.defined_outcomes(task) is None
    with pytest.raises(UsageError, match="bins of a continuous observation are not an exact MDP"):
        enumeration.outcomes(task)


def test_an_environment_on_the_host_needs_a_table():
    task = dataclasses.replace(registry.make("FrozenLake-misc"), name="gymnasium:CartPole-v1", origin="host")
    with pytest.raises(UsageError, match="it has no `P`, and its state cannot be set"):
        enumeration.outcomes(task)


TAXI = "gymnasium:Taxi-v4(fickle_passenger=True, fickle_probability=1.0)"


def test_a_table_that_the_steps_contradict_is_refused_and_auto_does_without(caplog):
    """A fickle passenger changes the destination once, which `P` does not tell."""
    task = registry.make(TAXI)
    with pytest.raises(UsageError, match=r"not do what its table `P` says: action \d in state \d+ led to"):
        enumeration.outcomes(task)
    assert enumeration.defined_outcomes(task) is None
    assert "which it says is impossible" in caplog.text
    assert enumeration.defined_outcomes(registry.make("gymnasium:Taxi-v4")) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("success=0.7", r"the outcomes of 20,000 steps have other frequencies \(chi-squared, p = "),
        ("begins=1", "an episode began in state 1, which it says is impossible"),
        ("drawn=True", "it has another `P` each time that it is made"),
    ],
)
def test_a_table_with_other_chances_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        enumeration.mdp(f"tests.rl.corridor:Other(max_episode_steps=50, {arguments})", 0.9)
    assert "\n" not in str(caught.value)


def test_a_world_that_is_drawn_when_it_is_made_is_the_same_every_time():
    name = "gymnasium:FrozenLake-v1(desc=None, map_name=None)"
    maps = [enumeration.unwrapped(registry.make(name)).desc for _ in range(2)]
    np.testing.assert_array_equal(*maps)
    assert enumeration.defined_outcomes(registry.make(name)) is not None


class Listed(Probe):
    """A compiled environment with a `P`: state 0 leads to either state, by chances that are `told` or not."""

    def __init__(self, told: float = 0.5) -> None:
        self.P = {0: {a: [(told, 0, 0.0, False), (1 - told, 1, 0.0, False)] for a in range(2)}}
        self.P[1] = {a: [(1.0, 1, 0.0, False)] for a in range(2)}
        self.initial_state_distrib = [1.0, 0.0]

    def reset_env(self, key: Any, params: Any) -> Any:
        _, state = super().reset_env(key, params)
        state = state.replace(sign=jnp.float32(0))
        return self.get_obs(state), state

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        state = state.replace(
            sign=jnp.maximum(state.sign, jax.random.bernoulli(key).astype(jnp.float32)), time=state.time + 1
        )
        return self.get_obs(state), state, jnp.float32(0), jnp.bool_(False), {}

    def get_obs(self, state: Any, params: Any = None, key: Any = None) -> Any:
        return state.sign.astype(jnp.int32)

    def observation_space(self, params: Any) -> Any:
        return spaces.Discrete(2)


if "ProbeListed-test" not in gymnax.registered_envs:
    gymnax.register("ProbeListed-test", Listed)


def test_the_table_of_a_compiled_environment_is_tried_too():
    assert enumeration.defined_outcomes(registry.make("ProbeListed-test")) is not None
    with pytest.raises(UsageError, match="have other frequencies"):
        enumeration.mdp("ProbeListed-test(told=0.7)", 0.9)
