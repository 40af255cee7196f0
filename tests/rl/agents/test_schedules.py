"""The schedule of an agent counts its iterations from 0."""

import jax
import numpy as np
import pytest

from populace.optim import SGD, Linear
from populace.rl import DQN, PPO
from tests.rl import probes  # noqa: F401  registers the probes

SMALL = {
    "env": "ProbeSeen-test",
    "num_envs": 4,
    "hidden_sizes": (3,),
    "optimizer": SGD(),
    "learning_rate": 0.1,
}


@pytest.mark.parametrize(
    "learner",
    [
        PPO(**SMALL, rollout=2, schedule=Linear(steps=2)),
        DQN(**SMALL, warmup=4, batch_size=4, schedule=Linear(steps=2)),
    ],
    ids=["ppo", "dqn"],
)
def test_nothing_moves_once_the_learning_rate_is_zero(learner):
    learner.check()  # makes the environment, before anything is traced

    @jax.jit
    def models(key):
        def step(state, key):
            state = learner.step(state, key)[0]
            return state, learner.model(state)

        return jax.lax.scan(step, learner.init(key), jax.random.split(key, 4))[1]

    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(models(jax.random.key(0)))]
    moves = [any((leaf[i] != leaf[i + 1]).any() for leaf in leaves) for i in range(3)]
    assert moves == [True, False, False], "the iterations 0 and 1 move the weights, 2 and 3 do not"
