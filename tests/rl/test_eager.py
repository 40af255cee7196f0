"""What is looked up under a trace is made of values, and stays in a cache as such."""

import jax
import numpy as np
import pytest

from populace.rl import DQN, Tabular


@pytest.mark.parametrize(
    "learner",
    [
        DQN(env="CartPole-v1(max_steps_in_episode=77)"),
        DQN(env="Breakout-MinAtar(max_steps_in_episode=77)"),
        Tabular(env="FrozenLake-misc(max_steps_in_episode=77)"),
    ],
    ids=lambda learner: learner.env.partition("(")[0],
)
def test_a_learner_may_be_used_first_inside_a_function_of_jax(learner):
    for _ in range(2):
        jax.eval_shape(lambda key: learner.step(learner.init(key), key), jax.random.key(0))
    assert type(learner.task.observation_low) is np.ndarray
