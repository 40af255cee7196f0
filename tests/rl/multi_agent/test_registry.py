"""What the registry makes, and what it refuses, in a line, before anything is trained."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.multi_agent import registry

HERE = "tests.rl.multi_agent.worlds:"


def test_agents_of_different_spaces_are_padded():
    task = registry.make(HERE + "Uneven")
    assert (task.actions, task.observation_sizes, task.alike) == ((3, 2), (3, 1), False)
    view, _ = jax.device_get(jax.jit(task.start)(jax.random.key(0)))
    np.testing.assert_array_equal(view.observation, [[1, 1, 1], [0.5, 0, 0]])
    np.testing.assert_array_equal(view.available, [[1, 1, 1], [1, 1, 0]])


def test_who_dies_is_told_and_the_game_goes_on():
    task = registry.make(HERE + "Mortal")

    def play(key):
        _, state = task.reset(key, 1)
        return jax.lax.scan(
            lambda s, k: (lambda step: (step.env_state, step))(task.step(k, s, np.int32([[1, 1]]))),
            state, jax.random.split(key, 12),
        )[1]  # fmt: skip

    found = jax.device_get(jax.jit(play)(jax.random.key(0)))
    np.testing.assert_array_equal(found.last.alive[:, 0, 1], [i in (0, 1, 10, 11) for i in range(12)])
    np.testing.assert_array_equal(found.reward[:, 0].sum(0), [12, 5])
    np.testing.assert_array_equal(np.flatnonzero(found.terminated), [9])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Stuck", r"no available action for an agent that acts \('agent_0'\)"),
        ("Misshapen", r"available must have shape \(2, 2\), got \(2, 3\)"),
        ("Revived", r"dead and is alive again \('agent_1'\)"),
        ("Lost", "no agent alive, and neither terminated nor truncated"),
        ("NoActions", "'agent_1' has no action"),
    ],
)
def test_a_world_that_breaks_the_contract_is_refused_in_a_line(name, said):
    with pytest.raises(UsageError, match=said) as error:
        registry.make(HERE + name)
    assert "\n" not in str(error.value)


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'Climbing-v0'"):
        registry.make("Climb-v0")
    with pytest.raises(UsageError, match="an environment of one agent"):
        registry.make("gymnasium:CartPole-v1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Foraging-v0(coop='no')", "coop must be True or False, got 'no'"),
        ("CleaningRobots-v0(walls_end='no')", "walls_end must be True or False, got 'no'"),
        ("CleaningRobots-v0(random_starts=0)", "random_starts must be True or False, got 0"),
        ("CleaningRobots-v0(size=2, robots=5)", "5 robots do not fit on 2 x 2 = 4 cells"),
        ("CleaningRobots-v0(radius=-1)", "radius must be a whole number of at least 0, got -1"),
        ("SimpleSpread-v0(local_ratio=2)", "local_ratio must be a finite number from 0 to 1, got 2"),
        ("Penalty-v0(k=-5)", "k must be a finite number of at least 0, got -5"),
        ("TwoStep-v0(k=3)", "unknown argument 'k' .*; there are none"),
        ("pettingzoo:", "no import path of an environment"),
    ],
)
def test_arguments_out_of_their_range_are_refused_in_a_line(name, said):
    with pytest.raises(UsageError, match=said) as error:
        registry.make(name)
    assert "\n" not in str(error.value)
