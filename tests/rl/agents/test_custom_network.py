"""Networks of the user's own in agents: learned with, resumed exactly, and refused where they do not fit."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.model.signature import Signature
from populace.core.population import sweep
from populace.rl import A2C, DQN, PPO, AveragedDQN, DeepSARSA, Reinforce
from populace.runs.run import Run
from tests import harness
from tests.rl import probes  # noqa: F401  registers the probes


def network_fn(inputs: tuple[int, ...], outputs: int, key: Any) -> eqx.nn.MLP:
    """Functions among its leaves, as any module of Equinox's may have them."""
    return eqx.nn.MLP(inputs[0], outputs, 16, 1, activation=jnp.tanh, key=key)


SMALL = {"env": "ProbeMatching-test", "network_fn": network_fn, "evaluation_episodes": 32}
REPLAY = {"num_envs": 4, "warmup": 64, "batch_size": 32, "replay_storage": 512, "replay_capacity": 512.0}
LEARNERS = {
    "dqn": (DQN(**SMALL, **REPLAY, rollout=2, learning_rate=3e-3, discount=0.5), 300),
    "ppo": (PPO(**SMALL, num_envs=16, rollout=4, minibatches=2, learning_rate=1e-2), 60),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_and_resumes(name, tmp_path):
    learner, steps = LEARNERS[name]
    harness.check_resume_is_exact(sweep(learner, seeds=2), steps, tmp_path)
    run = Run.load(tmp_path / "whole", learner)
    assert run.results()["settings"][0]["validation"]["iqm"][0] == 1, "it acts as the sign asks, every time"
    action = run.best().policy(np.float32([[1, 0], [-1, 0]]))
    assert action.tolist() == [1, 0]
    with pytest.raises(UsageError, match=r"trained with a network_fn of your own.*give Run.load the learner"):
        Run.load(tmp_path / "whole").best()


@pytest.mark.parametrize(
    "learner",
    [
        DQN(**SMALL, **REPLAY, distribution="quantile", prioritized=True),
        DeepSARSA(**SMALL, **REPLAY),
        AveragedDQN(**SMALL, **REPLAY, learners=2),
        A2C(**SMALL),
        Reinforce(**SMALL, rollout=4),
        PPO(env="Pendulum-v1", network_fn=network_fn, normalize_observations=True),
    ],
    ids=lambda learner: type(learner).__name__,
)
def test_every_agent_takes_one(learner):
    Signature(sweep(learner).groups[0].learner)  # traces its programs, and compiles none


def test_a_picture_keeps_its_shape_and_a_state_is_one_hot():
    shapes = []

    def seen(inputs: tuple[int, ...], outputs: int, key: Any) -> Any:
        shapes.append((inputs, outputs))
        return eqx.nn.Sequential(
            [eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(int(np.prod(inputs)), outputs, key=key)]
        )

    for env in ("Breakout-MinAtar", "gymnasium:FrozenLake-v1"):
        sweep(PPO(env=env, network_fn=seen))
        sweep(DQN(env=env, network_fn=seen))
    picture, state = shapes[0][0], shapes[3][0]
    assert shapes == [(picture, 3), (picture, 1), (picture, 3), (state, 4), (state, 1), (state, 4)]
    assert (len(picture), state) == (3, (16,))


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (
            lambda: DQN(network_fn=lambda i, o, key: eqx.nn.Linear(i[0], o + 1, key=key)),
            r"the network gives an output of shape \(3,\) per example; 'CartPole-v1' needs \(2,\)",
        ),
        (
            lambda: PPO(network_fn=lambda i, o, key: eqx.nn.Linear(9, o, key=key)),
            r"the network does not take examples of shape \(4,\)",
        ),
        (lambda: DQN(network_fn=network_fn, noisy=True), "dueling and noisy are"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(learner, message):
    with pytest.raises(UsageError, match=message) as caught:
        sweep(learner())
    assert "\n" not in str(caught.value)
