"""REINFORCE's gradient against the exact one, by enumeration of all that can happen."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.rl.agents.on_policy import values
from populace.rl.agents.reinforce import Reinforce, first_episodes
from tests.rl import probes, probes_policy  # noqa: F401  registers the probes

ENV = "ProbeMatching-test"


def captured(learner: Reinforce, state, key: jax.Array):
    """Return the gradient of the policy's loss that one iteration takes."""
    seen = {}

    class Rule:
        def init(self, parts):
            return None

        def update(self, gradient, state):
            seen.setdefault("first", gradient)
            return jax.tree.map(jnp.zeros_like, gradient), state

    spied = type("Spied", (type(learner),), {"rule": Rule()})
    plain = spied(**{f.name: getattr(learner, f.name) for f in dataclasses.fields(learner)})
    state, rollout, _ = plain.interact(state, key)
    plain.learn(state.model, state.optimisers, rollout, key, jnp.float32(0.0))
    return jnp.concatenate([x.ravel() for x in jax.tree.leaves(eqx.filter(seen["first"], eqx.is_array))])


@pytest.mark.parametrize("baseline", [False, True])
def test_the_mean_gradient_is_the_exact_one(baseline):
    learner = Reinforce(
        env=ENV,
        num_envs=16,
        rollout=2,
        hidden_sizes=(3,),
        baseline=baseline,
        baseline_updates=1,
        discount=1.0,
    )
    state = learner.init(jax.random.key(0))
    # weights that make one action likelier, so that the exact gradient is far from 0 everywhere
    policy = jax.tree.map(
        lambda x: x + 0.3 * jnp.cos(jnp.arange(x.size)).reshape(x.shape), state.model.policy
    )
    state = eqx.tree_at(lambda s: s.model.policy, state, policy)

    def expected_loss(policy):
        """Minus the expected return: two starts of equal chance, two actions, reward 1 or -1."""
        total = 0.0
        for sign in (1.0, -1.0):
            p = jax.nn.softmax(policy.network(jnp.array([sign, 0.0])))
            total = total + 0.5 * (p[1] - p[0]) * sign
        return -total

    gradient = eqx.filter_grad(expected_loss)(policy)
    exact = np.concatenate([np.ravel(x) for x in jax.tree.leaves(eqx.filter(gradient, eqx.is_array))])
    sample = jax.jit(jax.vmap(lambda key: captured(learner, state, key)))
    drawn = np.asarray(sample(jax.random.split(jax.random.key(1), 4000)))
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert np.linalg.norm(exact) > 0.1
    np.testing.assert_array_less(np.abs(drawn.mean(0) - exact), 4.5 * error + 1e-6)


def test_the_baseline_lowers_the_variance_where_the_value_is_not_zero():
    found = {}
    for baseline in (False, True):
        learner = Reinforce(
            env="ProbeSeen-test", num_envs=8, rollout=1, hidden_sizes=(3,), baseline=baseline, discount=1.0
        )
        state = learner.init(jax.random.key(0))
        if baseline:  # the exact value, sign
            critic = eqx.tree_at(
                lambda c: (c.weights, c.biases),
                state.model.critic,
                ([jnp.array([[10.0, 0.0]] + [[0.0, 0.0]] * 2), jnp.array([[1.0, 0.0, 0.0]])],
                 [jnp.zeros(3), jnp.zeros(1)]),
            )  # fmt: skip
            np.testing.assert_allclose(values(critic, jnp.array([[1.0, 0.0]])), 1.0, atol=1e-4)
            state = eqx.tree_at(lambda s: s.model.critic, state, critic)
        sample = jax.jit(jax.vmap(lambda key, le=learner, st=state: captured(le, st, key)))
        found[baseline] = np.asarray(sample(jax.random.split(jax.random.key(1), 200))).var(0).sum()
    assert found[True] < 1e-6 < found[False]


def test_only_the_first_episode_of_a_copy_counts():
    over = jnp.array([[False, True], [True, False], [False, True]])
    np.testing.assert_array_equal(first_episodes(over), [[1, 1], [1, 0], [0, 0]])


def test_every_iteration_begins_new_episodes():
    learner = Reinforce(env="ProbeEndless-test", num_envs=2, rollout=2, hidden_sizes=(3,))
    state = learner.init(jax.random.key(0))
    for i in range(3):
        state, rollout, _ = learner.interact(state, jax.random.key(i))
        assert not np.any(rollout.over)  # the clock cuts at 3 steps: an episode that went on would be over
    assert int(state.acting.frames) == 12
