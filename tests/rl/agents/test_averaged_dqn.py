"""Parallel learners that are averaged, against one learner on everything."""

import jax
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
    "hidden_sizes": (8,), "batch_size": 8, "warmup": 16, "replay_storage": 64, "replay_capacity": 64.0,
    "num_envs": 4,
    "evaluation_episodes": 2,
}  # fmt: skip


AT = (1, 4, 5, 6, 10)  # updates begin with iteration 4


def states(learner):
    """Return the states of the only member after the iterations of `AT`, from one program."""
    group_state = Engine(sweep(learner), "vmap", 1).group_states[0]
    carry, found = group_state.carry, {}
    for end in AT:
        carry, _ = group_state.program.advance(carry, end)
        found[end] = jax.tree.map(lambda x: np.array(x)[0], carry.state)
    return found


@pytest.fixture(scope="module")
def together():
    """Four learners that are averaged every 5 iterations."""
    return states(AveragedDQN(learners=4, average_every=5, exploration=LinearDecay(duration=400.0), **SMALL))


def test_one_learner_is_dqn():
    # The same numbers are added in another order where there is one more axis. Few updates: each step of Adam
    # is as long whether a gradient is large or nothing but rounding.
    one, dqn = states(AveragedDQN(learners=1, **SMALL))[6], states(DQN(**SMALL))[6]
    leaves = [x[0] for x in jax.tree.leaves((one.network, one.target, one.opt_state, one.acting))]
    expected = jax.tree.leaves((dqn.network, dqn.target, dqn.opt_state, dqn.acting))
    for a, b in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_they_are_averaged_at_their_interval_only(together):
    for step, averaged in ((4, False), (5, True), (6, False), (10, True)):
        leaves = jax.tree.leaves(together[step].network)
        assert all(np.array_equal(x[0], other) for x in leaves for other in x) == averaged


def test_the_average_is_that_of_what_each_learned_alone(together):
    alone = AveragedDQN(learners=4, average_every=1000, exploration=LinearDecay(duration=400.0), **SMALL)
    apart, averaged = states(alone)[5], together[5]  # two updates: see above
    models = ((s.network, s.target) for s in (averaged, apart))
    for mean, each in zip(*map(jax.tree.leaves, models), strict=True):
        assert not np.array_equal(each[0], each[1])
        np.testing.assert_allclose(mean, np.broadcast_to(each.mean(0), mean.shape), rtol=1e-4, atol=1e-6)
    for a, b in zip(jax.tree.leaves(averaged.opt_state), jax.tree.leaves(apart.opt_state)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_everything_is_shared_out(together):
    learner = AveragedDQN(learners=4, **SMALL)
    part = learner.part
    shares = part.num_envs, part.batch_size, part.warmup, part.replay_storage, part.replay_capacity
    assert shares == (1, 2, 4, 16, 16.0)
    start, found = together[1], together[10]
    assert found.acting.frames.tolist() == [10] * 4
    frames, _ = part.clock(jax.tree.map(lambda x: x[0], found.acting))
    assert int(frames) == 40
    assert learner.units_per_step == 4
    assert all(np.array_equal(x[0], x[i]) for x in jax.tree.leaves(start.network) for i in range(4))


def test_they_learn_together_what_one_would():
    probes_q.check_all(AveragedDQN, learners=2, average_every=10)


@pytest.mark.slow
def test_it_keeps_every_invariant(tmp_path):
    learner = AveragedDQN(learners=2, average_every=7, **SMALL)
    harness.check_learner(learner, {"learning_rate": [1e-2, 1e-3]}, 60, tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learners": 3}, "num_envs 4 cannot be shared out evenly among 3 learners; take a multiple of 3"),
        ({"learners": 4, "batch_size": 6}, "batch_size 6 cannot be shared out evenly"),
        ({"learners": 0}, "learners must be >= 1"),
        ({"average_every": 0}, "average_every must be >= 1"),
    ],
)
def test_what_cannot_be_is_told(settings, message):
    with pytest.raises(UsageError, match=message):
        sweep(AveragedDQN(**settings))
