"""Deep SARSA: the values of the policy that explores, not of the greedy one."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.agents.deep_sarsa import DeepSARSA
from populace.rl.exploration.strategies import UCB, Boltzmann, ConstantEpsilon
from populace.rl.targets.c51 import Categorical
from tests import harness
from tests.rl import probes_q


@pytest.mark.parametrize("settings", [{}, {"distribution": Categorical(atoms=31, v_min=-3.0, v_max=3.0)}])
def test_its_values_are_those_of_the_policy_that_explores(settings):
    # The other action is taken with epsilon / 2: the value is (1 - epsilon) / (1 - discount) of what follows.
    q = probes_q.values(
        DeepSARSA,
        "ProbeEverything-test",
        [[1, 0], [-1, 0]],
        exploration=ConstantEpsilon(value=0.6),
        **settings,
    )
    following = (1 - 0.6) / (1 - 0.5)
    np.testing.assert_allclose(q[:, 0], [[-1 + 0.5 * following, 1 + 0.5 * following]] * 2, atol=0.15)
    np.testing.assert_allclose(q[:, 1], [[1 + 0.5 * following, -1 + 0.5 * following]] * 2, atol=0.15)


def test_it_follows_any_exploration():
    # Boltzmann at a temperature of 2, where Q differs by 2: the good action has probability e / (1 + e).
    q = probes_q.values(
        DeepSARSA, "ProbeEverything-test", [[1, 0], [-1, 0]],
        exploration=Boltzmann(temperature=2.0, end=2.0),
    )  # fmt: skip
    following = (2 / (1 + np.exp(-1)) - 1) / (1 - 0.5)
    np.testing.assert_allclose(q[:, 0, 1], 1 + 0.5 * following, atol=0.15)
    np.testing.assert_allclose(q[:, 1, 1], -1 + 0.5 * following, atol=0.15)


def test_a_terminated_state_is_not_bootstrapped():
    q = probes_q.values(DeepSARSA, "ProbeDelayed-test", [[1, 0], [1, 1]])
    np.testing.assert_allclose(q[:, 0], 0.5, atol=0.1)
    np.testing.assert_allclose(q[:, 1], 1.0, atol=0.1)


@pytest.mark.slow
def test_it_keeps_every_invariant(tmp_path):
    sarsa = DeepSARSA(
        hidden_sizes=(8,), batch_size=8, warmup=16, replay_storage=64, replay_capacity=64.0,
        evaluation_episodes=2, num_envs=2,
    )  # fmt: skip
    harness.check_learner(sarsa, {"learning_rate": [1e-2, 1e-3]}, 60, tmp_path)


def test_what_cannot_be_is_told():
    with pytest.raises(UsageError, match="exploration 'ucb' needs the visits"):
        sweep(DeepSARSA(exploration=UCB()))
    with pytest.raises(UsageError, match="DeepSARSA needs discrete"):
        sweep(DeepSARSA(env="Pendulum-v1"))
