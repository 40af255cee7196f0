"""REINFORCE's gradient against the exact one, by enumeration of all that can happen."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.rl.agents.on_policy import Model, values
from populace.rl.agents.reinforce import Reinforce, first_episodes
from tests.draws import filled
from tests.rl import probes, probes_policy  # noqa: F401  registers the probes
from tests.rl.captured import Captured, gradient_in

ENV = "ProbeMatching-test"


def gradients(learner: Reinforce, model: Model, count: int) -> np.ndarray:
    """Return the gradients of the policy's loss that so many first iterations take."""
    learner.check()  # makes the environment, before anything is traced

    def one(model, key):
        state = eqx.tree_at(lambda s: s.model, learner.init(key), model)
        state, rollout, _ = learner.interact(state, key)
        _, (policy_state, _), _ = learner.learn(model, state.opt_state, rollout, key, jnp.int32(0))
        gradient = gradient_in(policy_state)
        return jnp.concatenate([x.ravel() for x in jax.tree.leaves(gradient)])

    @eqx.filter_jit
    def all_of_them(model, seed):
        keys = jax.random.split(jax.random.key(seed), count)
        return jax.vmap(one, (None, 0))(model, keys)

    return np.asarray(all_of_them(model, 1))


def model_of(learner: Reinforce) -> Model:
    """Return networks that make one action likelier, so that no gradient is near 0 everywhere."""
    learner.check()
    return filled(lambda: learner.init(jax.random.key(0)).model)


@pytest.mark.parametrize("baseline", [False, True])
def test_the_mean_gradient_is_the_exact_one(baseline):
    learner = Reinforce(
        optimizer=Captured(),
        env=ENV,
        num_envs=16,
        rollout=2,
        hidden_sizes=(3,),
        baseline=baseline,
        baseline_updates=1,
        discount=1.0,
    )
    model = model_of(learner)

    def expected_loss(policy):
        """Minus the expected return: two starts of equal chance, two actions, reward 1 or -1."""
        total = 0.0
        for sign in (1.0, -1.0):
            p = jax.nn.softmax(policy.network(jnp.array([sign, 0.0])))
            total = total + 0.5 * (p[1] - p[0]) * sign
        return -total

    gradient = jax.jit(jax.grad(expected_loss))(model.policy)
    exact = np.concatenate([np.ravel(x) for x in jax.tree.leaves(gradient)])
    drawn = gradients(learner, model, 4000)
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert np.linalg.norm(exact) > 0.1
    np.testing.assert_array_less(np.abs(drawn.mean(0) - exact), 4.5 * error + 1e-6)


def test_the_baseline_lowers_the_variance_where_the_value_is_not_zero():
    found = {}
    for baseline in (False, True):
        learner = Reinforce(
            optimizer=Captured(),
            env="ProbeSeen-test",
            num_envs=8,
            rollout=1,
            hidden_sizes=(3,),
            baseline=baseline,
            discount=1.0,
        )
        model = model_of(learner)
        if baseline:  # the exact value, sign
            critic = eqx.tree_at(
                lambda c: (c.weights, c.biases),
                model.critic,
                ([np.float32([[10, 0]] + [[0, 0]] * 2), np.float32([[1, 0, 0]])],
                 [np.zeros(3, np.float32), np.zeros(1, np.float32)]),
            )  # fmt: skip
            known = jax.jit(values)(critic, np.float32([[1, 0], [-1, 0]]))
            np.testing.assert_allclose(known, [1, -1], atol=1e-4)
            model = eqx.tree_at(lambda m: m.critic, model, critic)
        found[baseline] = gradients(learner, model, 200).var(0).sum()
    assert found[True] < 1e-6 < found[False]


def test_only_the_first_episode_of_a_copy_counts():
    done = np.array([[False, True], [True, False], [False, True]])
    np.testing.assert_array_equal(jax.jit(first_episodes)(done), [[1, 1], [1, 0], [0, 0]])


def test_every_iteration_begins_new_episodes():
    learner = Reinforce(env="ProbeEndless-test", num_envs=2, rollout=2, hidden_sizes=(3,))
    learner.check()

    @jax.jit
    def iterations(seed):
        def iterate(state, key):
            state, rollout, _ = learner.interact(state, key)
            return state, rollout.done

        key = jax.random.key(seed)
        return jax.lax.scan(iterate, learner.init(key), jax.random.split(key, 3))

    state, done = iterations(0)
    assert not np.any(done)  # the clock cuts at 3 steps: an episode that went on would be over
    assert int(state.acting.frames) == 12
