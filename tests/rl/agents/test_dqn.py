"""DQN on problems with known answers, and the invariants it gets from the engine."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.engine.training_loop import Engine
from populace.rl import DQN, AveragedDQN, DeepSARSA, LinearDecay
from populace.rl.exploration.strategies import UCB
from populace.rl.targets.c51 import Categorical
from tests import harness
from tests.rl import probes_q

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {"double": False},
    "square": {"loss": "mse"},
    "copied-target": {"tau": 1.0, "target_every": 20, "gradient_steps": 2},
    "one-environment": {"num_envs": 1, "rollout": 4, "exploration": LinearDecay(duration=500.0)},
}
values = partial(probes_q.values, DQN)


def test_it_learns_every_value_of_three_probes_in_one():
    probes_q.check_all(DQN)


def test_it_does_with_all_that_may_differ_from_the_default():
    probes_q.check_all(
        DQN, **{name: value for variant in VARIANTS.values() for name, value in variant.items()}
    )


# By themselves, where the two above say that something is wrong but not what.
@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_learns_which_action_the_observation_asks_for(variant):
    q = values("ProbeMatching-test", [[1, 0], [-1, 0]], **VARIANTS[variant])
    np.testing.assert_allclose(q[:, 0], [[-1, 1]] * 2, atol=0.15)
    np.testing.assert_allclose(q[:, 1], [[1, -1]] * 2, atol=0.15)


@pytest.mark.slow
def test_a_constant_reward_is_its_own_value():
    np.testing.assert_allclose(values("ProbeConstant-test", [[1, 0], [-1, 0]]), 1.0, atol=0.1)


@pytest.mark.slow
def test_a_delayed_reward_is_discounted_once():
    q = values("ProbeDelayed-test", [[1, 0], [1, 1]])
    np.testing.assert_allclose(q[:, 0], 0.5, atol=0.1)
    np.testing.assert_allclose(q[:, 1], 1.0, atol=0.1)


@pytest.mark.slow
def test_the_value_depends_on_what_is_seen():
    q = values("ProbeSeen-test", [[1, 0], [-1, 0]])
    np.testing.assert_allclose(q[:, 0], 1.0, atol=0.1)
    np.testing.assert_allclose(q[:, 1], -1.0, atol=0.1)


@pytest.mark.slow
def test_the_value_depends_on_the_action():
    np.testing.assert_allclose(values("ProbeChosen-test", [[1, 0]])[:, 0], [[-1, 1]] * 2, atol=0.1)


@pytest.mark.slow
def test_truncation_is_not_termination():
    # Were the cut of the clock taken for an end, the values would lie below 1.75, not at 2.
    q = values("ProbeEndless-test", [[1, 0], [-1, 0]])
    np.testing.assert_allclose(q, 2.0, atol=0.1)


def test_it_keeps_every_invariant(tmp_path):
    dqn = DQN(
        hidden_sizes=(8,), batch_size=8, warmup=16, replay_storage=64, replay_capacity=64.0,
        evaluation_episodes=2, num_envs=2,
    )  # fmt: skip
    axes = {"learning_rate": [1e-2, 1e-3], "replay_capacity": [16.0, 64.0]}
    harness.check_learner(dqn, axes, 60, tmp_path)


def test_every_float_differs_between_members_of_one_program():
    axes = {
        "learning_rate": [1e-3, 1e-2], "discount": [0.9, 0.99], "exploration.start": [1.0, 0.5],
        "exploration.end": [0.1, 0.2], "exploration.decay": [0.9, 0.99], "tau": [0.1, 1.0],
        "replay_capacity": [1500.0, 2000.0],
    }  # fmt: skip
    population = sweep(DQN(replay_storage=2000), axes)
    assert len(population) == 128
    assert len(population.groups) == 1


def test_observations_in_bytes_are_learned_from_alike():
    dqn = DQN(
        env="ProbePicture-test", hidden_sizes=(16,), channels=2, batch_size=8, warmup=16, n_step=2,
        replay_storage=64, replay_capacity=64.0, evaluation_episodes=1,
    )  # fmt: skip
    population = sweep(dqn, {"uint8_obs": [False, True]})
    group_states = Engine(population, "vmap").group_states
    states = [group_state.program.advance(group_state.carry, 20)[0].state for group_state in group_states]
    harness.assert_identical(*([np.asarray(x) for x in jax.tree.leaves(s.network)] for s in states))
    floats, compact = (s.replay.rows for s in states)
    assert sum(x.nbytes for x in floats.values()) > 3.5 * sum(x.nbytes for x in compact.values())


@pytest.fixture(scope="module")
def history():
    """The states of one agent after so many iterations each, from one program.

    Every episode has one step. Updates begin with the 4th iteration, and the target is copied every 5.
    """
    dqn = DQN(
        env="ProbeSeen-test", hidden_sizes=(8,), batch_size=8, warmup=16, replay_storage=64,
        replay_capacity=64.0,
        num_envs=4, tau=1.0, target_every=5,
    )  # fmt: skip
    group_state = Engine(sweep(dqn), "vmap", 1).group_states[0]
    carry, found = group_state.carry, {}
    for end in (1, 3, 4, *range(9, 21)):
        carry, _ = group_state.program.advance(carry, end)
        found[end] = jax.tree.map(np.array, (carry.state.network, carry.state.target, carry.state.acting))
    return found


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True))


def test_a_hard_target_update_copies_at_its_interval_only(history):
    copied = [step for step in range(9, 21) if same(*history[step][:2])]
    assert copied == [10, 15, 20]


@pytest.mark.parametrize("agent", [DQN, DeepSARSA, AveragedDQN])
def test_the_target_moves_once_per_iteration_however_many_gradient_steps(agent):
    shared = {"learners": 2} if agent is AveragedDQN else {}
    learner = agent(
        env="ProbeSeen-test", hidden_sizes=(4,), batch_size=4, warmup=0, replay_storage=64,
        replay_capacity=64.0, num_envs=4, tau=0.1, gradient_steps=4, learning_rate=0.1, **shared,
    )  # fmt: skip
    learner.check()

    @eqx.filter_jit
    def run(key):
        state = learner.init(key)
        return state, learner.step(state, key)[0]

    before, after = run(jax.random.key(0))
    networks = [
        jax.tree.leaves(eqx.filter(x, eqx.is_array)) for x in (before.target, after.network, after.target)
    ]
    for old, online, target in zip(*networks, strict=True):
        np.testing.assert_allclose(target, old + 0.1 * (online - old), rtol=1e-5, atol=1e-6)
    assert not same(networks[0], networks[1])


def test_no_update_before_the_warm_up_is_over(history):
    start, before, after = (history[step][0] for step in (1, 3, 4))
    assert same(start, before)
    assert not same(before, after)


def test_episodes_are_counted_where_they_end(history):
    # 4 environments whose episodes have one step end 4 episodes per iteration.
    acting = history[10][2]
    assert int(acting.episodes[0]) == 40
    assert int(acting.frames[0]) == 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"discount": 1.5}, r"discount must be in \[0, 1\], got 1.5"),
        ({"learning_rate": float("nan")}, "learning_rate must be > 0, got nan"),
        ({"env": "CartPole-v9"}, "did you mean 'CartPole-v1'"),
        ({"env": "Pendulum-v1"}, "continuous"),
        ({"replay_capacity": 30_000.0}, "more than replay_storage"),
        ({"replay_capacity": 32.0, "warmup": 0}, "less than batch_size"),
        ({"warmup": 30_000}, "warmup 30000 is more than replay_capacity"),
        ({"hidden_sizes": (64, 0)}, "hidden_sizes must be >= 1"),
        ({"loss": "l1"}, "one of huber | mse"),
        ({"exploration": UCB()}, "exploration 'ucb' needs the visits of each state"),
        ({"distribution": Categorical(v_min=1.0, v_max=0.0)}, "distribution.v_min 1 must be below"),
        ({"distribution": "c51", "loss": "mse"}, "'c51' has its own loss"),
        ({"distribution": "c52"}, "did you mean 'c51'"),
        ({"network": "conv"}, "network 'conv' needs observations of"),
        ({"n_step": 0}, "n_step must be >= 1, got 0"),
        ({"priority_beta": 1.5}, r"priority_beta must be in \[0, 1\], got 1.5"),
        ({"priority_alpha": 50.0}, r"priority_alpha must be in \[0, 1\], got 50.0"),
        ({"uint8_obs": True}, "uint8_obs needs observations from 0 to 255"),
        (
            {"uint8_obs": True, "env": "ProbeHalves-test"},
            "'ProbeHalves-test' has an observation with 0.5; set uint8_obs to false",
        ),
    ],
)
def test_what_cannot_be_is_told(settings, message):
    with pytest.raises(UsageError, match=message.replace("|", r"\|")):
        sweep(DQN(**settings))
