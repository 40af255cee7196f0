"""Linear and tabular Q-learning of several agents against a plain computation, and its invariants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.exploration.strategies import ConstantEpsilon
from populace.rl.multi_agent import LinearQ, TabularQ, registry
from populace.rl.multi_agent.task import View
from tests import harness


@pytest.mark.parametrize("sharing", [True, False])
def test_an_update_is_the_rule_written_out(sharing):
    learner = LinearQ(env="Climbing-v0", learning_rate=0.1, discount=0.5, parameter_sharing=sharing)
    rng = np.random.default_rng(0)
    seen, after = rng.normal(size=(2, 2, 1)).astype(np.float32)
    weights = rng.normal(size=(1 if sharing else 2, 4 if sharing else 2, 3)).astype(np.float32)
    free = np.array([[True, True, False], [True, True, True]])
    alive, acting = np.array([True, False]), np.array([True, True])
    everyone = np.ones((2, 3), bool)
    views = View(seen, everyone, acting, acting, 0), View(after, free, alive, alive, 0)  # pyright: ignore
    action, reward = np.array([2, 0]), np.float32([1.0, -1.0])

    def x(obs, i):
        one = [*obs[i], 1.0]
        return np.array([*one, *np.eye(2)[i]] if sharing else one)

    expected = weights.astype(float).copy()
    for i in range(2):
        w = weights[0 if sharing else i].astype(float)
        best = (x(after, i) @ w)[free[i]].max() if alive[i] else 0.0
        error = reward[i] + 0.5 * best - (x(seen, i) @ w)[action[i]]
        expected[0 if sharing else i, :, action[i]] += 0.1 * error * x(seen, i)

    def update(terminated):
        return learner.update(jnp.asarray(weights), views[0], action, reward, views[1], terminated)[0]

    change, ended = jax.jit(lambda: (update(jnp.bool(False)), update(jnp.bool(True))))()
    np.testing.assert_allclose(weights + change, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(change - ended).max() > 1e-4  # a game that ended bootstraps nothing


def test_tables_of_independent_learners_find_the_mean_over_the_other():
    learner = TabularQ(
        discount=0.0, learning_rate=0.01, exploration=ConstantEpsilon(value=1.0), evaluation_episodes=1
    )
    engine = harness.only_trained(sweep(learner, seeds=4), 400)
    weights = np.asarray(engine.group_states[0].state().weights).mean(0)[:, 0]
    matrix = learner.task.environment.payoff
    # 10,000 plays: a running mean of the last 100 or so of each action, over 4 seeds
    np.testing.assert_allclose(weights, [matrix.mean(1), matrix.mean(0)], atol=3.0)
    greedy = jax.jit(jax.vmap(lambda s: learner.episodes(learner.model(s), jax.random.key(0), 1)[0]))
    np.testing.assert_array_equal(greedy(engine.group_states[0].state()), [[125.0]] * 4)


def test_robots_that_take_turns_learn_from_their_own_moves_only():
    task = registry.make("CleaningRobots-v0(size=3, radius=1, moves='turns')")
    learner = LinearQ(env=task.name, learning_rate=0.1)

    def one(key):
        view, state = task.start(key)
        step = task.advance(key, state, jnp.asarray([2, 0]))
        weights = learner.init(key).weights
        return learner.update(weights, view, jnp.asarray([2, 0]), step.reward, step.last, step.terminated)

    change, error = jax.jit(one)(jax.random.key(0))
    assert np.asarray(change)[0, :, 2].any()  # robot 0 moved right
    assert not np.asarray(change)[0, :, [0, 1, 3]].any()
    assert float(error) == pytest.approx(0.1)


def test_it_keeps_every_invariant(tmp_path):
    learner = LinearQ(
        env="CleaningRobots-v0(size=3, radius=1, moves='turns', horizon=6)", evaluation_episodes=2
    )
    harness.check_learner(learner, {"learning_rate": [1e-2, 1e-3]}, 12, tmp_path)


@pytest.mark.parametrize(
    ("learner", "said"),
    [
        (TabularQ(env="CleaningRobots-v0"), "does not show its state one-hot"),
        (TabularQ(bias=True), "a table has no bias"),
        (LinearQ(env="tests.rl.multi_agent.worlds:Uneven"), "set parameter_sharing to false"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(learner, said):
    with pytest.raises(UsageError, match=said):
        learner.check()
