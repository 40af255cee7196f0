"""Random-reward world: nothing to learn, and its mean and variance are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from tests.rl.environments.worlds.rollout import play


def test_it_ends_after_its_steps_and_observes_the_step():
    observations, _, rewards, terminated, truncated = play("RandomReward-v0(steps=4)", [0, 1, 0, 1])
    assert terminated == [False, False, False, True]
    assert not any(truncated)
    assert [o.argmax() for o in observations] == [0, 1, 2, 3, 3]
    assert len(set(rewards)) == 4


def test_the_action_changes_nothing():
    assert play("RandomReward-v0", [0] * 10, 3)[2] == play("RandomReward-v0", [1] * 10, 3)[2]


def test_rewards_have_the_mean_and_variance_that_the_documentation_says():
    task = registry.make("RandomReward-v0(steps=5, low=1.0, high=4.0)")
    copies = 4_000

    @jax.jit
    def play():
        def step(world, t):
            key = jax.random.fold_in(jax.random.key(1), t)
            _, world, reward, terminated, *_ = task.step(key, world, jnp.zeros(copies, jnp.int32))
            return world, (reward, terminated)

        _, world = task.reset(jax.random.key(0), copies)
        return jax.lax.scan(step, world, jnp.arange(5))[1]

    rewards, terminated = jax.device_get(play())
    assert ((rewards >= 1) & (rewards < 4)).all()
    assert terminated[-1].all()
    total = rewards.sum(0)
    variance = 5 * 9 / 12
    assert abs(float(total.mean()) - 12.5) < 5 * np.sqrt(variance / copies)
    assert float(total.var()) == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("steps=0", "steps must be a whole number of at least 1, got 0"),
        ("low=2", "low must be below high, got low 2 and high 1"),
        ("high='much'", "high must be a finite number, got 'much'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        registry.make(f"RandomReward-v0({arguments})")
