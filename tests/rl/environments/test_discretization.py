"""State aggregation, native and in Gymnasium, against NumPy's own histogram binning."""

from fractions import Fraction

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from populace.core.errors import UsageError
from populace.rl.environments import registry
from populace.rl.environments.bins import Bins, make_bins
from populace.rl.environments.discretization import aggregate, aggregate_env


def edges_of(low, high, count):
    """The bounds of bins by exact fractions, rounded to float32."""
    low, high = Fraction(float(low)), Fraction(float(high))
    return np.float32([float(low + (high - low) * k / count) for k in range(count + 1)])


def reference(x, counts, low, high):
    """NumPy's digitize along each dimension, its index by ravel_multi_index."""
    places = [np.digitize(x[:, d], edges_of(low[d], high[d], count)[1:-1]) for d, count in enumerate(counts)]
    return np.ravel_multi_index(places, counts)


@pytest.mark.parametrize("counts", [(20, 20), (3, 7), (1, 4), (5,), (2, 3, 4)])
def test_the_index_equals_numpys_binning(counts):
    rng = np.random.default_rng(0)
    low = rng.uniform(-2, -1, len(counts)).astype(np.float32)
    high = rng.uniform(1, 2, len(counts)).astype(np.float32)
    x = rng.uniform(-3, 3, (20_000, len(counts))).astype(np.float32)
    bins = Bins(counts, low, high)
    wanted = reference(x, counts, low, high)
    assert np.array_equal(bins.index(x), wanted)
    assert np.array_equal(jax.jit(bins.index)(x), wanted)
    assert len(np.unique(wanted)) == bins.states
    assert np.array_equal(bins.index(bins.centers().astype(np.float32)), np.arange(bins.states))


def test_numpy_and_the_compiled_program_agree_on_every_edge_and_beside_it():
    """In 208 ranges and numbers of bins, with the numbers on the edges and the next ones in float32."""
    ranges = [(0, 100), (0, 1), (-1, 1), (-1.2, 0.6), (-0.07, 0.07), (-4.8, 4.8), (-np.pi, np.pi), (0, 255)]
    counts = (*range(1, 14), 15, 16, 17, 19, 20, 25, 30, 33, 50, 64, 77, 99, 100)
    boxes = [Bins((n,), np.float32([low]), np.float32([high])) for low, high in ranges for n in counts]
    assert len(boxes) == 208
    x = np.zeros((400, len(boxes), 1), np.float32)
    for d, box in enumerate(boxes):
        edges = edges_of(box.low[0], box.high[0], box.states)
        below, above = (np.nextafter(edges, np.float32(end)) for end in (-np.inf, np.inf))
        beyond = [np.nan, np.inf, -np.inf, 1e-40, -1e-40, 0.0, -0.0]
        found = np.concatenate([edges, below, above, beyond])
        x[: len(found), d, 0] = found
        reached = np.minimum(np.arange(box.states + 1), box.states - 1)
        assert np.array_equal(box.index(edges[:, None]), reached), "an edge belongs to the bin above it"
        away = edges != 0  # the next number below 0 is subnormal, and compiled programs take it for 0
        before = np.maximum(np.arange(box.states + 1) - 1, 0)
        assert np.array_equal(box.index(below[:, None])[away], before[away])

    def indices(x):
        return [box.index(x[:, d]) for d, box in enumerate(boxes)]

    np.testing.assert_array_equal(jax.jit(indices)(x), indices(x))


def test_the_numbers_in_the_middle_of_a_wide_range():
    bins = make_bins("x", np.float32([0]), np.float32([100]), (20,), None, None)
    x = np.array([[5], [50], [95]], np.float32)
    assert bins.index(x).tolist() == jax.jit(bins.index)(x).tolist() == [1, 10, 19]


def test_observations_outside_fall_into_the_outermost_bin():
    bins = make_bins("x", np.array([0.0, 0.0]), np.array([1.0, 1.0]), (4, 3), None, None)
    far = np.array([[-1e9, -0.1], [np.inf, 0.5], [0.0, 1.0], [1.0, -np.inf], [0.999, 3e38]], np.float32)
    assert bins.index(far).tolist() == [0, 10, 2, 9, 11]
    assert jax.jit(bins.index)(far).tolist() == [0, 10, 2, 9, 11]


