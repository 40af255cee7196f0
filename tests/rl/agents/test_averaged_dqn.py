"""Parallel learners that are averaged, against one learner on everything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.rl import DQN, LinearDecay
from populace.rl.agents.averaged_dqn import AveragedDQN
from tests import harness
from tests.rl import probes_q

SMALL = {
    "hidden_sizes": (8,), "batch_size": 8, "warmup": 16, "replay_storage": 64, "replay_capacity": 64.0, "num_envs": 4,
    "evaluation_episodes": 2,
}  # fmt: skip


def states(learner, *steps):
    """Return the state of the only member after so many steps each, from one program."""
    group_state = Engine(sweep(learner), "vmap", 1).group_states[0]
    carry, found = group_state.carry, []
    for end in steps:
        carry, _ = group_state.program.advance(carry, end)
        found.append(jax.tree.map(lambda x: jnp.copy(x[0]), carry.state))
    return found


def test_one_learner_is_dqn():
    (one,), (dqn,) = states(AveragedDQN(learners=1, **SMALL), 40), states(DQN(**SMALL), 40)
    # The same numbers are added in another order where there is one more axis.
    leaves = [np.asarray(x)[0] for x in jax.tree.leaves((one.network, one.target, one.optimizer, one.acting))]
    expected = [np.asarray(x) for x in jax.tree.leaves((dqn.network, dqn.target, dqn.optimizer, dqn.acting))]
    for a, b in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_they_are_averaged_at_their_interval_only():
    learner = AveragedDQN(learners=2, average_every=5, **SMALL)
    for found, averaged in zip(states(learner, 9, 10, 11, 15), (False, True, False, True), strict=True):
        assert all(np.array_equal(x[0], x[1]) for x in jax.tree.leaves(found.network)) == averaged


def test_the_average_is_that_of_what_each_learned_alone():
    (apart,) = states(AveragedDQN(learners=2, average_every=1000, **SMALL), 20)
    (together,) = states(AveragedDQN(learners=2, average_every=20, **SMALL), 20)
    for mean, each in zip(jax.tree.leaves(together.network), jax.tree.leaves(apart.network)):
        assert not np.array_equal(each[0], each[1])
        np.testing.assert_allclose(mean[0], (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-6)
    for a, b in zip(jax.tree.leaves(together.optimizer), jax.tree.leaves(apart.optimizer)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_everything_is_shared_out():
    learner = AveragedDQN(learners=4, exploration=LinearDecay(duration=400.0), **SMALL)
    part = learner.part
    assert (part.num_envs, part.batch, part.warmup, part.replay_storage, part.replay_capacity) == (
        1,
        2,
        4,
        16,
        16.0,
    )
    start, found = states(learner, 1, 30)
    assert np.asarray(found.acting.frames).tolist() == [30] * 4
    frames, _ = part.clock(jax.tree.map(lambda x: x[0], found.acting))
    assert int(frames) == 120
    assert learner.units_per_step == 4
    assert all(np.array_equal(x[0], x[i]) for x in jax.tree.leaves(start.network) for i in range(4))


def test_they_learn_together_what_one_would():
    q = probes_q.values(
        AveragedDQN, "ProbeEverything-test", [[1, 0], [-1, 0]], learners=2, average_every=10, steps=3000
    )
    np.testing.assert_allclose(q[:, 0], [[0, 2]] * 2, atol=0.2)
    np.testing.assert_allclose(q[:, 1], [[2, 0]] * 2, atol=0.2)


@pytest.mark.slow
def test_it_keeps_every_invariant(tmp_path):
    learner = AveragedDQN(learners=2, average_every=7, **SMALL)
    harness.check_learner(learner, {"learning_rate": [1e-2, 1e-3]}, 60, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learners": 3}, "envs 4 cannot be shared out evenly among 3 learners; take a multiple of 3"),
        ({"learners": 4, "batch_size": 6}, "batch_size 6 cannot be shared out evenly"),
        ({"learners": 0}, "learners must be >= 1"),
        ({"average_every": 0}, "average_every must be >= 1"),
    ],
)
def test_what_cannot_be_is_told(settings, message):
    with pytest.raises(UsageError, match=message):
        sweep(AveragedDQN(**settings))
