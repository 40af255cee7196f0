"""Prioritized replay against a plain Python reference."""

from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populace.rl.buffers.prioritized import PrioritizedReplay, SumTree

ADD, UPDATE = jax.jit(PrioritizedReplay.add), jax.jit(PrioritizedReplay.update)
DRAWN = 5
EXAMPLE = {"number": jax.ShapeDtypeStruct((), np.int32)}


@partial(jax.jit, static_argnums=2)
def sample(replay, seed, count, beta):
    return replay.sample(jax.random.key(seed), count, beta)


@jax.jit
def read_all(replay):
    return replay.replay.read(np.arange(replay.replay.length))["number"]


@cache
def empty(length: int, add_batch_size: int) -> PrioritizedReplay:
    return jax.jit(lambda: PrioritizedReplay(EXAMPLE, length, add_batch_size))()


def numbered(first: int, count: int):
    return {"number": np.arange(first, first + count, dtype=np.int32)}


def draws(tree: SumTree, seeds: int, count: int) -> np.ndarray:
    """Return `count` places for each of so many seeds."""
    draw = jax.vmap(lambda tree, seed: tree.sample(jax.random.key(seed), count), (None, 0))
    return np.asarray(jax.jit(draw)(tree, np.arange(seeds)))


@jax.jit
def with_masses(masses) -> SumTree:
    return SumTree(len(masses)).set(np.arange(len(masses)), masses)


