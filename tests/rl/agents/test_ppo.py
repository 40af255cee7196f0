"""PPO's loss against plain NumPy, and when a rollout is left."""

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.rl.agents.on_policy import values
from populace.rl.agents.ppo import PPO
from tests.draws import filled

FRAMES = 12


@jax.jit
def asked(networks, observation, action):
    """Return logits, values, and the logarithms of the actions' probabilities."""
    policy, critic = networks
    distribution = policy(observation)
    return distribution.logits, values(critic, observation), distribution.log_probability(action)


def minibatch(seed: int):
    """Return the networks, and frames whose ratios lie on both sides of the clip."""
    rng = np.random.default_rng(seed)
    learner = PPO(hidden_sizes=(4,))
    learner.check()  # makes the environment, before anything is traced
    model = filled(lambda: learner.init(jax.random.key(seed)).model, seed)
    networks = (model.policy, model.critic)
    observation = rng.normal(size=(FRAMES, 4)).astype(np.float32)
    action = rng.integers(0, 2, FRAMES)
    old = np.asarray(asked(networks, observation, action)[2])
    log_probability = (old + rng.normal(0, 0.4, FRAMES)).astype(np.float32)
    old_value, advantage = rng.normal(size=(2, FRAMES)).astype(np.float32)
    return networks, (observation, action, log_probability, old_value, advantage)


@pytest.mark.parametrize(("clip_value", "normalize"), [(0.0, True), (0.3, False)])
def test_the_loss_is_that_of_its_formula(clip_value, normalize):
    learner = PPO(
        hidden_sizes=(4,), clip_range=0.25, clip_range_vf=clip_value, value_coefficient=0.7,
        entropy_coefficient=0.03,
        normalize_advantages=normalize,
    )  # fmt: skip
    networks, (observation, action, log_probability, old_value, advantage) = minibatch(0)
    batch = observation, action, log_probability, old_value, advantage
    found, told = jax.jit(learner.loss)(networks, *batch)

    logits, value, _ = (np.asarray(x, np.float64) for x in asked(networks, observation, action))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    gain = (advantage - advantage.mean()) / advantage.std() if normalize else advantage
    surrogate, outside = [], 0
    for i in range(FRAMES):
        ratio = p[i, action[i]] / np.exp(log_probability[i])
        outside += abs(ratio - 1) > 0.25
        surrogate.append(min(ratio * gain[i], min(max(ratio, 0.75), 1.25) * gain[i]))
    target = advantage + old_value
    error = (value - target) ** 2
    if clip_value:
        near = old_value + np.clip(value - old_value, -clip_value, clip_value)
        error = np.maximum(error, (near - target) ** 2)
    entropy = -np.sum(p * np.log(p), -1).mean()
    expected = -np.mean(surrogate) + 0.7 * error.mean() / 2 - 0.03 * entropy
    assert 0 < outside < FRAMES
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(told["clip_fraction"].total, outside / FRAMES, rtol=1e-6)
    np.testing.assert_allclose(told["entropy"].total, entropy, rtol=1e-4)


def test_a_ratio_past_the_clip_adds_no_gradient_where_the_advantage_asks_for_more():
    learner = PPO(hidden_sizes=(4,), clip_range=0.2, normalize_advantages=False, value_coefficient=0.0)
    networks, (observation, action, _, old_value, _) = minibatch(1)
    now = np.asarray(asked(networks, observation, action)[2])
    gradient = eqx.filter_jit(
        eqx.filter_grad(lambda n, old, gain: learner.loss(n, observation, action, old, old_value, gain)[0])
    )
    for shift, gain, moves in ((0.5, 1.0, False), (0.5, -1.0, True), (-0.5, 1.0, True), (-0.5, -1.0, False)):
        found = gradient(networks, now - shift, np.full(FRAMES, gain, np.float32))  # ratio e^shift
        norm = sum(float(np.sum(np.asarray(g) ** 2)) for g in jax.tree.leaves(found[0]))
        assert (norm > 1e-8) == moves


def test_a_rollout_is_left_where_the_policy_moved_too_far():
    learner = PPO(num_envs=2, rollout=8, hidden_sizes=(4,), epochs=3, minibatches=2, learning_rate=0.1)
    learner.check()
    step = eqx.filter_jit(lambda learner: learner.step(learner.init(jax.random.key(0)), jax.random.key(1)))
    # The first part is seen by the policy that gathered it: nothing has moved yet. The second is refused.
    for target_kl, updates in ((0.0, 6), (1e-9, 1)):
        after, metrics = step(eqx.tree_at(lambda ppo: ppo.target_kl, learner, np.float32(target_kl)))
        assert int(after.opt_state[1][0].count) == updates
        assert float(metrics["approx_kl"].weight) == updates
