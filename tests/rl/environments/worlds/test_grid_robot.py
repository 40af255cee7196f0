"""Grid robot: driven by hand, and compared with a plain reference on random ways."""

import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.rl.environments import registry
from tests.rl.environments.worlds.rollout import play

LEFT, RIGHT, FORWARD = range(3)
MAZE = "GridRobot-v0(width=4, height=3, obstacles=((1, 0), (1, 1)), target=(2, 0), observation='index')"


def test_the_shortest_path_on_the_default_grid():
    observations, _, rewards, terminated, _ = play(
        "GridRobot-v0(observation='index')", [FORWARD, FORWARD, RIGHT, FORWARD, FORWARD]
    )
    east, south = 1, 2
    seen = [east, 4 + east, 8 + east, 8 + south, 20 + south, 32 + south]
    assert [int(o) for o in observations] == seen
    assert rewards == pytest.approx([-0.1] * 4 + [1.0])
    assert terminated == [False] * 4 + [True]


def test_turning_four_times_comes_back_either_way():
    for turn, headings in ((LEFT, [1, 0, 3, 2, 1]), (RIGHT, [1, 2, 3, 0, 1])):
        observations, *_ = play("GridRobot-v0(observation='index')", [turn] * 4)
        assert [int(o) % 4 for o in observations] == headings


def test_walls_and_obstacles_stop_the_robot_and_cost_a_half():
    observations, _, rewards, terminated, _ = play(MAZE, [FORWARD, LEFT, FORWARD])
    assert [int(o) for o in observations] == [1, 1, 0, 0]
    assert rewards == pytest.approx([-0.5, -0.1, -0.5])
    assert not any(terminated)


def reference(actions, width, height, obstacles, target, place=(0, 0), heading=1):
    """A robot in plain Python, by compass points."""
    steps = {"N": (0, -1), "E": (1, 0), "S": (0, 1), "W": (-1, 0)}
    seen, rewards = [], []
    for action in actions:
        reward = -0.1
        if action == FORWARD:
            dx, dy = steps["NESW"[heading]]
            ahead = (place[0] + dx, place[1] + dy)
            if ahead in obstacles or ahead[0] not in range(width) or ahead[1] not in range(height):
                reward = -0.5
            else:
                place = ahead
                reward = 1.0 if place == target else reward
        else:
            heading = (heading + (1 if action == RIGHT else 3)) % 4
        seen.append((place[1] * width + place[0]) * 4 + heading)
        rewards.append(reward)
        if place == target:
            break
    return seen, rewards


def test_random_paths_agree_with_the_reference():
    rng = np.random.default_rng(0)
    for seed in range(5):
        actions = rng.choice(3, 80, p=[0.2, 0.2, 0.6])
        seen, rewards = reference(actions, 4, 3, {(1, 0), (1, 1)}, (2, 0))
        observations, _, got, _, _ = play(MAZE, actions[: len(seen)], seed)
        assert [int(o) for o in observations[1:]] == seen
        assert got == pytest.approx(rewards)


def test_a_one_hot_observation_is_the_index():
    index, *_ = play("GridRobot-v0(observation='index')", [FORWARD, RIGHT])
    one_hot, *_ = play("GridRobot-v0", [FORWARD, RIGHT])
    assert [o.argmax() for o in one_hot] == [int(o) for o in index]
    assert one_hot[0].shape == (36,)


def test_a_random_source_is_every_free_cell_and_heading_but_the_target():
    task = registry.make(MAZE.replace("target", "source='random', target"))
    observation, _ = jax.jit(task.reset, static_argnums=1)(jax.random.key(0), 3_600)
    counts = np.bincount(observation, minlength=48).reshape(12, 4)
    free = [cell for cell in range(12) if cell not in (1, 5, 2)]
    assert (counts[[1, 5, 2]] == 0).all()
    assert np.abs(counts[free] - 100).max() < 50


def test_the_time_limit_truncates():
    *_, terminated, truncated = play("GridRobot-v0", [LEFT] * 100)
    assert not any(terminated)
    assert truncated == [False] * 99 + [True]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("width=0", "width must be a whole number of at least 1"),
        (
            "obstacles=((3, 0),)",
            r"an obstacle must be \(column, row\) on a grid of 3 x 3 cells.*got \(3, 0\)",
        ),
        ("obstacles=(1, 1)", r"an obstacle must be \(column, row\).*got 1"),
        ("obstacles=5", "obstacles must be a list of cells"),
        ("obstacles=((0, 0),)", r"the source \(0, 0\) is an obstacle"),
        ("obstacles=((2, 2),)", r"the target \(2, 2\) is an obstacle"),
        ("obstacles=((1, 2), (2, 1))", r"the target \(2, 2\) cannot be reached from any cell"),
        ("obstacles=((1, 0), (1, 1), (1, 2))", r"cannot be reached from the source \(0, 0\)"),
        ("target=(0, 0)", "source and target are the same cell"),
        ("source='anywhere'", r"source \(or \"random\"\) must be \(column, row\)"),
        ("heading='up'", "unknown heading 'up'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        registry.make(f"GridRobot-v0({arguments})")
    assert "\n" not in str(caught.value)
