"""Who does what: measures against a plain count, and what is drawn of a team."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.core.media import Image, Video
from populace.rl.multi_agent import LinearQ, registry
from populace.rl.multi_agent.roles import measures


def entropy(p):
    p = np.asarray(p, float)
    p = p[p > 0]
    return -(p * np.log(p)).sum()


def test_measures_of_three_boards_counted_by_hand():
    # three episodes on 2 x 2 cells, of which cell (0, 0) was clean at first
    cleaner = np.int32([[[-1, 0], [1, 1]], [[-1, 0], [0, 1]], [[-1, -1], [-1, 1]]])
    dirty = np.array([[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0, 1], [1, 0]]], bool)
    counts = {
        "cleaned": [[1, 2], [2, 1], [0, 1]], "collisions": [[0, 0], [1, 1], [0, 0]],
        "revisits": [[3, 0], [0, 0], [0, 1]], "walls": [[0, 2], [0, 0], [0, 0]],
    }  # fmt: skip
    events = {name: jnp.asarray(x, jnp.float32) for name, x in counts.items()}
    moves = jnp.asarray([8.0, 5.0, 2.0])

    @jax.jit
    def measured():
        found = measures.of_cleaning(jnp.asarray(dirty), jnp.asarray(cleaner), events, moves, 2)
        return {name: mean.value for name, mean in found.items()}

    found = {name: float(value) for name, value in measured().items()}
    two = np.log(2)
    expected = {
        "boards_cleaned": 2 / 3,
        "coverage": 7 / 9, "coverage_robot_0": 3 / 9, "coverage_robot_1": 4 / 9,
        "division": np.mean([entropy([1 / 3, 2 / 3]), entropy([2 / 3, 1 / 3]), 0]) / two,
        # cells (0, 1): robot 0 twice; (1, 0): once each; (1, 1): robot 1 three times
        "territory": 1 - np.mean([0, entropy([0.5, 0.5]), 0]) / two,
        "collision_rate": 1 / 3, "collisions": 2 / 15, "revisits": 4 / 15, "idle": 4 / 15,
    }  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-6)


def test_evaluation_counts_whole_episodes_and_nothing_after_their_end():
    """Both robots always move right, where nothing ends the game: all is known."""
    learner = LinearQ(
        env="CleaningRobots-v0(size=3, radius=0, walls_end=False, horizon=7)", evaluation_episodes=3
    )

    def measured(key):
        state = learner.init(key)
        weights = jnp.zeros_like(state.weights).at[..., 2].set(1.0)  # right, whatever is seen
        weights = weights * (jnp.arange(weights.shape[1]) == 1)[None, :, None]  # by the bias alone
        model = learner.model(type(state)(weights, state.frames, state.episodes, state.best))
        return {name: mean.value for name, mean in learner.evaluate(model, key).items()}

    found = {name: float(x) for name, x in jax.jit(measured)(jax.random.key(0)).items()}
    # robot 0 cleans two cells of its row and meets the wall five times; robot 1 starts at the wall
    assert found["length"] == 7
    assert found["return"] == pytest.approx(2 * 0.1 - 5 - 7 - 1)
    assert found["coverage"] == pytest.approx(2 / 7)
    assert found["idle"] == pytest.approx(12 / 14)
    assert found["division"] == 0
    assert found["collisions"] == 0


def test_a_team_is_filmed_and_drawn_in_colors():
    learner = LinearQ(env="CleaningRobots-v0(size=3, radius=1, horizon=5, random_starts=True)")
    model = learner.model(learner.init(jax.random.key(0)))
    shown = learner.visualize(model, jax.random.key(1))
    assert set(shown) == {"episode", "trajectories", "places"}
    film = shown["episode"]
    assert isinstance(film, Video)
    frames = list(film.frames)
    assert 2 <= len(frames) <= 6
    assert all(frame.shape == frames[0].shape and frame.dtype == np.uint8 for frame in frames)
    assert all(side % 2 == 0 for side in frames[0].shape[:2])
    blue, red = (0, 114, 178), (213, 94, 0)
    for rgb in (blue, red):  # a disc of each robot
        assert (np.abs(frames[0].astype(int) - rgb).max(-1) <= 2).sum() > 200
        for name in ("trajectories", "places"):
            picture = shown[name]
            assert isinstance(picture, Image)
            assert (np.abs(picture.image.astype(int) - rgb).max(-1) <= 60).sum() > 20


def test_a_policy_is_asked_with_arrays():
    learner = LinearQ(env="Climbing-v0", evaluation_episodes=1)
    state = learner.init(jax.random.key(0))
    weights = state.weights.at[0, 2, 1].set(1.0).at[0, 3, 2].set(1.0)  # by ids: 1 and 2
    policy = learner.predictor(learner.model(type(state)(weights, None, None, None)))  # pyright: ignore
    np.testing.assert_array_equal(policy(np.ones((2, 1))), [1, 2])
    masks = np.array([[1, 1, 1], [1, 1, 0]], bool)
    np.testing.assert_array_equal(policy(np.ones((4, 2, 1)), masks), [[1, 0]] * 4)
    for wrong, said in (
        ([np.ones((3, 1))], r"must have shape \(2, 1\)"),
        (["left"], "must be numbers, got 'left'"),
        ([np.ones((2, 1)), np.ones(3)], r"must have shape \(2, 3\), or \(1, 2, 3\) .* got \(3,\)"),
        ([np.ones((2, 1)), masks[[0, 0]] & [[True], [False]]], "leaves agent 'player_1' no available action"),
    ):
        with pytest.raises(UsageError, match=said):
            policy(*wrong)


def test_every_world_is_drawn():
    from populace.rl.multi_agent.environments.draw import draw

    for name in registry.names():
        task = registry.make(name)
        _, state = jax.jit(task.start)(jax.random.key(0))
        image = draw(task.environment, jax.device_get(state))
        assert image.dtype == np.uint8
        assert image.shape[0] % 2 == image.shape[1] % 2 == 0
        assert image.std() > 5
