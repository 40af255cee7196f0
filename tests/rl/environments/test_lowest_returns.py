"""What a diverged agent counts as: the lowest return of its environment, where that is known."""

import math

import pytest

from populace.rl import DQN, PPO
from populace.rl.environments.lowest_returns import lowest_return


def test_the_lowest_return_is_that_of_the_worst_reward_in_every_step():
    assert lowest_return("Acrobot-v1") == -500
    assert lowest_return("Pendulum-v1") == pytest.approx(-200 * (math.pi**2 + 0.1 * 64 + 0.001 * 4), rel=1e-4)
    assert lowest_return("Acrobot-v1(torque_noise_max=1.0)") is None
    assert lowest_return("GridRobot-v0") is None


def test_an_agent_states_a_floor_only_where_all_of_its_environments_have_one():
    assert DQN(env="MountainCar-v0").floors() == {"return": -200}
    assert PPO(env="Pendulum-v1", held_out="Pendulum-v1").floors().keys() == {"return", "held_out_return"}
    both = DQN(env="CartPole-v1", held_out="CartPole-v1(length=1.0)")
    assert both.floors() == {}
    assert both.floor_description == "the untrained model"
