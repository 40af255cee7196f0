"""Parallel learners that are averaged, against one learner on everything."""

import jax
import numpy as np
import pytest

from populace.errors import UsageError
from populace.population import sweep
from populace.rl import DQN, LinearDecay
from populace.rl.averaging import AveragedDQN
from tests import harness
from tests.rl import probes_q

SMALL = {
    "hidden": (8,), "batch": 8, "warmup": 16, "replay_storage": 64, "replay_capacity": 64.0, "envs": 4,
    "evaluation_episodes": 2,
}  # fmt: skip


def state(learner, steps):
    """Return the state of the first member after so many steps."""
    return jax.tree.map(lambda x: x[0], harness.trained(sweep(learner), steps).cohorts[0].carry.state)


def test_one_learner_is_dqn():
    one, dqn = state(AveragedDQN(learners=1, **SMALL), 40), state(DQN(**SMALL), 40)
    # The same numbers are added in another order where there is one more axis.
    leaves = [np.asarray(x)[0] for x in jax.tree.leaves((one.network, one.target, one.optimiser, one.acting))]
    expected = [np.asarray(x) for x in jax.tree.leaves((dqn.network, dqn.target, dqn.optimiser, dqn.acting))]
    for a, b in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_they_are_averaged_at_their_interval_only():
    learner = AveragedDQN(learners=2, average_every=5, **SMALL)
    for steps, averaged in ((9, False), (10, True), (11, False), (15, True)):
        network = state(learner, steps).network
        assert all(np.array_equal(x[0], x[1]) for x in jax.tree.leaves(network)) == averaged


def test_the_average_is_that_of_what_each_learned_alone():
    apart = state(AveragedDQN(learners=2, average_every=1000, **SMALL), 20)
    together = state(AveragedDQN(learners=2, average_every=20, **SMALL), 20)
    for mean, each in zip(jax.tree.leaves(together.network), jax.tree.leaves(apart.network)):
        assert not np.array_equal(each[0], each[1])
        np.testing.assert_allclose(mean[0], (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-6)
    for a, b in zip(jax.tree.leaves(together.optimiser), jax.tree.leaves(apart.optimiser)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_everything_is_shared_out():
    learner = AveragedDQN(learners=4, exploration=LinearDecay(duration=400.0), **SMALL)
    part = learner.part
    assert (part.envs, part.batch, part.warmup, part.replay_storage, part.replay_capacity) == (
        1,
        2,
        4,
        16,
        16.0,
    )
    found = state(learner, 30)
    assert np.asarray(found.acting.frames).tolist() == [30] * 4
    frames, _ = part.clock(jax.tree.map(lambda x: x[0], found.acting))
    assert int(frames) == 120
    assert learner.units_per_step == 4
    first = state(learner, 1).network
    assert all(np.array_equal(x[0], x[i]) for x in jax.tree.leaves(first) for i in range(4))


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
        ({"learners": 4, "batch": 6}, "batch 6 cannot be shared out evenly"),
        ({"learners": 0}, "learners must be >= 1"),
        ({"average_every": 0}, "average_every must be >= 1"),
    ],
)
def test_what_cannot_be_is_told(settings, message):
    with pytest.raises(UsageError, match=message):
        sweep(AveragedDQN(**settings))
