"""PPO of several agents: what each trap of the trade would change, known answers, and the invariants."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.agents.running_statistics import Moments
from populace.rl.multi_agent import IPPO, MAPPO
from populace.rl.multi_agent.learners.multi_agent_ppo import policy
from populace.rl.multi_agent.networks.recurrent import RecurrentNetworks, unroll
from tests import harness

HERE = "tests.rl.multi_agent.worlds:"
SMALL: dict[str, Any] = {"num_envs": 4, "rollout": 12, "hidden_sizes": (6,), "minibatches": 2, "epochs": 2}


@pytest.mark.parametrize("sharing", [True, False])
def test_a_hidden_state_is_forgotten_if_and_only_if_an_episode_ended_before(sharing):
    done = np.zeros((6, 3), bool)
    done[2, 1] = done[4, 0] = done[5, 2] = True  # the last one is of no consequence here

    def run(key):
        net = RecurrentNetworks(2, 3, (4, 5), 2, sharing=sharing, ids=True, activation="tanh", key=key)
        x = jax.random.normal(key, (6, 3, 2, 3))
        start = jax.random.normal(key, (3, 2, 5))
        outputs, hidden = unroll(net, x, start, jnp.asarray(done))
        each, h, rows = [], start, []
        for t in range(6):
            y, h = net(x[t], h)
            each.append(y)
            rows.append(h)
            h = jnp.stack([jnp.zeros((2, 5)) if done[t, e] else h[e] for e in range(3)])
        return outputs, jnp.stack(each), hidden, jnp.stack(rows)

    outputs, each, hidden, rows = jax.jit(run)(jax.random.key(0))
    np.testing.assert_allclose(outputs, each, atol=1e-6)
    np.testing.assert_allclose(hidden, rows, atol=1e-6)


def test_a_rollout_carries_hidden_states_as_training_unrolls_them():
    """Log-probabilities while acting are those of the update before its first step: the same resets."""
    learner = MAPPO(env=HERE + "Clock", recurrent=True, **(SMALL | {"rollout": 11}))

    @eqx.filter_jit
    def run(state, key):
        actor = jax.tree.map(lambda w: 3 * w if eqx.is_inexact_array(w) else w, state.model.actor)
        state = eqx.tree_at(lambda s: s.model.actor, state, actor)
        state, rollout, _ = learner.interact(state, key)
        logits, _ = unroll(actor, rollout.view.observation, rollout.hidden.actor, rollout.done)
        again = policy(logits, rollout.view.available).log_probability(rollout.action)
        return state, (again, rollout.log_probability, rollout.done, rollout.hidden.actor)

    state = eqx.filter_jit(learner.init)(jax.random.key(0))
    state, _ = run(state, jax.random.key(0))  # ends within an episode, with hidden states that matter
    _, (again, acted, done, hidden) = run(state, jax.random.key(1))
    assert np.abs(hidden).max() > 0
    assert set(np.asarray(done).sum(0).tolist()) == {4}
    np.testing.assert_allclose(again, acted, atol=1e-5)


def test_central_critics_see_the_state_of_their_own_environment():
    learner = MAPPO(env=HERE + "Mortal", **SMALL)

    def seen(key):
        view = learner.init(key).acting.view
        shifted = eqx.tree_at(lambda v: v.state, view, view.state + jnp.arange(4.0)[:, None] * 10)
        two = jax.tree.map(lambda x: jnp.stack([x, x + 1 if x.dtype == jnp.float32 else x]), shifted)
        return learner.criticized(shifted), learner.criticized(two), shifted.state

    one, two, state = jax.jit(seen)(jax.random.key(0))
    for env in range(4):
        for agent in range(2):
            np.testing.assert_array_equal(one[env, agent], state[env])
            np.testing.assert_array_equal(two[1, env, agent], state[env] + 1)


def test_one_legal_action_is_certain_and_says_nothing():
    def run(logits):
        free = jnp.asarray([False, True, False])
        found = policy(logits, free)
        value = found.log_probability(jnp.int32(1)), found.entropy()

        def terms(logits):
            one = policy(logits, free)
            return one.log_probability(jnp.int32(1)) + one.entropy()

        dead = policy(logits, jnp.zeros(3, jnp.bool))
        return *value, jnp.exp(value[0] - value[0]), jax.grad(terms)(logits), dead.entropy()

    log_probability, entropy, ratio, slope, dead = jax.jit(run)(jnp.asarray([3.0, -20.0, 5.0]))
    assert (float(log_probability), float(entropy), float(ratio)) == (0.0, 0.0, 1.0)
    np.testing.assert_array_equal(slope, 0.0)
    assert np.isfinite(dead)


@pytest.mark.parametrize("team", [True, False])
def test_the_dead_have_no_policy_loss_and_the_team_is_valued_still(team):
    """Agent 1 dies in step 3 of 10: what it 'did' later changes nothing but the team's value."""
    learner = MAPPO(env=HERE + "Mortal", team_rewards=team, normalize_values=False, **SMALL)

    def run(key):
        state = learner.init(key)
        _, r, _ = learner.interact(state, key)
        networks, dead = (state.model.actor, state.model.critic), ~r.view.alive
        advantage = learner.advantages(r)
        target = advantage + r.value

        def loss(advantage, log_probability, action, target):
            return learner.loss(
                networks, r.hidden, r.view, action, log_probability, advantage, target, r.done
            )[0]

        usual = (advantage, r.log_probability, r.action, target)
        other = (
            jnp.where(dead, 99.0, advantage), jnp.where(dead, -7.0, r.log_probability),
            jnp.where(dead, 1 - r.action, r.action), target,
        )  # fmt: skip
        valued = (*usual[:3], jnp.where(dead, target + 9, target))
        losses = jax.vmap(loss)(*map(jnp.stack, zip(usual, other, valued)))
        return losses, dead, r.terminated

    (usual, other, valued), dead, terminated = jax.device_get(jax.jit(run)(jax.random.key(0)))
    np.testing.assert_array_equal(dead[:, 0, 1], [t in range(3, 10) for t in range(12)])
    assert float(usual) == float(other)
    assert (abs(float(usual - valued)) > 1) == team
    # its own value ends with it; the team's with the game
    ends = [9] if team else [*range(2, 10)]
    np.testing.assert_array_equal(np.flatnonzero(terminated[:, 0, 1]), ends)


