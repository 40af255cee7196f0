"""Our environments by PettingZoo's own tests."""

import warnings
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.multi_agent import registry

pettingzoo = pytest.importorskip("pettingzoo", reason="PettingZoo is not installed")

from pettingzoo.test import api_test, max_cycles_test, parallel_api_test, seed_test  # noqa: E402
from pettingzoo.test.seed_test import parallel_seed_test  # noqa: E402

from populace.rl.multi_agent import aec_env, parallel_env  # noqa: E402

HERE = "tests.rl.multi_agent.worlds:"
JOINT = [
    "CleaningRobots-v0(size=3, radius=1, random_starts=True)",
    "Climbing-v0",
    "TwoStep-v0",
    "Penalty-v0",
    "SimpleSpread-v0",
    "SimpleTag-v0",
    "SimpleAdversary-v0",
    "SimpleSpeakerListener-v0",
    "Foraging-v0(size=5)",
]
MASKED = "CleaningRobots-v0(size=3, radius=1, mask_walls=True, collisions_end=False)"
TURNS = [
    "CleaningRobots-v0(size=3, radius=1, moves='turns', walls_end=False)",
    "CleaningRobots-v0(size=3, radius=1, moves='turns', mask_walls=True)",
]


@pytest.fixture(autouse=True)
def _strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        # PettingZoo's own environments with masks have dictionaries too
        warnings.filterwarnings("ignore", message="Observation space for each agent probably should be")
        warnings.filterwarnings("ignore", message="Observation is a single number")  # a game of one state
        warnings.filterwarnings("ignore", message="Agent's (min|max)imum observation space value is")
        warnings.filterwarnings("ignore", message="(Agents have|Observations are) different")
        warnings.filterwarnings("ignore", message="Observation is not (NumPy|a NumPy) array")
        yield


@pytest.mark.parametrize("name", [*JOINT, MASKED, HERE + "Mortal", HERE + "Retired"])
def test_parallel_environments_pass_the_tests_of_pettingzoo(name):
    parallel_api_test(parallel_env(name), 40)
    if not parallel_env(name).masked:  # its test samples without masks
        parallel_seed_test(lambda: parallel_env(name), 40)


@pytest.mark.parametrize("name", [*JOINT, MASKED, *TURNS])
def test_environments_in_turns_pass_the_tests_of_pettingzoo(name):
    api_test(aec_env(name), 40)
    seed_test(lambda: aec_env(name), 40)


ENDLESS = "CleaningRobots-v0(walls_end=False, collisions_end=False, "


@pytest.mark.parametrize(
    ("name", "turns"),
    [
        (ENDLESS, ""),
        (ENDLESS, "moves='turns', "),
        *((f"{name}-v0(", "") for name in ("Climbing", "Penalty", "Foraging")),
        *((f"Simple{name}-v0(", "") for name in ("Spread", "Tag", "Adversary", "SpeakerListener")),
    ],
)
def test_the_time_limit_is_what_pettingzoo_counts(name, turns):
    def make(maker, turns=""):
        return lambda max_cycles: maker(f"{name}{turns}horizon={max_cycles})")

    max_cycles_test(SimpleNamespace(parallel_env=make(parallel_env), env=make(aec_env, turns)))


def test_an_episode_is_that_of_the_compiled_program():
    name = JOINT[0]
    env, task = parallel_env(name), registry.make(name)
    seen, _ = env.reset(seed=5)
    key, rest = jax.random.split(jax.random.key(5))
    view, state = task.start(key)
    np.testing.assert_array_equal(list(seen.values()), view.observation)
    key, _ = jax.random.split(rest)
    step = task.advance(key, state, np.int32([1, 2]))
    seen, reward, terminated, truncated, _ = env.step({"robot_0": 1, "robot_1": 2})
    np.testing.assert_array_equal(list(seen.values()), step.view.observation)
    np.testing.assert_array_equal(list(reward.values()), step.reward)
    assert set(terminated.values()) == {bool(step.terminated)}
    assert set(truncated.values()) == {bool(step.truncated)}
    np.testing.assert_array_equal(env.state(), step.view.state)


def test_agents_that_leave_before_the_others_are_terminated_or_truncated():
    for world, late in (("Mortal", False), ("Retired", True)):
        env = parallel_env(HERE + world)
        env.reset(seed=0)
        for t in range(3):
            _, _, terminated, truncated, _ = env.step(dict.fromkeys(env.agents, 0))
            assert (terminated["agent_1"], truncated["agent_1"]) == (t == 2 and not late, t == 2 and late)
        assert env.agents == ["agent_0"]


def test_what_cannot_be_is_refused_in_a_line():
    with pytest.raises(UsageError, match="take turns; take aec_env"):
        parallel_env(TURNS[0])
    with pytest.raises(UsageError, match="call reset"):
        parallel_env(JOINT[0]).step({})
    env = parallel_env(JOINT[0])
    env.reset(seed=0)
    with pytest.raises(UsageError, match="robot_1 has no action 9"):
        env.step({"robot_0": 0, "robot_1": 9})
    for wrong, said in (
        ({"robot_0": 0}, "needs an action of robot_1"),
        ({"robot_0": 0, "robot_1": 1.5}, "robot_1 has no action 1.5"),
        ({"robot_0": 0, "robot_1": None}, "robot_1 has no action None"),
        ([0, 0], r"takes a dictionary with the action of each agent, got \[0, 0\]"),
    ):
        with pytest.raises(UsageError, match=said):
            env.step(wrong)
    with pytest.raises(UsageError, match="seed must be a whole number or None, got 'a'"):
        env.reset(seed="a")
    with pytest.raises(UsageError, match="call reset"):
        parallel_env(JOINT[0]).state()
    with pytest.raises(UsageError, match="render_mode"):
        parallel_env(JOINT[0], render_mode="human")
