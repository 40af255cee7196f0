"""Environments of other packages as tasks: the same episodes, and what is refused, in a line."""

import gymnasium
import jax
import jax.numpy as jnp
import mpe2.simple_spread_v3
import numpy as np
import pytest
from pettingzoo.classic import tictactoe_v3

from populace.core.errors import RunError, UsageError
from populace.core.media import Video
from populace.core.population import sweep
from populace.engine import host_errors
from populace.rl.environments import registry as of_one
from populace.rl.multi_agent import IPPO, VDN, LinearQ, registry
from tests import harness

HERE = "tests.rl.multi_agent.foreign.envs:"
SPREAD = "pettingzoo:mpe2.simple_spread_v3(max_cycles=7, workers=1)"


def rollout(name, steps, copies=2, seed=0):
    """Return the first view and seeds, and what follows random available actions, (steps, copies, ...)."""
    task = registry.make(name)

    def play(key):
        view, state = task.reset(key, copies)

        def one(carry, key):
            view, state = carry
            noise = jax.random.gumbel(key, view.available.shape)
            action = jnp.argmax(jnp.where(view.available, noise, -jnp.inf), -1)
            step = task.step(key, state, action)
            return (step.view, step.env_state), (view, action, step)

        return state.env.seed, jax.lax.scan(one, (view, state), jax.random.split(key, steps))[1]

    first, (view, action, step) = jax.device_get(jax.jit(play)(jax.random.key(seed)))
    return task, first, view, action, step


def test_episodes_are_those_of_the_environment():
    task, seeds, view, action, step = rollout(SPREAD, 20)
    assert (task.agents, task.horizon, task.alike) == (("agent_0", "agent_1", "agent_2"), 7, True)
    np.testing.assert_array_equal(np.flatnonzero(step.truncated[:, 0]), [6, 13])
    assert not step.terminated.any()
    for copy, first in enumerate(seeds):
        env = mpe2.simple_spread_v3.parallel_env(max_cycles=7)
        seen, _ = env.reset(seed=int(first))
        for t in range(20):
            np.testing.assert_array_equal(list(seen.values()), view.observation[t, copy])
            np.testing.assert_array_equal(env.state(), view.state[t, copy])
            seen, reward, *_ = env.step(dict(zip(task.agents, action[t, copy].tolist())))
            np.testing.assert_array_equal(list(seen.values()), step.last.observation[t, copy])
            np.testing.assert_allclose(list(reward.values()), step.reward[t, copy], rtol=1e-6)
            if step.truncated[t, copy]:
                assert step.last.alive[t, copy].all()  # values of what they see now are bootstrapped
                seen, _ = env.reset(seed=int(step.env_state.env.seed[t, copy]))


def test_turns_and_masks_in_the_observation_are_those_of_the_environment():
    name = "pettingzoo:pettingzoo.classic.tictactoe_v3(max_episode_steps=20, workers=1)"
    task, _, view, action, step = rollout(name, 30, copies=1)
    env, games = tictactoe_v3.env(), 0
    env.reset()
    for t in range(30):
        turn = task.agents.index(env.agent_selection)
        np.testing.assert_array_equal(view.acting[t, 0], np.arange(2) == turn)
        seen = env.observe(env.agent_selection)
        np.testing.assert_array_equal(seen["observation"].ravel(), view.observation[t, 0, turn])
        np.testing.assert_array_equal(seen["action_mask"], view.available[t, 0, turn])
        assert view.available[t, 0, 1 - turn].all()
        env.step(int(action[t, 0, turn]))
        np.testing.assert_array_equal(list(env.rewards.values()), step.reward[t, 0])
        over = all(env.terminations.values())
        assert over == step.terminated[t, 0]
        if over:
            games += 1
            env.reset()
    assert games > 2
    assert not step.truncated.any()


