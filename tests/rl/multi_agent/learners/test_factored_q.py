"""Deep values of several agents on games with known answers, and the traps of the trade."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.exploration.strategies import Boltzmann, ConstantEpsilon, LinearDecay
from populace.rl.multi_agent import IQL, QMIX, VDN, registry
from populace.rl.multi_agent.learners.experience import Experience, Networks
from populace.rl.multi_agent.networks.agents import AgentNetworks
from populace.rl.multi_agent.networks.mixers import MonotonicMixer
from populace.rl.multi_agent.networks.recurrent import step, unroll
from populace.rl.multi_agent.task import View
from tests import harness

UNIFORM = ConstantEpsilon(value=1.0)
HERE = "tests.rl.multi_agent.worlds:"


@pytest.mark.parametrize(("kind", "best"), [(VDN, 7.0), (QMIX, 8.0)], ids=["vdn", "qmix"])
def test_the_two_step_game_tells_sums_from_mixtures(kind, best):
    learner = kind(
        env="TwoStep-v0", hidden_sizes=(32,), exploration=UNIFORM, loss="mse", learning_rate=5e-3,
        num_envs=16, warmup=256, evaluation_episodes=1, **({"mixing_units": 8} if kind is QMIX else {}),
    )  # fmt: skip
    engine = harness.only_trained(sweep(learner, seeds=2), 1_500)
    state = engine.group_states[0].state()
    returns = jax.jit(jax.vmap(lambda s: learner.episodes(learner.model(s), jax.random.key(1), 1)[0]))(state)
    np.testing.assert_array_equal(returns, [[best], [best]])


def test_a_mixture_never_falls_with_a_value_of_an_agent():
    def slopes(key):
        mixer_key, value_key, state_key = jax.random.split(key, 3)
        mixer = MonotonicMixer(3, 5, 16, mixer_key)
        values, state = jax.random.normal(value_key, (8, 3)) * 5, jax.random.normal(state_key, (8, 5)) * 5
        return jax.jacobian(lambda v: mixer(v, state))(values), mixer(values, state), mixer, values, state

    slope, total, mixer, values, state = jax.device_get(jax.jit(slopes)(jax.random.key(0)))
    own = slope[np.arange(8), np.arange(8)]
    assert (own >= 0).all()
    assert (own > 0).any()
    assert not slope[0, 1:].any()  # one joint step does not leak into another
    # and it is the formula of the paper
    W, b = mixer.weights.weights[0], mixer.weights.biases[0]
    first = np.abs(state @ W.T + b).reshape(8, 3, 16)
    hidden = np.einsum("bn,bne->be", values, first)
    hidden += state @ mixer.biases.weights[0].T + mixer.biases.biases[0]
    hidden = np.where(hidden > 0, hidden, np.expm1(hidden))
    second = np.abs(state @ mixer.output.weights[0].T + mixer.output.biases[0])
    offset = np.maximum(state @ mixer.offset.weights[0].T + mixer.offset.biases[0], 0)
    offset = offset @ mixer.offset.weights[1].T + mixer.offset.biases[1]
    np.testing.assert_allclose(total, (hidden * second).sum(-1) + offset[:, 0], rtol=1e-4, atol=1e-4)


def test_the_mixer_is_trained_with_the_agents():
    qmix = QMIX(env="TwoStep-v0", warmup=0, batch_size=4, hidden_sizes=(4,), mixing_units=4)

    def both(key):
        before = qmix.init(key)
        after = before
        for i in range(2):
            after, _ = qmix.step(after, jax.random.fold_in(key, i))
        return before.online, after.online

    before, after = jax.jit(both)(jax.random.key(0))
    for name in ("weights", "biases", "output", "offset"):
        old, new = (jax.tree.leaves(getattr(x.mixer, name)) for x in (before, after))
        assert any((a != b).any() for a, b in zip(old, new)), name


def test_identical_observations_without_ids_have_identical_values():
    def values(ids):
        networks = AgentNetworks(
            3, 4, (8,), 5, sharing=True, ids=ids, activation="relu", key=jax.random.key(0)
        )
        return networks(jnp.broadcast_to(jnp.arange(4.0), (2, 3, 4)))

    without, told = (np.asarray(jax.jit(lambda: values(ids))()) for ids in (False, True))  # noqa: B023
    np.testing.assert_array_equal(without[:, 0], without[:, 1])
    assert np.abs(told[:, 0] - told[:, 1]).max() > 1e-3


def test_separate_networks_are_each_agents_own():
    def change(key):
        networks = AgentNetworks(2, 3, (4,), 2, sharing=False, ids=True, activation="tanh", key=key)
        x = jax.random.normal(key, (5, 2, 3))
        alone = jax.tree.map(lambda w: w[1], networks.body)
        return networks(x)[:, 1], alone(x[:, 1]), networks(x)[:, 0]

    both, alone, other = jax.jit(change)(jax.random.key(0))
    np.testing.assert_allclose(both, alone, rtol=1e-5)
    assert np.abs(both - other).max() > 1e-3


class _Fixed(eqx.Module):
    """Values that do not depend on what is seen: of agents (N, A)."""

    table: jax.Array

    def __call__(self, x):
        return jnp.broadcast_to(self.table, (*x.shape[:-1], self.table.shape[-1]))


def test_targets_follow_masks_deaths_and_truncation():
    """By hand: discount .5, values of agents (1, 3) and (2, 4), four joint steps."""
    ones = np.ones((4, 2), bool)

    def view(available, alive):
        return View(np.zeros((4, 2, 1), np.float32), available, alive, ones, np.zeros((4, 1), np.float32))

    free, dead = np.ones((4, 2, 2), bool), ones.copy()
    masked = free.copy()
    masked[1, 0, 1] = False  # step 1: agent 0 has its worse action only
    dead[2, 1] = False  # step 2: agent 1 died
    over = np.array([False, False, False, True])  # step 3: the game ended; the others, only the clock
    reward = np.float32([[1.0, 0.0]] * 4)
    action = np.zeros((4, 2), np.int32)  # worth 1 and 2
    batch = Experience(view(free, ones), action, reward, view(masked, dead), over)
    task: dict[str, Any] = {"env": HERE + "Mortal", "discount": 0.5, "loss": "mse"}

    @jax.jit
    def losses(table, batch):
        networks, learners = Networks(_Fixed(table), None), (VDN(**task), IQL(**task))
        team = IQL(**task, team_rewards=True)
        return [learner.losses(networks, networks, batch) for learner in (*learners, team)]

    (vdn, _), (iql, weight), (team, _) = losses(np.float32([[1.0, 3.0], [2.0, 4.0]]), batch)
    following = np.array([3 + 4, 1 + 4, 3, 0])
    np.testing.assert_allclose(vdn, (3 - (1 + 0.5 * following)) ** 2)
    each = np.array([[3, 4], [1, 4], [3, 0], [0, 0]])
    np.testing.assert_allclose(iql, (np.array([1, 2]) - (reward + 0.5 * each)) ** 2)
    np.testing.assert_array_equal(weight, np.ones((4, 2)))
    np.testing.assert_allclose(team, (np.array([1, 2]) - (1 + 0.5 * each)) ** 2)


def test_what_is_stored_next_is_what_was_seen_before_the_reset():
    vdn = VDN(env=HERE + "Clock", num_envs=2, rollout=7, warmup=14, batch_size=4, hidden_sizes=(4,))

    def played(key):
        state, _ = vdn.step(vdn.init(key), key)
        return state.replay.read(jnp.arange(14))

    stored = jax.jit(played)(jax.random.key(0))
    before, after = (np.asarray(view.observation)[:, 0, 0] for view in (stored.view, stored.after))
    np.testing.assert_allclose(before, np.repeat([0, 0.1, 0.2, 0, 0.1, 0.2, 0], 2), atol=1e-6)
    np.testing.assert_allclose(after, before + 0.1, atol=1e-6)
    assert not stored.terminated.any()


def test_an_agent_that_the_clock_takes_out_is_worth_what_it_saw_last():
    vdn = VDN(env=HERE + "Retired", num_envs=1, rollout=4, warmup=4, batch_size=4, hidden_sizes=(4,))
    stored = jax.jit(lambda key: vdn.step(vdn.init(key), key)[0].replay.read(jnp.arange(4)))(
        jax.random.key(0)
    )
    np.testing.assert_array_equal(stored.view.alive[:, 1], [True, True, True, False])
    np.testing.assert_array_equal(stored.after.alive[:, 1], [True, True, True, False])
    assert not stored.terminated.any()


def test_sequences_pass_over_ends_of_episodes_as_acting_did():
    """What a network unrolls over sampled sequences, from what is stored, are the hidden states of acting."""
    vdn = VDN(
        env=HERE + "Clock", num_envs=2, rollout=17, warmup=999, batch_size=40, sequence_length=5,
        replay_storage=999, hidden_sizes=(4,), recurrent=True,
    )  # fmt: skip

    def played(key):
        start = vdn.init(key)
        loud = jax.tree.map(lambda w: 3 * w if eqx.is_inexact_array(w) else w, start.online)
        state, _ = vdn.step(eqx.tree_at(lambda s: s.online, start, loud), key)
        sample = state.replay.sample_sequences(key, 8, 5, 2)
        time = jax.tree.map(lambda x: x.reshape(5, 8, *x.shape[1:]), sample)
        _, after = unroll(loud.agents, time.view.observation, time.hidden[0], time.done)
        here, following = vdn._values(loud, sample)
        alone, _ = step(loud.agents, sample.view.observation, sample.hidden)
        last, _ = step(loud.agents, time.after.observation, after)
        return time, after, (here, alone), (following.reshape(last.shape), last), state.hidden

    time, after, here, following, hidden = jax.device_get(jax.jit(played)(jax.random.key(0)))
    assert time.done.sum() > 4
    assert np.abs(time.hidden).max() > 0.1
    forgotten = np.where(time.done[..., None, None], 0, after)
    np.testing.assert_allclose(forgotten[:-1], time.hidden[1:], atol=1e-5)
    np.testing.assert_allclose(*here, atol=1e-5)
    np.testing.assert_allclose(*following, atol=1e-5)
    clock = np.round(10 * time.view.observation[:, :, 0, 0]).astype(int)
    np.testing.assert_array_equal(clock[1:], (clock[:-1] + 1) % 3)
    np.testing.assert_array_equal(time.done, clock == 2)
    np.testing.assert_array_equal(time.hidden[clock == 0], 0)
    assert np.abs(hidden).max() > 0.1  # 17 steps end within an episode


@pytest.mark.slow
@pytest.mark.parametrize("kind", [IQL, VDN, QMIX])
def test_what_was_seen_before_is_remembered(kind):
    """Cues are named four steps later: 2 of 2 by networks with memory, 1 by others, whatever they learn."""
    learner = kind(
        env=HERE + "Recall", num_envs=8, rollout=4, warmup=400, hidden_sizes=(16,), learning_rate=3e-3,
        exploration=LinearDecay(duration=10_000.0), evaluation_episodes=64, sequence_length=8,
    )  # fmt: skip
    for recurrent, low, high in ((True, 1.9, 2.0), (False, 0.5, 1.4)):
        population = sweep(dataclasses.replace(learner, recurrent=recurrent), seeds=4)
        engine = harness.only_trained(population, 1_500)
        score = engine.evaluate().metrics["return"]
        assert (low <= score).all(), (recurrent, score)
        assert (score <= high).all(), (recurrent, score)


def test_what_was_dead_or_not_on_turn_is_not_learned():
    task = registry.make("CleaningRobots-v0(size=3, moves='turns')")
    iql = IQL(env=task.name)

    @jax.jit
    def weight(key):
        view, state = task.reset(key, 2)
        joint = jnp.zeros((2, 2), jnp.int32)
        step = task.step(key, state, joint)
        return iql.weight(Experience(view, joint, step.reward, step.last, step.terminated))

    np.testing.assert_array_equal(weight(jax.random.key(0)), [[1, 0], [1, 0]])


def test_it_keeps_every_invariant(tmp_path):
    qmix = QMIX(
        env="CleaningRobots-v0(size=3, radius=1, random_starts=True)", num_envs=2, hidden_sizes=(8,),
        mixing_units=4, warmup=8, batch_size=4, replay_storage=64, evaluation_episodes=2,
    )  # fmt: skip
    harness.check_learner(qmix, {"learning_rate": [1e-3, 3e-4]}, 24, tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"env": HERE + "Uneven"},
            "have different spaces .wide_0: 3 numbers, 3 actions, narrow_0: 1 numbers",
        ),
        ({"env": "Climbing-v0", "exploration": Boltzmann()}, "schedules of epsilon"),
        ({"env": "Climbing-v0", "recurrent": True, "batch_size": 60}, "sequences of sequence_length 8"),
        ({"env": "Climbing-v0", "recurrent": True, "hidden_sizes": ()}, "need hidden_sizes"),
        (
            {
                "env": "Climbing-v0",
                "recurrent": True,
                "sequence_length": 64,
                "replay_storage": 128,
                "warmup": 9,
            },
            "does not hold a sequence of 64 steps of 4 environments",
        ),
        ({"env": "Climbing-v0", "batch_size": 999, "replay_storage": 99}, "batch_size 999 is more than"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(settings, said):
    with pytest.raises(UsageError, match=said) as error:
        VDN(**settings).check()
    assert "\n" not in str(error.value)
    if "Uneven" in settings["env"]:
        VDN(parameter_sharing=False, **settings).check()
