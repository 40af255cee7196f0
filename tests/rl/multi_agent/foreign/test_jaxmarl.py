"""Environments with JaxMARL's interface: the same episodes, what its one flag is taken for, and bad input."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.environments import registry as of_one
from populace.rl.multi_agent import IPPO, VDN, LinearQ, registry
from tests import harness
from tests.rl.multi_agent.foreign import step_envs

HERE = "tests.rl.multi_agent.foreign.step_envs:"


def rollout(name, steps, copies=2):
    """Return the task, and what random available actions lead to, (steps, copies, ...)."""
    task = registry.make(name)

    def play(key):
        def one(carry, key):
            view, state = carry
            noise = jax.random.gumbel(key, view.available.shape)
            action = jnp.argmax(jnp.where(view.available, noise, -jnp.inf), -1)
            step = task.step(key, state, action)
            return (step.view, step.env_state), (view, state, action, step)

        return jax.lax.scan(one, task.reset(key, copies), jax.random.split(key, steps))[1]

    return task, *jax.device_get(jax.jit(play)(jax.random.key(0)))


@pytest.mark.parametrize(
    ("arguments", "horizon", "period", "late"),
    [
        ("length=6", 9, 6, False),  # ends by itself, before its clock
        ("length=9", 9, 9, True),  # in the last step: the clock
        ("length=10, max_episode_steps=20", 20, 10, True),  # past its own limit, as JaxMARL's particles
        ("length=6, max_episode_steps=5", 5, 5, True),  # cut short
        ("length=5, max_episode_steps=5", 5, 5, False),
    ],
)
def test_episodes_are_those_of_the_environment(arguments, horizon, period, late):
    task, view, _, action, step = rollout(f"{HERE}Relay({arguments})", 12)
    assert (task.agents, task.actions, task.observation_sizes) == (("wide", "narrow"), (3, 2), (4, 1))
    assert (task.horizon, task.state_size) == (horizon, 5)
    time = np.arange(12) % period
    np.testing.assert_array_equal(view.observation[:, 0, 0, 0], time)
    np.testing.assert_array_equal(view.observation[:, 0, 1], np.stack([time, *[0 * time] * 3], -1))
    np.testing.assert_array_equal(view.state[:, 0], np.c_[view.observation[:, 0, 0], time])
    last = np.where(time > 0, np.roll(action[:, 0, 0], 1), -1)
    np.testing.assert_array_equal(view.available[:, 0, 0], np.arange(3) != last[:, None])
    np.testing.assert_array_equal(view.available[:, 0, 1], [[True, True, False]] * 12)
    np.testing.assert_array_equal(view.alive[:, 0], np.stack([time >= 0, time < 3], -1))
    paid = np.where(time < 3, action[:, 0, 1], 0) + (time == 2)
    np.testing.assert_array_equal(step.reward[:, 0], np.stack([action[:, 0, 0], paid], -1))
    ends = time == period - 1
    np.testing.assert_array_equal(step.truncated[:, 0], ends & late)
    np.testing.assert_array_equal(step.terminated[:, 0], ends & (not late))
    # what was seen last is kept, and what the clock ended is bootstrapped; who had died has stayed dead
    np.testing.assert_array_equal(step.last.observation[:, 0, 0, 0], time + 1)
    stays = np.stack([(time + 1 < period) | late, time < 2], -1)
    np.testing.assert_array_equal(step.last.alive[:, 0], stays)
    noise = view.observation[:, :, 0, 1]
    assert len(np.unique(noise)) == 2 * -(-12 // period)  # another episode is another draw


def test_where_all_are_done_by_the_clock_all_are_bootstrapped():
    _, _, _, _, step = rollout(HERE + "Relay(length=2, max_steps=2)", 4, copies=1)
    np.testing.assert_array_equal(step.truncated[:, 0], [False, True] * 2)
    assert step.last.alive.all()


def test_steps_are_drawn_by_the_key_and_who_was_done_stays_out():
    _, _, _, _, step = rollout(HERE + "Relay(what='noisy')", 5)
    assert len(np.unique(step.last.observation[:, :, 0, 1])) == 10
    _, view, *_ = rollout(HERE + "Relay(what='revive')", 6, copies=1)
    np.testing.assert_array_equal(view.alive[:, 0, 1], np.arange(6) < 3)


def test_without_masks_all_is_available_and_keys_inside_are_words():
    task, view, state, _, _ = rollout(HERE + "Plain", 4)
    np.testing.assert_array_equal(view.available[:, :, 0], True)
    assert {x.dtype.name for x in jax.tree.leaves(state)} == {"int32", "uint32", "float32", "bool"}
    assert task.state_size == 5
    task, view, *_ = rollout(HERE + "Seen", 4)
    np.testing.assert_array_equal(view.state[:, 0], np.repeat(np.arange(4), 6).reshape(4, 6))


def test_greedy_episodes_have_a_known_return():
    """Values of 0 take the first free action: one gets 0, 1, 0, 1, ..., the other 1 when it is done."""
    learner = LinearQ(
        env="jaxmarl:" + HERE + "relay(length=7)", parameter_sharing=False, evaluation_episodes=3
    )

    @jax.jit
    def run(key):
        start = learner.init(key)
        return learner.evaluate(start, key), learner.step(start, key)[1]

    judged, trained = jax.device_get(run(jax.random.key(0)))
    assert (judged["return"].total, judged["length"].total, judged["return"].weight) == (3 * 4, 21, 3)
    assert trained["length"].total == 7


@pytest.mark.slow
def test_a_population_trains_in_it_and_resumes_exactly(tmp_path):
    learner = VDN(
        env=HERE + "Plain", num_envs=2, hidden_sizes=(4,), parameter_sharing=False, warmup=8,
        batch_size=4, replay_storage=64, evaluation_episodes=2,
    )  # fmt: skip
    harness.check_resume_is_exact(sweep(learner, seeds=2), 8, tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (HERE + "Relay(what='no-limit')", r"no time limit.*set it: .*Relay\(max_episode_steps=1000\)"),
        (HERE + "Relay(what='continuous')", "agent 'wide' has actions Box; learners .* need Discrete"),
        (HERE + "Relay(what='dictionary')", "agent 'wide' has observations dict; they must be one array"),
        (HERE + "Relay(what='mask-shape')", "the mask of agent 'wide' has 2 entries for 3 actions"),
        (HERE + "Relay(what='mask')", r"no available action for an agent that acts \('wide'\)"),
        (HERE + "Relay(what='lose')", "no agent alive, and neither terminated nor truncated"),
        (HERE + "Relay(what='unpaid')", "does not work: KeyError: 'narrow'"),
        (HERE + "Relay(lenght=5)", "unknown argument 'lenght' .* did you mean 'length'"),
        (HERE + "Relay(length=())", "does not work: TypeError"),
        (HERE + "Relay(max_episode_steps=0)", "max_episode_steps must be"),
        (HERE + "Relay(shared_reward=2)", "shared_reward must be True or False, got 2"),
        ("jaxmarl:" + HERE + "nothing", "is a dict without JaxMARL's interface"),
        ("jaxmarl:" + HERE + "nobody", "has no attribute 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(name, said):
    with pytest.raises(UsageError, match=said) as error:
        registry.make(name)
    assert "\n" not in str(error.value)


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxmarl", None)
    with pytest.raises(UsageError, match=r"JaxMARL is not installed; .* pip install 'populace\[jaxmarl\]'"):
        registry.make("jaxmarl:MPE_simple_spread_v3(max_episode_steps=3)")


def test_learners_of_one_agent_and_shared_parameters_refuse_it():
    with pytest.raises(UsageError, match="has several agents; take a kind of several"):
        of_one.make("jaxmarl:MPE_simple_spread_v3")
    with pytest.raises(UsageError, match="wide: 4 numbers, 3 actions, narrow: 1 numbers, 2 actions"):
        VDN(env=HERE + "Relay").check()


def test_the_interface_is_that_of_jaxmarl():
    """Small environments here would prove nothing if the real ones looked otherwise."""
    pytest.importorskip("jaxmarl", reason="JaxMARL is not installed")
    from jaxmarl.environments.multi_agent_env import MultiAgentEnv
    from jaxmarl.environments.spaces import Discrete

    assert Discrete.__name__ == step_envs.Discrete.__name__
    for name in ("reset", "step_env", "get_avail_actions", "action_space"):
        assert callable(getattr(MultiAgentEnv, name))


def test_particles_of_jaxmarl_are_stepped_as_they_step_themselves():
    jaxmarl = pytest.importorskip("jaxmarl", reason="JaxMARL is not installed")
    task, _, state, action, step = rollout("jaxmarl:MPE_simple_spread_v3(num_agents=4, num_landmarks=4)", 30)
    assert (task.team, task.actions, task.horizon, task.alike) == (4, (5,) * 4, 25, True)
    env = jaxmarl.make("MPE_simple_spread_v3", num_agents=4, num_landmarks=4)

    @jax.jit
    def theirs(state, action, keys):
        return jax.vmap(jax.vmap(lambda s, a, k: env.step_env(k, s, dict(zip(env.agents, a)))))(
            state, action, keys
        )

    keys = jnp.broadcast_to(jax.random.key(1), (30, 2))
    seen, _, reward, _, _ = jax.device_get(theirs(state.inner, action, keys))
    np.testing.assert_allclose(np.stack([seen[a] for a in env.agents], 2), step.last.observation, atol=1e-5)
    np.testing.assert_allclose(np.stack([reward[a] for a in env.agents], 2), step.reward, atol=1e-5)
    np.testing.assert_array_equal(np.flatnonzero(step.truncated[:, 0]), [24])
    assert not step.terminated.any()
    with pytest.raises(UsageError, match="did you mean 'MPE_simple_spread_v3'"):
        registry.make("jaxmarl:MPE_simple_spread_v2")
    with pytest.raises(UsageError, match="requires brax, which is not installed"):
        registry.make("jaxmarl:ant_4x2")


@pytest.mark.slow
def test_a_team_learns_in_jaxmarl():
    """Random play scores -81."""
    pytest.importorskip("jaxmarl", reason="JaxMARL is not installed")
    learner = IPPO(
        env="jaxmarl:MPE_simple_spread_v3", num_envs=64, rollout=25, evaluation_episodes=128,
        learning_rate=1e-3,
    )  # fmt: skip
    engine = harness.only_trained(sweep(learner, seeds=2), 150)
    assert (engine.evaluate().metrics["return"] > -72).all()
