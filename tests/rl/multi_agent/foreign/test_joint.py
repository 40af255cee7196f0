"""What a worker refuses of an environment of several agents, and in which words."""

import numpy as np
import pytest

from populace.rl.multi_agent.foreign.joint import Joint
from populace.rl.vector_env.process.interface import InvalidResult

HERE = "tests.rl.multi_agent.foreign.envs:"


def play(path, **arguments):
    """Take random available actions until the second episode ends."""
    env = Joint(HERE + path, arguments)
    env.action_space.seed(0)
    for seed in range(2):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated


@pytest.mark.parametrize(
    ("path", "what", "said"),
    [
        ("Pair", "lose-observation", "no observation of agent 'narrow_0', which is neither terminated nor"),
        ("Pair", "rejoin", "`agents` with 'narrow_0', which took no part before; agents cannot join"),
        ("Pair", "four", "no .observations, rewards, terminations, truncations, infos. from step"),
        ("Pair", "mask", "no available action for agent 'wide_0', which acts"),
        ("Pair", "mask-shape", r"an action_mask of shape \(2,\) for agent 'wide_0', expected \(3,\)"),
        ("Waiting", "lose", "`agents` without 'b', which is neither terminated nor truncated"),
    ],
)
def test_results_that_do_not_fit(path, what, said):
    play(path)
    with pytest.raises(InvalidResult, match=said):
        play(path, what=what)


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        (HERE + "Pair", {"what": "continuous"}, "agent 'wide_0' has actions Box.* need Discrete"),
        (HERE + "Pair", {"what": "dictionary"}, "agent 'wide_0' has observations Dict; they must be one"),
        (HERE + "NoNames", {}, "no `possible_agents`"),
        (HERE + "Mapping", {}, "it is a dict, neither a ParallelEnv nor an AECEnv"),
        ("gymnasium:CartPole-v1", {}, "an environment of one agent"),
        ("mpe2", {}, "module 'mpe2' has neither `parallel_env` nor `env`"),
    ],
)
def test_environments_that_learners_do_not_support(path, arguments, said):
    with pytest.raises(TypeError, match=said):
        Joint(path, arguments)


def test_a_sample_is_a_joint_action_that_is_available():
    env = Joint(HERE + "Pair", {})
    env.reset(seed=0)
    env.step(np.int64([1, 0]))
    assert {int(env.action_space.sample()[0]) for _ in range(40)} == {0, 2}
