"""A2C's gradient against that of its loss, written out frame by frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.rl.agents.a2c import A2C
from populace.rl.agents.on_policy import Rollout, values
from tests.draws import filled
from tests.rl.captured import Captured, gradient_in
from tests.rl.targets.test_advantages import advantages_by_loop

STEPS, COPIES = 5, 2
WIRING = {"hidden_sizes": (4,), "num_envs": COPIES, "rollout": STEPS}


def rollout() -> Rollout:
    rng = np.random.default_rng(0)
    shape = STEPS, COPIES
    terminated = np.array([[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]], bool)
    truncated = np.array([[0, 0], [0, 0], [0, 1], [0, 0], [0, 0]], bool)
    seen, following = rng.normal(size=(2, *shape, 4)).astype(np.float32)
    reward, log_probability = rng.normal(size=(2, *shape)).astype(np.float32)
    action = rng.integers(0, 2, shape)
    done = terminated | truncated
    return Rollout(seen, action, log_probability, reward, terminated, done, following)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("normalize", [False, True])
def test_the_gradient_is_that_of_the_formula(normalize):
    learner = A2C(
        **WIRING, optimizer=Captured(), discount=0.9, gae_lambda=0.8, value_coefficient=0.3,
        entropy_coefficient=0.05, max_gradient_norm=0.0, normalize_advantages=normalize,
    )  # fmt: skip
    learner.check()  # makes the environment, before anything is traced
    model = filled(lambda: learner.init(jax.random.key(0)).model)
    happened = rollout()
    ask = jax.jit(lambda critic, x: values(critic, x))
    value, following = (
        np.asarray(ask(model.critic, x)) for x in (happened.observation, happened.next_observation)
    )
    ends = happened.terminated, happened.done
    advantage = advantages_by_loop(happened.reward, *ends, value, following, 0.9, 0.8)
    target = advantage + value
    if normalize:
        advantage = (advantage - advantage.mean()) / advantage.std()

    def loss(networks, advantage, target):
        total = 0.0
        for t in range(STEPS):
            for i in range(COPIES):
                distribution = networks[0](happened.observation[t, i])
                total -= advantage[t, i] * distribution.log_probability(happened.action[t, i])
                total += 0.3 * 0.5 * (values(networks[1], happened.observation[t, i]) - target[t, i]) ** 2
                total -= 0.05 * distribution.entropy()
        return total / (STEPS * COPIES)

    @jax.jit
    def outcome(model, happened, advantage, target):
        networks = model.policy, model.critic
        opt_state = learner.initial_opt_state(*networks)
        _, found, _ = learner.learn(model, opt_state, happened, jax.random.key(0), jnp.int32(0))
        return gradient_in(found), jax.grad(loss)(networks, advantage, target)

    found, expected = outcome(model, happened, advantage, target)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
        assert np.any(np.abs(other) > 1e-3)
