"""A tabulated environment is the environment: the same steps, the same chances, the same clock."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.planning import enumeration
from populace.rl.tabular.table_environment import TableState, Tabulated, tabulate


def tabulated(name: str) -> Tabulated:
    task = registry.make(name)
    return tabulate(task, enumeration.outcomes(task))


@pytest.mark.parametrize("name", ["LineWorld-v0(observation='index')", "GridRobot-v0(observation='index')"])
def test_a_deterministic_table_takes_the_steps_of_the_environment(name):
    ours, theirs = tabulated(name), registry.make(name)
    random, copies = np.random.default_rng(0), 8
    # To the right more often than not, so that the line's 20 moves, which the state hides, do not end it.
    chances = [0.1, 0.9] if ours.actions == 2 else [0.2, 0.2, 0.6]
    actions = random.choice(ours.actions, (150, copies), p=chances).astype(np.int32)

    def play(task):
        def step(world, at):
            t, action = at
            seen, world, *told, info = task.step(jax.random.key(t), world, action)
            return world, (seen, *told, info["final_observation"])

        first, world = task.reset(jax.random.key(0), copies)
        return first, jax.lax.scan(step, world, (jnp.arange(150), actions))[1]

    for a, b in zip(*map(jax.tree.leaves, jax.jit(lambda: (play(ours), play(theirs)))())):
        np.testing.assert_array_equal(a, b)


def test_probabilities_equal_those_of_the_environment():
    # Chi-squared over what follows each state and action, both sampled.
    ours, theirs, copies = tabulated("FrozenLake-misc"), registry.make("FrozenLake-misc"), 3_000
    smallest = 1.0

    @jax.jit
    def follows(s, a):
        key, place, action = jax.random.key(16 * s + a), jnp.full(copies, s), jnp.full(copies, a)
        _, world = theirs.reset(jax.random.key(0), copies)
        mine = ours.step(key, TableState(place, jnp.zeros(copies, jnp.int32)), action)
        real = theirs.step(key, world.replace(position=place), action)
        return mine[5]["final_observation"], real[5]["final_observation"]

    for s in (0, 1, 6, 9, 10, 14):
        for a in range(4):
            counts = np.stack([np.bincount(x, minlength=16) for x in follows(np.int32(s), np.int32(a))])
            counts = counts[:, counts.sum(axis=0) > 0]
            if counts.shape[1] > 1:
                smallest = min(smallest, stats.chi2_contingency(counts).pvalue)
    assert smallest > 1e-4


def test_random_policies_have_the_same_returns_and_lengths():
    def play(task):
        def step(world, key):
            act_key, world_key = jax.random.split(key)
            action = jax.random.randint(act_key, (500,), 0, 4)
            _, world, reward, terminated, truncated, _ = task.step(world_key, world, action)
            return world, (reward, terminated | truncated)

        _, world = task.reset(jax.random.key(1), 500)
        _, (reward, done) = jax.lax.scan(step, world, jax.random.split(jax.random.key(2), 300))
        return jnp.stack([reward.sum() / done.sum(), done.mean()])

    ours, theirs = tabulated("FrozenLake-misc"), registry.make("FrozenLake-misc")
    np.testing.assert_allclose(*jax.jit(lambda: (play(ours), play(theirs)))(), rtol=0.12)


def test_the_time_limit_truncates_without_terminating():
    task = dataclasses.replace(tabulated("FrozenLake-misc(is_slippery=False)"), horizon=3)

    @jax.jit
    def play():
        def step(world, t):
            seen, world, _, terminated, truncated, info = task.step(
                jax.random.key(t), world, jnp.zeros(1, jnp.int32)
            )
            return world, (seen, terminated, truncated, info["final_observation"])

        _, world = task.reset(jax.random.key(0), 1)
        return jax.lax.scan(step, world, jnp.arange(1, 7))

    world, (seen, terminated, truncated, final) = play()
    assert not terminated.any()
    assert truncated[:, 0].tolist() == [False, False, True] * 2
    assert not seen.any()
    assert not final.any()
    assert world.time[0] == 0


def test_termination_at_the_time_limit_is_not_truncation():
    task = dataclasses.replace(tabulated("FrozenLake-misc(is_slippery=False)"), horizon=1)
    above_a_hole = TableState(np.array([1], np.int32), np.zeros(1, np.int32))
    found = jax.jit(task.step)(jax.random.key(0), above_a_hole, np.ones(1, np.int32))
    assert bool(found[3][0])
    assert not bool(found[4][0])
    assert found[5]["final_observation"][0] == 5
    assert found[0][0] == 0


def test_initial_states_have_their_distribution():
    task = registry.make("FrozenLake-misc")
    start = np.zeros(16)
    start[[0, 2, 9]] = 0.5, 0.2, 0.3
    ours = tabulate(task, dataclasses.replace(enumeration.outcomes(task), start=start))
    seen, _ = jax.jit(ours.reset, static_argnums=1)(jax.random.key(3), 20_000)
    counts = np.bincount(np.asarray(seen), minlength=16)
    assert counts[start == 0].sum() == 0
    assert stats.chisquare(counts[start > 0], 20_000 * start[start > 0]).pvalue > 1e-4


def test_an_unknown_initial_state_is_refused():
    with pytest.raises(
        UsageError, match="its distribution of initial states is unknown; use dynamics=environment"
    ):
        tabulated("GridRobot-v0(observation='index', source='random')")
