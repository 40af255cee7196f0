"""Distributions over actions against SciPy."""

import jax
import numpy as np
from scipy import stats

from populace.rl.environments import registry
from populace.rl.networks.actor_critic import Policy, outputs
from populace.rl.networks.distributions import Categorical, Gaussian
from populace.rl.networks.mlp import Network
from populace.rl.spaces import features


@jax.jit
def described(distribution, action):
    """Return what a distribution tells of actions and of itself."""
    return distribution.log_probability(action), distribution.entropy(), distribution.mode()


def test_gaussian_log_probability_and_entropy_are_scipys():
    rng = np.random.default_rng(0)
    mean, log_s, action = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=(5, 3))
    log_probability, entropy, mode = described(Gaussian(mean, log_s), action)
    expected = stats.norm(mean, np.exp(log_s)).logpdf(action).sum(-1)
    np.testing.assert_allclose(log_probability, expected, rtol=1e-4)
    exact = stats.multivariate_normal(np.zeros(3), np.diag(np.exp(2 * log_s))).entropy()
    np.testing.assert_allclose(entropy, np.full(5, exact), rtol=1e-5)
    np.testing.assert_array_equal(mode, np.float32(mean))


def test_categorical_log_probability_and_entropy_are_scipys():
    logits = np.random.default_rng(1).normal(size=(6, 4))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    action = np.array([0, 1, 2, 3, 0, 1])
    log_probability, entropy, mode = described(Categorical(logits), action)
    np.testing.assert_allclose(log_probability, np.log(p[np.arange(6), action]), rtol=1e-4)
    np.testing.assert_allclose(entropy, stats.entropy(p, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(mode, p.argmax(-1))


def test_log_probabilities_stay_finite_where_logits_are_extreme():
    logits = np.float32([[1e4, -1e4], [1e4, -1e4]])
    log_probability, entropy, _ = map(np.asarray, described(Categorical(logits), np.array([0, 1])))
    assert log_probability[0] == 0
    assert np.isfinite(log_probability[1])
    assert entropy[0] == 0


def test_an_action_that_is_ruled_out_is_not_seen_in_those_that_are_not():
    logits = np.float32([[0, 1, -np.inf]] * 2)
    sums = jax.jit(jax.value_and_grad(
        lambda x: (Categorical(x).log_probability(np.array([0, 1])) + Categorical(x).entropy()).sum()
    ))  # fmt: skip
    value, gradient = sums(logits)
    two, slope = sums(logits[:, :2])
    np.testing.assert_allclose(value, two, rtol=1e-6)
    np.testing.assert_allclose(gradient, np.pad(slope, ((0, 0), (0, 1))), atol=1e-6)


def drawn(env, of):
    """Return 20,000 samples of the distribution that `of` makes of an environment's policy."""

    task = registry.make(env)

    @jax.jit
    def draw(seed):
        policy_key, noise_key = jax.random.split(jax.random.key(seed))
        network = Network(features(task), (4,), outputs(task), 0.01, "tanh", policy_key)
        policy = Policy(task, network, 0.7)
        return of(policy).sample(policy.noise(noise_key, (20_000,)))

    return np.asarray(draw(1))


def test_discrete_samples_have_their_probabilities():
    actions = drawn("CartPole-v1", lambda policy: Categorical(np.log(np.float32([0.3, 0.7]))))
    assert stats.binomtest(int(actions.sum()), len(actions), 0.7).pvalue > 1e-3


def test_continuous_samples_have_the_mean_and_the_deviation():
    actions = drawn("Pendulum-v1", lambda policy: Gaussian(np.float32([0.4]), policy.log_deviation))
    assert stats.kstest(actions[:, 0], stats.norm(0.4, 0.7).cdf).pvalue > 1e-3
