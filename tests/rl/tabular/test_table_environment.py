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
from populace.rl.tabular.table_environment import Place, Tabulated, tabulate


def tabulated(name: str) -> Tabulated:
    task = registry.make(name)
    return tabulate(task, enumeration.outcomes(task))


@pytest.mark.parametrize("name", ["LineWorld-v0(observation='index')", "GridRobot-v0(observation='index')"])
def test_without_chance_it_takes_the_very_steps_of_the_environment(name):
    ours, theirs = tabulated(name), registry.make(name)
    random, key, copies = np.random.default_rng(0), jax.random.key(0), 8
    pairs = [task.reset(key, copies) for task in (ours, theirs)]
    np.testing.assert_array_equal(pairs[0][0], pairs[1][0])
    worlds = [world for _, world in pairs]
    steps = [jax.jit(task.step) for task in (ours, theirs)]
    # To the right more often than not, so that the line's 20 moves, which the state hides, do not end it.
    chances = [0.1, 0.9] if ours.actions == 2 else [0.2, 0.2, 0.6]
    for t in range(150):
        action = jnp.asarray(random.choice(ours.actions, copies, p=chances), jnp.int32)
        found = [step(jax.random.key(t), world, action) for step, world in zip(steps, worlds)]
        worlds = [result[1] for result in found]
        for a, b in zip((found[0][0], *found[0][2:5]), (found[1][0], *found[1][2:5])):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        last = [result[5]["final_observation"] for result in found]
        np.testing.assert_array_equal(*last)


def test_chances_are_those_of_the_environment():
    # Chi-squared over what follows each state and action, both sampled.
    ours, theirs, copies = tabulated("FrozenLake-misc"), registry.make("FrozenLake-misc"), 3_000
    _, world = theirs.reset(jax.random.key(0), copies)
    smallest = 1.0
    for s in (0, 1, 6, 9, 10, 14):
        for a in range(4):
            action, key = jnp.full(copies, a, jnp.int32), jax.random.key(16 * s + a)
            place = jnp.full(copies, s, jnp.int32)
            mine = ours.step(key, Place(place, jnp.zeros(copies, jnp.int32)), action)[5]["final_observation"]
            real = theirs.step(key, world.replace(position=place), action)[5]["final_observation"]
            counts = np.stack([np.bincount(np.asarray(x), minlength=16) for x in (mine, real)])
            counts = counts[:, counts.sum(axis=0) > 0]
            if counts.shape[1] > 1:
                smallest = min(smallest, stats.chi2_contingency(counts).pvalue)
    assert smallest > 1e-4


def test_random_policies_have_the_same_returns_and_lengths():
    found = []
    for task in (tabulated("FrozenLake-misc"), registry.make("FrozenLake-misc")):

        def step(world, key, task=task):
            act_key, world_key = jax.random.split(key)
            action = jax.random.randint(act_key, (500,), 0, 4)
            _, world, reward, terminated, truncated, _ = task.step(world_key, world, action)
            return world, (reward, terminated | truncated)

        _, world = task.reset(jax.random.key(1), 500)
        keys = jax.random.split(jax.random.key(2), 300)
        _, (reward, over) = jax.jit(lambda w, k, step=step: jax.lax.scan(step, w, k))(world, keys)
        found.append((float(reward.sum() / over.sum()), float(over.mean())))
    np.testing.assert_allclose(found[0], found[1], rtol=0.12)


def test_the_clock_cuts_without_ending():
    task = dataclasses.replace(tabulated("FrozenLake-misc(is_slippery=False)"), horizon=3)
    _, world = task.reset(jax.random.key(0), 1)
    for t in range(1, 7):
        seen, world, _, terminated, truncated, info = task.step(
            jax.random.key(t), world, jnp.zeros(1, jnp.int32)
        )
        assert not terminated[0]
        assert bool(truncated[0]) == (t % 3 == 0)
        assert seen[0] == info["final_observation"][0] == 0
    assert world.time[0] == 0


def test_an_end_at_the_last_moment_is_an_end_and_no_cut():
    task = dataclasses.replace(tabulated("FrozenLake-misc(is_slippery=False)"), horizon=1)
    above_a_hole = Place(jnp.array([1], jnp.int32), jnp.zeros(1, jnp.int32))
    found = task.step(jax.random.key(0), above_a_hole, jnp.ones(1, jnp.int32))
    assert bool(found[3][0])
    assert not bool(found[4][0])
    assert found[5]["final_observation"][0] == 5
    assert found[0][0] == 0


def test_first_states_are_drawn_as_often_as_they_are():
    task = registry.make("FrozenLake-misc")
    start = np.zeros(16)
    start[[0, 2, 9]] = 0.5, 0.2, 0.3
    ours = tabulate(task, dataclasses.replace(enumeration.outcomes(task), start=start))
    seen, _ = ours.reset(jax.random.key(3), 20_000)
    counts = np.bincount(np.asarray(seen), minlength=16)
    assert counts[start == 0].sum() == 0
    assert stats.chisquare(counts[start > 0], 20_000 * start[start > 0]).pvalue > 1e-4


def test_an_unknown_first_state_is_told():
    with pytest.raises(
        UsageError, match="how its first state is drawn is not known; take dynamics=environment"
    ):
        tabulated("GridRobot-v0(observation='index', source='drawn')")