@pytest.mark.parametrize("late", [False, True])
def test_agents_of_different_spaces_die_by_themselves_and_masks_are_in_info(late):
    name = f"{HERE}{'pair' if late else 'Pair'}(late={late}, workers=1)"
    task, _, view, action, step = rollout(name, 12)
    assert (task.actions, task.observation_sizes, task.horizon) == ((3, 2), (4, 3), 10)
    time = np.arange(12) % 6
    np.testing.assert_array_equal(view.observation[:, 0, 0, 0], time)
    live = time < 3
    np.testing.assert_array_equal(view.alive[:, 0], np.stack([time >= 0, live], -1))
    np.testing.assert_array_equal(view.observation[live, 0, 1], np.eye(4)[time[live]][:, [0, 1, 2, 3]])
    last = np.where(time > 0, np.roll(action[:, 0, 0], 1), -1)
    np.testing.assert_array_equal(view.available[:, 0, 0], np.arange(3) != last[:, None])
    np.testing.assert_array_equal(view.available[:, 0, 1], [[True, True, False]] * 12)
    paid = np.stack([5 + action[:, 0, 0], np.where(live, action[:, 0, 1], 0)], -1)
    np.testing.assert_array_equal(step.reward[:, 0], paid)
    np.testing.assert_array_equal(step.truncated[:, 0], (time == 5) & late)
    np.testing.assert_array_equal(step.terminated[:, 0], (time == 5) & (not late))
    np.testing.assert_array_equal(step.last.alive[:, 0], np.stack([(time < 5) | late, time < 2], -1))
    np.testing.assert_array_equal(step.last.observation[:, 0, 0, 0], time + 1)


def test_an_agent_that_the_clock_takes_out_is_bootstrapped_and_the_game_goes_on():
    _, _, view, _, step = rollout(f"{HERE}Pair(what='retire', workers=1)", 6, copies=1)
    time = np.arange(6)
    np.testing.assert_array_equal(view.alive[:, 0, 1], time < 3)
    np.testing.assert_array_equal(step.last.alive[:, 0, 1], time < 3)  # a step more than one that dies
    np.testing.assert_array_equal(step.last.observation[2, 0, 1, :3], np.eye(3)[0])
    np.testing.assert_array_equal(step.terminated[:, 0], time == 5)
    assert not step.truncated.any()


def test_agents_that_are_out_are_passed_over_in_turns():
    _, _, view, action, step = rollout(HERE + "Waiting(max_episode_steps=30, workers=1)", 9, copies=1)
    turn = np.int32([0, 1, 2, 0, 1, 2, 0, 2, 0])
    np.testing.assert_array_equal(view.acting[:, 0], np.arange(3) == turn[:, None])
    np.testing.assert_array_equal(np.argmax(view.observation[:, 0, 0, 2:], -1), np.arange(9))
    taken = np.take_along_axis(action[:, 0], turn[:, None], 1)
    alive = view.alive[:, 0]
    np.testing.assert_array_equal(alive[:, 1], np.arange(9) < 5)
    paid = np.where(np.arange(3) == turn[:, None], taken, np.where(alive, -1, 0))
    np.testing.assert_array_equal(step.reward[:, 0], paid)
    np.testing.assert_array_equal(np.flatnonzero(step.truncated), [8])
    assert not step.terminated.any()


