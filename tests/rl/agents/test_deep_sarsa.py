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

# Next actions are drawn: smaller steps, that values stay near their means.
STEADY = {"learning_rate": 1e-3, "steps": 3000}


def test_its_values_are_those_of_the_policy_that_explores():
    # The other action is taken with epsilon / 2: what follows is worth (1 - epsilon) / (1 - discount).
    probes_q.check_all(
        DeepSARSA, following=(1 - 0.6) / (1 - 0.5), exploration=ConstantEpsilon(value=0.6), **STEADY
    )


def test_it_follows_any_exploration_and_describes_returns_by_any_distribution():
    # Boltzmann at a temperature of 2, where Q differs by 2: the good action has probability e / (1 + e).
    following = (2 / (1 + np.exp(-1)) - 1) / (1 - 0.5)
    kind = Categorical(atoms=31, v_min=-3.0, v_max=3.0)
    exploration = Boltzmann(temperature=2.0, end=2.0)
    probes_q.check_all(DeepSARSA, following=following, exploration=exploration, distribution=kind, **STEADY)


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