class Reference:
    """A list of (number, p^alpha), the newest last."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.kept, self.largest, self.added = capacity, [], 1.0, 0

    def add(self, count: int) -> None:
        for _ in range(count):
            self.kept.append([self.added, self.largest])
            self.added += 1
        self.kept = self.kept[-self.capacity :]

    def update(self, numbers, differences, alpha: float) -> None:
        for number, difference in zip(numbers, differences):
            mass = (abs(difference) + 1e-6) ** alpha
            self.largest = max(self.largest, mass)
            for entry in self.kept:
                if entry[0] == number:
                    entry[1] = mass

    def masses(self) -> dict[int, float]:
        return dict(self.kept)


def stored(replay: PrioritizedReplay) -> dict[int, float]:
    """Return number to mass of everything that can be drawn."""
    masses = np.asarray(replay.tree.levels[0]).reshape(-1)
    numbers = np.asarray(read_all(replay))
    assert not masses[replay.replay.length :].any()
    return {int(numbers[i]): float(m) for i, m in enumerate(masses[: replay.replay.length]) if m > 0}


def assert_sums(tree: SumTree) -> None:
    """Assert that every node is the sum of its children."""
    for lower, upper in zip(tree.levels, tree.levels[1:]):
        sums = np.asarray(lower).sum(-1)
        np.testing.assert_allclose(np.asarray(upper).reshape(-1)[: sums.size], sums, rtol=1e-6)
        assert not np.asarray(upper).reshape(-1)[sums.size :].any()


# Few shapes, for each of which five programs are compiled.
@settings(max_examples=25)
@given(
    st.sampled_from([(1, 4), (3, 17), (3, 60)]), st.integers(1, 60), st.floats(0.0, 1.0),
    st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.floats(0, 5), min_size=DRAWN, max_size=DRAWN)), max_size=12
    ),
)  # fmt: skip
def test_it_keeps_order_overwrites_and_priorities(sizes, capacity, alpha, history):
    add_batch_size, length = sizes
    replay = empty(length, add_batch_size)
    capacity = min(capacity, length)
    reference = Reference(capacity)
    for turn, (additions, differences) in enumerate(history):
        for _ in range(additions):
            replay = ADD(replay, numbered(reference.added, add_batch_size), np.float32(capacity), True)
            reference.add(add_batch_size)
        batch, index, _ = sample(replay, turn, DRAWN, 0.5)
        numbers = np.asarray(batch["number"])
        assert set(numbers.tolist()) <= set(reference.masses())
        # One difference to a transition, however often it was drawn.
        difference = np.asarray(differences)[numbers % DRAWN]
        replay = UPDATE(replay, index, difference.astype(np.float32), np.float32(alpha), True)
        reference.update(numbers, difference, alpha)
        found, expected = stored(replay), reference.masses()
        assert found.keys() == expected.keys()
        np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-5)
        np.testing.assert_allclose(float(replay.largest), reference.largest, rtol=1e-5)
        assert_sums(replay.tree)


@pytest.mark.parametrize(("length", "capacity"), [(20, 20), (300, 300), (300, 37), (5000, 4000)])
def test_it_samples_in_proportion_to_the_masses(length, capacity):
    add_batch_size = length // 20
    replay = empty(length, add_batch_size)
    for i in range(0, length + 3 * add_batch_size, add_batch_size):
        replay = ADD(replay, numbered(i, add_batch_size), np.float32(capacity), True)
    can = np.asarray(replay.tree.levels[0]).reshape(-1)[:length] > 0
    differences = np.where(can, np.random.default_rng(0).random(length) ** 2, 0).astype(np.float32)
    replay = UPDATE(replay, np.arange(length), differences, np.float32(0.7), True)
    masses = np.where(can, np.asarray(replay.tree.levels[0]).reshape(-1)[:length], 0)
    counts = np.bincount(draws(with_masses(masses), 4000, 16).ravel(), minlength=length)
    expected = masses / masses.sum() * counts.sum()
    assert counts[expected == 0].sum() == 0
    assert (expected > 0).sum() == capacity
    order = np.argsort(expected)[length - capacity :]
    # Rare ones are taken together: the test of fit wants more than a few expected in a class.
    group = np.unique((np.cumsum(expected[order]) // 20).astype(int), return_inverse=True)[1]
    seen, wanted = (np.bincount(group, x[order]) for x in (counts, expected))
    # Stratified draws vary less than independent ones: too much agreement is no fault.
    assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-3


def test_a_batch_has_one_draw_from_each_equal_share():
    tree = with_masses(np.float32([1, 1, 2, 4]))
    np.testing.assert_array_equal(draws(tree, 50, 8), [[0, 1, 2, 2, 3, 3, 3, 3]] * 50)


def test_masses_that_are_finer_than_the_steps_of_a_float_are_drawn_in_proportion():
    """Of 3.3 million equal masses, floats of 2^23 steps reach 54 % three times, with 64 % of the draws."""
    count = 3_300_000

    @jax.jit
    def drawn(keys):
        tree, sums, levels = SumTree(count), jnp.ones(count), []
        for level in tree.levels:
            levels.append(jnp.zeros(level.size).at[: sums.size].set(sums).reshape(level.shape))
            sums = levels[-1].sum(-1)
        tree = eqx.tree_at(lambda t: t.levels, tree, tuple(levels))
        return jax.vmap(lambda key: tree.sample(key, 1)[0])(keys)

    reached = np.bincount(np.arange(2**23) * count // 2**23, minlength=count)
    found = np.asarray(drawn(jax.random.split(jax.random.key(0), 200_000)))
    assert found.max() < count
    assert (reached[found] == 3).mean() == pytest.approx((reached == 3).mean(), abs=0.012)


def test_a_mass_of_0_is_never_sampled():
    masses, places = np.zeros(1000, np.float32), [0, 15, 16, 255, 256, 998]
    masses[places] = 1e-4
    assert np.unique(draws(with_masses(masses), 2000, 64)).tolist() == places


def test_weights_follow_their_formula():
    replay = empty(32, 4)
    for i in range(0, 32, 4):
        replay = ADD(replay, numbered(i, 4), np.float32(32), True)
    difference = np.linspace(0.1, 3.0, 32).astype(np.float32)
    replay = UPDATE(replay, np.arange(32), difference, np.float32(0.6), True)
    batch, index, weight = sample(replay, 5, 16, 0.4)
    mass = (np.float64(difference) + 1e-6) ** 0.6
    probability = mass / mass.sum()
    expected = (32 * probability[np.asarray(batch["number"])]) ** -0.4
    np.testing.assert_allclose(weight, expected / expected.max(), rtol=1e-5)
    np.testing.assert_array_equal(index, batch["number"])


def test_with_alpha_0_it_is_uniform_and_weights_are_1():
    replay = ADD(empty(32, 4), numbered(0, 4), np.float32(32), True)
    replay = UPDATE(replay, np.arange(4), np.float32([0, 1, 2, 9]), np.float32(0), True)
    batch, _, weight = sample(replay, 0, 16, 1.0)
    # A draw from each sixteenth of the mass: four of each.
    assert np.asarray(batch["number"]).tolist() == np.repeat([0, 1, 2, 3], 4).tolist()
    np.testing.assert_array_equal(weight, 1.0)


def test_an_empty_one_gives_weights_that_are_finite():
    _, index, weight = sample(empty(32, 4), 0, 16, 0.4)
    assert not np.asarray(index).any()
    np.testing.assert_array_equal(weight, 1.0)


def test_transitions_that_are_not_kept_change_nothing():
    replay = ADD(empty(32, 4), numbered(0, 4), np.float32(16), True)
    same = ADD(replay, numbered(90, 4), np.float32(16), False)
    same = UPDATE(same, np.arange(4), np.full(4, 9, np.float32), np.float32(1), False)
    assert stored(same) == stored(replay)
    assert int(same.replay.written) == 4
    assert float(same.largest) == 1
    assert stored(ADD(same, numbered(4, 4), np.float32(16), True)).keys() == set(range(8))


def test_capacities_differ_under_vmap():
    def fill(replay, capacity):
        def add(i, replay):
            return replay.add({"number": 4 * i + np.arange(4)}, capacity)

        replay = jax.lax.fori_loop(0, 12, add, replay)
        return replay.sample(jax.random.key(0), 200, 0.5)[0]["number"]

    drawn = np.asarray(jax.jit(jax.vmap(fill, (None, 0)))(empty(40, 4), np.float32([8, 10, 40])))
    assert drawn.min(-1).tolist() == [40, 38, 8]
    assert drawn.max(-1).tolist() == [47, 47, 47]