def test_an_aggregated_task_plays_the_same_episodes():
    task = registry.make("MountainCar-v0(max_steps_in_episode=12)")
    binned = aggregate(task, (20, 20))
    assert (binned.states, binned.observation_shape, binned.actions) == (400, (), 3)
    assert (binned.observation_dtype, binned.horizon) == (np.int32, 12)
    assert registry.make("MountainCar-v0(max_steps_in_episode=12)").states == 0, (
        "the task itself is as it was"
    )

    @jax.jit
    def play():
        """Take 30 steps in both, by the same random numbers."""

        def step(carry, t):
            worlds, key = carry
            key, action = jax.random.fold_in(key, t), jnp.arange(5) % 3
            found = [one.step(key, world, action) for one, world in zip((task, binned), worlds)]
            told = [(seen, *told, info["final_observation"]) for seen, _, *told, info in found]
            return ([x[1] for x in found], key), told

        starts = [one.reset(jax.random.key(0), 5) for one in (task, binned)]
        worlds = [world for _, world in starts]
        _, told = jax.lax.scan(step, (worlds, jax.random.key(0)), jnp.arange(30))
        return [seen for seen, _ in starts], told

    (first, first_index), (plain, cut_up) = jax.device_get(play())
    bounds = task.observation_low, task.observation_high

    def indices(observations):
        return reference(observations.reshape(-1, 2), (20, 20), *bounds).reshape(observations.shape[:-1])

    np.testing.assert_array_equal(first_index, indices(first))
    np.testing.assert_array_equal(cut_up[0], indices(plain[0]))
    assert cut_up[0].dtype == np.int32
    for ours, theirs in zip(cut_up[1:4], plain[1:4]):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(cut_up[4], indices(plain[4]))
    assert plain[3].any(), "a restart lay between"


def test_the_wrapper_for_gymnasium_gives_the_same_indices():
    env = aggregate_env(gymnasium.make("MountainCar-v0").unwrapped, 20)
    assert isinstance(env, gymnasium.ObservationWrapper)
    assert env.observation_space == gymnasium.spaces.Discrete(400)
    plain = gymnasium.make("MountainCar-v0")
    index, _ = env.reset(seed=5)
    observation, _ = plain.reset(seed=5)
    box = plain.observation_space
    for action in [2] * 40 + [0] * 40:
        assert index == reference(observation[None], (20, 20), box.low, box.high)[0]
        assert env.observation_space.contains(index)
        index, *_ = env.step(action)
        observation, *_ = plain.step(action)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
@pytest.mark.filterwarnings("error")
def test_the_wrapper_passes_gymnasiums_checker():
    check_env(aggregate_env(gymnasium.make("MountainCar-v0", render_mode="rgb_array").unwrapped, (6, 5)))


def test_bounds_may_be_given_for_some_dimensions():
    task = registry.make("CartPole-v1")
    binned = aggregate(task, 3, low=[None, -2.0, None, -3.0], high=[None, 2.0, None, 3.0])
    assert binned.states == 81
    bins = binned.environment.bins
    assert bins.low == pytest.approx([task.observation_low[0], -2, task.observation_low[2], -3])
    everywhere = aggregate(task, 3, low=-1, high=1).environment.bins
    assert everywhere.high.tolist() == [1] * 4


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        (
            "CartPole-v1",
            {"bins": 4},
            r"'CartPole-v1': dimension 1 of the observation has no finite bounds \(-inf to inf\); give low",
        ),
        ("CartPole-v1", {"bins": 4, "low": -1.0}, r"dimension 1 .* \(-1 to inf\)"),
        ("MountainCar-v0", {"bins": (4, 4, 4)}, "has observations of 2 numbers, got bins for 3"),
        ("MountainCar-v0", {"bins": (4, 0)}, r"at least 1 along each dimension, got \(4, 0\)"),
        ("MountainCar-v0", {"bins": 10**5}, "10,000,000,000 bins in total are too many"),
        ("MountainCar-v0", {"bins": 4, "high": (1.0,)}, "has observations of 2 numbers, got 1 for high"),
        (
            "MountainCar-v0",
            {"bins": 4, "low": 1.0},
            "dimension 0 must be below its upper bound, got 1 to 0.6",
        ),
        (
            "MountainCar-v0",
            {"bins": (4, 20), "low": [None, 1e8], "high": [None, 1e8 + 64]},
            r"20 bins from 1e\+08 to 1e\+08 in dimension 1 are narrower than observations in float32 can",
        ),
        ("MountainCar-v0", {"bins": (1, 10**9)}, "1,000,000,000 bins from -0.07 to 0.07 .* use fewer bins"),
        ("LineWorld-v0(observation='index')", {"bins": 4}, "an observation is one of 10 states"),
        ("Breakout-MinAtar", {"bins": 4}, r"an observation is an array of shape \(10, 10, 4\)"),
    ],
)
def test_bad_bins_are_refused_in_one_line(name, arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        aggregate(registry.make(name), **arguments)
    assert "\n" not in str(caught.value)


def test_gymnasiums_infinite_bounds_are_refused_too():
    with pytest.raises(
        UsageError, match=r"'CartPole-v1': dimension 1 of the observation has no finite bounds"
    ):
        aggregate_env(gymnasium.make("CartPole-v1"), 4)
    with pytest.raises(UsageError, match=r"'FrozenLake-v1': bins need observations of shape \(d,\)"):
        aggregate_env(gymnasium.make("FrozenLake-v1"), 4)