def test_values_are_in_units_of_rewards_before_advantages_and_the_clock_bootstraps():
    learner = IPPO(env=HERE + "Clock", discount=0.9, gae_lambda=0.5, **SMALL)

    def run(key):
        state = learner.init(key)
        moments = eqx.tree_at(
            lambda m: (m.count, m.mean, m.variance), Moments(),
            (jnp.float32(9), jnp.float32(5), jnp.float32(4)),
        )  # fmt: skip
        state = eqx.tree_at(lambda s: s.model.targets, state, moments)
        _, r, _ = learner.interact(state, key)
        raw = state.model.critic(r.view.observation)[..., 0]
        return r, raw, learner.advantages(r)

    r, raw, advantage = jax.device_get(jax.jit(run)(jax.random.key(0)))
    np.testing.assert_allclose(r.value, 5 + 2 * raw, rtol=1e-5)
    assert not r.terminated.any()
    np.testing.assert_array_equal(r.done[:, 0], [t % 3 == 2 for t in range(12)])
    expected, following = np.zeros_like(r.value), 0.0
    for t in reversed(range(12)):
        delta = r.reward[t] + 0.9 * r.next_value[t] - r.value[t]
        following = expected[t] = delta + 0.45 * (~r.done[t])[:, None] * following
    np.testing.assert_allclose(advantage, expected, rtol=1e-4, atol=1e-5)
    # within an episode what follows is what is seen next; at its end it is not the start of the next one
    same = np.isclose(r.next_value[:-1], r.value[1:], atol=1e-5).all((1, 2))
    np.testing.assert_array_equal(same, ~r.done[:-1, 0])


@pytest.mark.parametrize(("world", "late"), [("Retired", True), ("Mortal", False)])
def test_who_the_clock_takes_out_is_bootstrapped_and_what_the_others_get_later_is_not_its_own(world, late):
    learner = IPPO(env=HERE + world, discount=0.9, gae_lambda=0.5, normalize_values=False, **SMALL)

    def run(key):
        _, r, _ = learner.interact(learner.init(key), key)
        return r, learner.advantages(r)

    r, advantage = jax.device_get(jax.jit(run)(jax.random.key(0)))
    following = 0.9 * r.next_value[2, :, 1] if late else 0
    delta = r.reward[2, :, 1] + following - r.value[2, :, 1]
    np.testing.assert_allclose(advantage[2, :, 1], delta, rtol=1e-5)
    np.testing.assert_array_equal(
        r.terminated[:10, 0, 1], [t > 2 or (t == 2 and not late) for t in range(10)]
    )
    np.testing.assert_array_equal(
        r.ended[:10, 0], np.stack([[t == 9 for t in range(10)], np.arange(10) > 1], 1)
    )


@pytest.mark.parametrize(
    ("kind", "more"),
    [(IPPO, {"parameter_sharing": False}), (MAPPO, {"recurrent": True, "env": HERE + "Mortal"})],
    ids=["separate", "recurrent"],
)
def test_agents_learn_what_each_is_paid_for(kind, more):
    learner = kind(**{
        "env": HERE + "Uneven", "num_envs": 8, "rollout": 20, "hidden_sizes": (8,), "learning_rate": 2e-2,
        "minibatches": 2, "evaluation_episodes": 1, "discount": 0.9, **more,
    })  # fmt: skip
    engine = harness.only_trained(sweep(learner, seeds=2), 60)
    state = engine.group_states[0].state()
    play = jax.jit(jax.vmap(lambda s: learner.episodes(learner.model(s), jax.random.key(1), 1)[0]))
    best = 8.0 if kind is IPPO else 13.0  # two agents, four steps; ten steps, and the other dies after three
    np.testing.assert_array_equal(play(state), [[best]] * 2)


def test_it_keeps_every_invariant(tmp_path):
    mappo = MAPPO(
        env=HERE + "Mortal", recurrent=True, evaluation_episodes=2,
        **(SMALL | {"rollout": 4, "num_envs": 2, "epochs": 1, "hidden_sizes": (4,)}),
    )  # fmt: skip
    harness.check_learner(mappo, {"learning_rate": [1e-3, 3e-4]}, 9, tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"env": HERE + "Uneven"}, "set parameter_sharing to false"),
        ({"recurrent": True, "num_envs": 6}, "num_envs 6 cannot be split in 4 equal minibatches"),
        ({"num_envs": 1, "rollout": 7}, "num_envs 1 times rollout 7, 7 frames, cannot be split"),
        ({"recurrent": True, "hidden_sizes": ()}, "whose last one is the width of the GRU"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_a_line(settings, said):
    with pytest.raises(UsageError, match=said):
        IPPO(**settings).check()
