"""Our environments beside those of mpe2 and lbforaging: one random transition after the other is the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.rl.multi_agent import registry
from populace.rl.multi_agent.environments import foraging, peers

PARTICLES = [
    "SimpleSpread-v0(n=4, local_ratio=0.2)",
    "SimpleTag-v0(prey=2)",
    "SimpleAdversary-v0(n=3)",
    "SimpleSpeakerListener-v0",
]
FORAGING = [
    "Foraging-v0",
    "Foraging-v0(size=6, players=3, foods=3, coop=False, sight=2, max_level=3)",
]


def transitions(name, count):
    """Return states, actions, rewards, next states, whether all ended, and what was seen, of the peer."""
    task = registry.make(name)
    peer = peers.of(task)
    if peer is None:
        pytest.skip(f"the package that {name} equals is not installed")
    env, rng, found = peer.make(), np.random.default_rng(0), []
    seed = 0
    peer.reset(env, seed)
    for _ in range(count):
        before, seen = peer.state(env), peer.observe(env)
        action = rng.integers(0, task.actions).astype(np.int32)
        if rng.random() < 0.5 and task.most_actions == 6:  # walk to food, and load: else little happens
            action = np.where(rng.random(task.team) < 0.5, 5, action).astype(np.int32)
        reward, done = peer.step(env, action)
        found.append((before, action, reward, peer.state(env), done, seen))
        if done:
            seed += 1
            peer.reset(env, seed)
    return task, jax.tree.map(lambda *x: np.stack(x), *found)


def ours(task, states, actions):
    @jax.jit
    def all_steps(states, actions):
        keys = jax.random.split(jax.random.key(0), len(actions))
        view = jax.vmap(task.see)(states)
        return view, jax.vmap(task.advance)(keys, states, actions)

    return jax.device_get(all_steps(states, actions))


def compare(name, count):
    task, (before, action, reward, after, done, seen) = transitions(name, count)
    view, step = ours(task, before, action)
    np.testing.assert_allclose(view.observation, seen, atol=1e-5)
    for ours_, theirs in zip(jax.tree.leaves(step.env_state), jax.tree.leaves(after)):
        if ours_.dtype.kind == "f":
            np.testing.assert_allclose(ours_, theirs, atol=1e-5)
    np.testing.assert_array_equal(step.terminated | step.truncated, done)
    return task, step, reward, after


def check_particles(name, count):
    _, step, reward, _ = compare(name, count)
    np.testing.assert_allclose(step.reward, reward, atol=1e-5)
    if "touches" in step.events:
        assert (step.events["touches"] > 0).any()
    assert not step.terminated.any()  # its time limit is truncation


def check_foraging(name, count):
    task, step, reward, after = compare(name, count)
    np.testing.assert_allclose(step.reward, reward, atol=1e-6)
    assert (reward > 0).any()
    np.testing.assert_array_equal(step.env_state.cell, after.cell)
    # the peer forgets where food was that is eaten: compare what is left, cell by cell
    board = np.zeros((2, len(reward), task.environment.size, task.environment.size), int)
    for side, state in enumerate((step.env_state, after)):
        for t, (cells, levels) in enumerate(zip(state.food, state.food_level)):
            for (row, column), level in zip(cells, levels):
                if level:
                    board[side, t, row, column] = level
    np.testing.assert_array_equal(board[0], board[1])
    late = step.truncated
    assert late.any()
    np.testing.assert_array_equal(step.env_state.time[late], task.horizon)
    assert (step.env_state.food_level[late] > 0).any(1).all()  # lbforaging calls both the end of the game


@pytest.mark.parametrize("name", PARTICLES)
def test_particles_are_those_of_mpe2(name):
    check_particles(name, 1_000)


@pytest.mark.parametrize("name", FORAGING)
def test_foraging_is_that_of_lbforaging(name):
    check_foraging(name, 3_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PARTICLES, *FORAGING])
def test_ten_thousand_transitions_are_the_same(name):
    (check_particles if name in PARTICLES else check_foraging)(name, 10_000)


def test_draws_of_cells_are_uniform():
    """Each free cell is that of as many evenly spaced numbers as another; triples are all alike."""
    free = np.ones((3, 4), bool)
    free[0, 1] = free[1] = False

    def drawn(key):
        pairs = jax.vmap(lambda k: foraging._distinct(k, 3, 4))(jax.random.split(key, 6_000))
        even = (jnp.arange(700) + 0.5) / 700
        none = foraging._picked(jnp.float32(0.5), jnp.zeros((3, 4), jnp.bool))[2]
        return pairs, jax.vmap(lambda u: foraging._picked(u, jnp.asarray(free)))(even), none

    triples, (row, column, there), none = jax.device_get(jax.jit(drawn)(jax.random.key(0)))
    counts = np.zeros((3, 4), int)
    np.add.at(counts, (row, column), 1)
    np.testing.assert_array_equal(counts, np.where(free, 100, 0))
    assert there.all()
    assert not none
    found, times = np.unique(triples, axis=0, return_counts=True)
    assert len(found) == 24
    assert all(len(set(row)) == 3 for row in found.tolist())
    assert np.abs(times - 250).max() < 75  # five standard deviations


def test_food_lies_where_lbforaging_puts_it():
    """Not at the edge, never beside other food, on nobody; levels as they are drawn there."""
    task = registry.make(FORAGING[1])
    starts = jax.jit(lambda key: task.reset(key, 300)[1])
    state = jax.device_get(starts(jax.random.key(0)))
    assert (state.food_level > 0).mean() > 0.9
    for cells, food, levels, level in zip(state.cell, state.food, state.food_level, state.level):
        there = food[levels > 0]
        assert ((there > 0) & (there < 5)).all()
        assert len({tuple(c) for c in [*cells, *there]}) == len(cells) + len(there)
        for i, one in enumerate(there):
            for other in there[i + 1 :]:
                apart = np.abs(one - other)
                assert apart.max() > 1
                assert apart.sum() > 2 or apart.min() > 0
        assert levels.max() <= np.sort(level)[:3].sum()
    assert set(np.unique(state.level)) == {1, 2, 3}


def test_a_policy_is_judged_in_the_peer():
    """Random play in mpe2 is about -27 an agent; doing nothing at all is a fixed policy both can play."""
    task = registry.make("SimpleSpread-v0")
    peer = peers.of(task)
    if peer is None:
        pytest.skip("mpe2 is not installed")

    def still(view, memory):
        return np.zeros(view.observation.shape[:2], np.int32), memory

    found = peers.play(peer, task, still, lambda copies: None, 4, 11)
    env = peer.make()
    for i, total in enumerate(found):
        peer.reset(env, 11 + i)
        paid, done = 0.0, False
        while not done:
            reward, done = peer.step(env, np.zeros(3, np.int32))
            paid += reward.sum()
        assert total == pytest.approx(paid)
