"""Playing and filming in Gymnasium: the same policy, the same numbers as playing by hand."""

import gymnasium
import numpy as np
import pytest

from populace.core.errors import RunError
from populace.rl.environments import gymnasium_evaluation
from populace.rl.environments.worlds import channels
from tests.rl import host_envs


def leaning(observation):
    """Push the way the pole leans: of one observation, or of a batch."""
    return (np.asarray(observation)[..., 2] > 0).astype(np.int64)


def by_hand(seed: int) -> float:
    env, total, done = gymnasium.make("CartPole-v1"), 0.0, False
    observation, _ = env.reset(seed=seed)
    while not done:
        observation, reward, terminated, truncated, _ = env.step(leaning(observation))
        total, done = total + float(reward), terminated or truncated
    return total


def test_episodes_side_by_side_are_those_one_by_one():
    np.testing.assert_array_equal(
        gymnasium_evaluation.play("CartPole-v1", leaning, 5, seed=7), [by_hand(7 + i) for i in range(5)]
    )


def test_a_continuous_action_is_clipped_as_the_environment_asks():
    def far(observation):
        return np.full((len(observation), 1), 100.0, np.float32)

    def most(observation):
        return np.full((len(observation), 1), 2.0, np.float32)

    one, other = (gymnasium_evaluation.play("Pendulum-v1", policy, 2, seed=0) for policy in (far, most))
    np.testing.assert_array_equal(one, other)


def test_a_video_shows_the_episode_of_its_return():
    frames, fps, total = gymnasium_evaluation.record_video("CartPole-v1", leaning, seed=3)
    pictures = list(frames)
    assert total == by_hand(3)
    assert len(pictures) == total + 1
    assert fps == 50
    assert pictures[0].dtype == np.uint8
    assert pictures[0].shape == (400, 600, 3)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raise", "failed: ZeroDivisionError: the wheel came off, in step 4 of the episode with seed 7"),
        (
            "short-observation",
            r"returned an observation of shape \(1,\).*, in step 4 of the episode with seed 7",
        ),
    ],
)
def test_a_failure_is_told_in_one_line(monkeypatch, what, message):
    made = lambda: host_envs.Counting(length=20, what=what, at=4)  # noqa: E731
    monkeypatch.setattr(gymnasium_evaluation, "_maker", lambda name: made)
    with pytest.raises(RunError, match=message) as ended:
        gymnasium_evaluation.play("Counting", lambda seen: np.zeros(len(seen), int), 2, seed=7)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize(
    ("name", "known", "renders", "score_threshold"),
    [
        ("CartPole-v1", True, True, 475.0),
        ("gymnasium:CartPole-v1", True, True, 475.0),
        ("CartPole-v1(max_steps_in_episode=9)", False, False, None),
        ("LineWorld-v0", False, True, None),
        ("Catch-bsuite", False, False, None),
    ],
)
def test_known_environments_and_their_thresholds(name, known, renders, score_threshold):
    assert (
        gymnasium_evaluation.known(name),
        gymnasium_evaluation.renders(name),
        gymnasium_evaluation.score_threshold(name),
    ) == (known, renders, score_threshold)


def test_a_board_is_drawn_with_a_color_per_channel():
    board = np.zeros((3, 4, 2))
    board[1, 2, 1] = 1
    picture = channels.draw(board)
    assert picture.shape == (96, 128, 3)
    middle = picture[16::32, 16::32]
    assert len({tuple(c) for c in middle.reshape(-1, 3).tolist()}) == 2
    assert (middle[1, 2] != middle[0, 0]).any()


def test_a_game_of_minatar_is_rendered():
    assert gymnasium_evaluation.renders("Breakout-MinAtar")
    assert not gymnasium_evaluation.known("Breakout-MinAtar")
    frames, _, total = gymnasium_evaluation.record_video(
        "Breakout-MinAtar", lambda seen: np.zeros((), int), seed=0
    )
    pictures = list(frames)
    assert total >= 0
    assert pictures[0].shape == (320, 320, 3)
    assert len(pictures) > 3
