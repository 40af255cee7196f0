"""The extensions of DQN, each by itself and all together."""

from functools import partial
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
values = partial(probes_q.values, DQN)


@pytest.mark.parametrize("name", EXTENSIONS)
def test_every_extension_learns_the_values_of_an_endless_task(name):
    q = values("ProbeEverything-test", [[1, 0], [-1, 0]], **EXTENSIONS[name])
    # Within the spacing of the atoms; taking the cut for an end would give at most 1.75.
    np.testing.assert_allclose(q[:, 0], [[0, 2]] * 2, atol=0.2)
    np.testing.assert_allclose(q[:, 1], [[2, 0]] * 2, atol=0.2)


@pytest.mark.parametrize(
    "settings",
    [pytest.param({"n_step": 3}, id="n-step"), pytest.param(RAINBOW, id="rainbow", marks=pytest.mark.slow)],
)
def test_several_steps_end_with_the_task_and_go_on_past_the_clock(settings):
    # The rewards here do not depend on the action: n steps of an exploring policy are of the best one too.
    delayed = values("ProbeDelayed-test", [[1, 0], [1, 1]], **settings)
    np.testing.assert_allclose(delayed[:, 0], 0.5, atol=0.2)
    np.testing.assert_allclose(delayed[:, 1], 1.0, atol=0.2)
    np.testing.assert_allclose(values("ProbeEndless-test", [[1, 0], [-1, 0]], **settings), 2.0, atol=0.2)


def test_rainbow_learns_which_action_the_observation_asks_for():
    # One step to an episode, so that n steps are one; what is learned to be worse is hardly tried again.
    q = values("ProbeMatching-test", [[1, 0], [-1, 0]], **RAINBOW)
    np.testing.assert_allclose(q[:, [0, 1], [1, 0]], 1.0, atol=0.2)
    assert (q[:, [0, 1], [0, 1]] < 0).all()


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
        "beta_anneal_frames": [1e4, 1e5], "distribution.v_min": [-10.0, 0.0], "distribution.v_max": [10.0, 99.0],
    }  # fmt: skip
    assert len(sweep(DQN(**RAINBOW), axes).groups) == 1


def test_extensions_are_settings_of_one_learner():
    axes = {"distribution": ["none", "c51", "quantile"], "dueling": [False, True], "n_step": [1, 3]}
    assert len(sweep(DQN(), axes).groups) == 12
