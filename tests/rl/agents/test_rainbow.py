"""The extensions of DQN, each by itself and all together."""

from typing import Any

import numpy as np
import pytest

from populace.core.population import sweep
from populace.rl import DQN
from populace.rl.exploration.strategies import Boltzmann, ConstantEpsilon
from populace.rl.targets.c51 import Categorical
from populace.rl.targets.quantile import Quantiles
from tests import harness
from tests.rl import probes_q

C51 = Categorical(atoms=31, v_min=-3.0, v_max=3.0)
EXTENSIONS = {
    "dueling": {"dueling": True},
    "prioritized": {"prioritized": True},
    "c51": {"distribution": C51},
    "quantile": {"distribution": Quantiles(quantiles=11)},
    "noisy": {"noisy": True},
    "boltzmann": {"exploration": Boltzmann(temperature=1.0)},
}
RAINBOW: dict[str, Any] = {
    "dueling": True, "prioritized": True, "distribution": C51, "noisy": True, "n_step": 3,
    "exploration": ConstantEpsilon(value=0.0),
}  # fmt: skip
PAIRS = [("dueling", "prioritized"), ("c51", "noisy"), ("quantile", "boltzmann")]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_every_extension_learns_every_value_beside_another(pair):
    # Within the spacing of the atoms.
    probes_q.check_all(DQN, **EXTENSIONS[pair[0]], **EXTENSIONS[pair[1]])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTENSIONS)
def test_every_extension_learns_every_value_by_itself(name):
    probes_q.check_all(DQN, **EXTENSIONS[name])


def test_several_steps_end_with_the_task_and_go_on_past_the_clock():
    # Where steps follow, rewards do not depend on the action: n steps of an exploring policy are of the best.
    probes_q.check_all(DQN, by_action=False, n_step=3)


def test_rainbow_learns_the_best_actions_and_their_values():
    # What is learned to be worse is hardly tried again: only the better action has a known value.
    observations = probes_q.LATER + probes_q.ENDLESS + probes_q.MATCHING
    q = probes_q.values(DQN, "ProbeAll-test", observations, steps=3000, **RAINBOW)
    np.testing.assert_allclose(q.max(-1), [[0.5, 1, -0.5, -1, 2, 2, 1, 1]] * 2, atol=0.2)
    np.testing.assert_array_equal(q[:, 6:].argmax(-1), [[1, 0]] * 2)
    assert (q[:, 6:].min(-1) < 0.9).all()


@pytest.mark.slow
def test_rainbow_keeps_every_invariant(tmp_path):
    dqn = DQN(
        hidden_sizes=(8,), batch_size=8, warmup=16, replay_storage=64, replay_capacity=64.0,
        evaluation_episodes=2, num_envs=2, **RAINBOW,
    )  # fmt: skip
    axes = {"priority_alpha": [0.3, 0.8], "replay_capacity": [16.0, 64.0]}
    harness.check_learner(dqn, axes, 60, tmp_path)


def test_every_float_of_an_extension_differs_between_members_of_one_program():
    axes = {
        "noisy_sigma": [0.1, 0.5], "priority_alpha": [0.0, 0.6], "priority_beta": [0.4, 1.0],
        "beta_anneal_frames": [1e4, 1e5], "distribution.v_min": [-10.0, 0.0], "distribution.v_max": [10.0,
        99.0],
    }  # fmt: skip
    assert len(sweep(DQN(**RAINBOW), axes).groups) == 1


def test_extensions_are_settings_of_one_learner():
    axes = {"distribution": ["expected", "c51", "quantile"], "dueling": [False, True], "n_step": [1, 3]}
    assert len(sweep(DQN(), axes).groups) == 12