def test_environments_of_gymnasium_with_an_entry_per_agent():
    task, seeds, view, action, step = rollout(
        "gymnasium:lbforaging:Foraging-5x5-2p-1f-coop-v3"
        "(max_episode_steps=50, shared_reward=True, workers=1)",
        9,
    )
    assert task.agents == ("agent_0", "agent_1")
    assert task.shared_reward
    env = gymnasium.make("lbforaging:Foraging-5x5-2p-1f-coop-v3").unwrapped
    seen, _ = env.reset(seed=int(seeds[0]))
    for t in range(9):
        np.testing.assert_array_equal(np.stack(seen), view.observation[t, 0])
        seen, reward, *_ = env.step(action[t, 0].tolist())
        np.testing.assert_array_equal(reward, step.reward[t, 0])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (HERE + "Pair(what='lose')", "agents. without 'narrow_0', which is neither terminated nor truncated"),
        (HERE + "Pair(what='no-limit')", r"has no time limit.* set it: .*:Pair\(max_episode_steps=1000\)"),
        (HERE + "Pair(what='die')", "does not work: its process ended with exit code 3"),
        (HERE + "Pair(shared_reward=2)", "shared_reward must be True or False, got 2"),
        (
            "pettingzoo:mpe2.simple_spread_v3(max_cycles=0, workers=1)",
            "a time limit of 0 steps; it must be at",
        ),
        ("gymnasium:nope-v0(workers=1)", "unknown environment 'nope-v0' of Gymnasium"),
        (HERE + "WIDE", "a class or function of your own that makes one of PettingZoo's"),
        ("pettingzoo:nowhere", "needs a package that is not installed"),
        ("pettingzoo:json", "a part of Python"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(name, said):
    with pytest.raises(UsageError, match=said) as error:
        registry.make(name)
    assert "\n" not in str(error.value)


def test_learners_of_one_agent_refuse_environments_of_several():
    with pytest.raises(UsageError, match="has several agents; take a kind of several"):
        of_one.make("pettingzoo:mpe2.simple_spread_v3")


def test_different_spaces_are_refused_where_parameters_are_shared():
    with pytest.raises(UsageError, match="wide_0: 4 numbers, 3 actions, narrow_0: 3 numbers, 2 actions"):
        VDN(env=HERE + "Pair(workers=1)").check()
    VDN(env=HERE + "Pair(workers=1)", parameter_sharing=False).check()


def test_greedy_episodes_have_a_known_return():
    """The first agent may not repeat an action, so it is paid 5, 6, 5, 6, ...; the second gets 0."""
    learner = LinearQ(env=HERE + "Pair(workers=1)", parameter_sharing=False, evaluation_episodes=3)

    @jax.jit
    def run(key):
        start = learner.init(key)
        return learner.evaluate(start, key), learner.step(start, key)[1]

    judged, trained = jax.device_get(run(jax.random.key(0)))
    assert (judged["return"].total, judged["length"].total, judged["return"].weight) == (99, 18, 3)
    assert trained["length"].total == 6
    assert 33 <= trained["return"].total <= 42


def test_a_team_is_filmed_by_the_environment_itself():
    """Its frames are those of the episode played by hand: it is played twice, each time from its start."""
    learner = VDN(env=SPREAD, recurrent=True, hidden_sizes=(4,), num_envs=1)
    key = jax.random.key(3)  # of weights by which actions depend on the memory
    model = jax.jit(lambda key: learner.model(learner.init(key)))(key)
    film = learner.visualize(model, key)["episode"]
    assert isinstance(film, Video)
    env = mpe2.simple_spread_v3.parallel_env(max_cycles=7, render_mode="rgb_array")
    seen, _ = env.reset(seed=int(jax.random.randint(key, (), 0, 2**31 - 1)))
    act, kept, total, by_hand = learner.act_on_host(model), learner.memory(1), 0.0, [env.render()]
    while env.agents:
        state = np.asarray(env.state(), np.float32)
        view = learner.task.environment.everyone(np.stack([*seen.values()]), 5, state)
        action, kept = act(jax.tree.map(lambda x: x[None], view), kept)
        seen, reward, *_ = env.step(dict(zip(env.agents, action[0].tolist())))
        total += sum(reward.values())
        by_hand.append(env.render())
    frames = list(film.frames)
    assert (len(frames), film.fps) == (8, env.metadata["render_fps"])
    np.testing.assert_array_equal(frames, by_hand)
    assert (frames[0] != frames[-1]).any()
    assert film.caption == f"one greedy episode, return {total:.3g}"
    plain = LinearQ(env=HERE + "Pair(workers=1)", parameter_sharing=False)
    assert plain.visualize(None, key) == {}  # it says of no way to be drawn


@pytest.mark.slow
def test_a_population_trains_in_it_and_resumes_exactly(tmp_path):
    learner = IPPO(
        env=HERE + "Pair(workers=1)", num_envs=2, rollout=4, minibatches=1, epochs=1, hidden_sizes=(4,),
        parameter_sharing=False, evaluation_episodes=2,
    )  # fmt: skip
    harness.check_resume_is_exact(sweep(learner, seeds=2), 8, tmp_path)


def test_a_worker_that_dies_again_and_again_ends_the_run_with_one_line(tmp_path):
    trace = tmp_path / "dies"
    task = registry.make(f"{HERE}Pair(what='die', trace='{trace}', workers=1)")
    trace.touch()  # from now on, in step 2

    def play(key):
        _, state = task.reset(key, 1)
        for _ in range(12):
            step = task.step(key, state, jnp.arange(2)[None] % 2 + state.seen[:, :1].astype(jnp.int32) % 2)
            state = step.env_state
        return step.reward

    with pytest.raises(RunError, match="ended with exit code 3") as error, host_errors.reraised():
        jax.block_until_ready(jax.jit(play)(jax.random.key(0)))
    assert "\n" not in str(error.value)
