"""Prioritised replay against a plain Python reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from populace.rl.buffers.prioritised import PrioritisedReplay, SumTree

ADD, UPDATE = jax.jit(PrioritisedReplay.add), jax.jit(PrioritisedReplay.update)
SAMPLE = jax.jit(PrioritisedReplay.sample, static_argnums=2)
DRAWN = 5
EXAMPLE = {"number": jax.ShapeDtypeStruct((), jnp.int32)}


def numbered(first: int, count: int):
    return {"number": jnp.arange(first, first + count)}


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


def stored(replay: PrioritisedReplay) -> dict[int, float]:
    """Return number to mass of everything that can be drawn."""
    masses = np.asarray(replay.tree.levels[0]).reshape(-1)
    numbers = np.asarray(replay.replay.read(jnp.arange(replay.replay.length))["number"])
    assert not masses[replay.replay.length :].any()
    return {int(numbers[i]): float(m) for i, m in enumerate(masses[: replay.replay.length]) if m > 0}


def assert_sums(tree: SumTree) -> None:
    """Assert that every node is the sum of its children."""
    for lower, upper in zip(tree.levels, tree.levels[1:]):
        sums = np.asarray(lower).sum(-1)
        np.testing.assert_allclose(np.asarray(upper).reshape(-1)[: sums.size], sums, rtol=1e-6)
        assert not np.asarray(upper).reshape(-1)[sums.size :].any()


# Few shapes: most of the time would go into compiling.
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(1, 4), (3, 17), (3, 60)]), st.integers(1, 60), st.floats(0.0, 1.0),
    st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.floats(0, 5), min_size=DRAWN, max_size=DRAWN)), max_size=12
    ),
)  # fmt: skip
def test_it_keeps_order_overwrites_and_priorities(sizes, capacity, alpha, history):
    together, length = sizes
    replay = PrioritisedReplay(EXAMPLE, length, together)
    capacity = min(capacity, length)
    reference = Reference(capacity)
    for turn, (additions, differences) in enumerate(history):
        for _ in range(additions):
            replay = ADD(replay, numbered(reference.added, together), float(capacity))
            reference.add(together)
        batch, index, _ = SAMPLE(replay, jax.random.key(turn), DRAWN, 0.5)
        numbers = np.asarray(batch["number"])
        assert set(numbers.tolist()) <= set(reference.masses())
        # One difference to a transition, however often it was drawn.
        difference = np.asarray(differences)[numbers % DRAWN]
        replay = UPDATE(replay, index, jnp.asarray(difference, jnp.float32), alpha)
        reference.update(numbers, difference, alpha)
        found, expected = stored(replay), reference.masses()
        assert found.keys() == expected.keys()
        np.testing.assert_allclose([found[k] for k in expected], list(expected.values()), rtol=1e-5)
        np.testing.assert_allclose(float(replay.largest), reference.largest, rtol=1e-5)
        assert_sums(replay.tree)


@pytest.mark.parametrize(("length", "capacity"), [(20, 20), (300, 300), (300, 37), (5000, 4000)])
def test_it_draws_in_proportion_to_its_masses(length, capacity):
    together = length // 20
    replay = PrioritisedReplay(EXAMPLE, length, together)
    for i in range(0, length + 3 * together, together):
        replay = ADD(replay, numbered(i, together), float(capacity))
    places = jnp.arange(length)
    differences = jax.random.uniform(jax.random.key(0), (length,)) ** 2
    can = replay.tree.masses(places) > 0
    replay = replay.update(places, jnp.where(can, differences, 0.0), 0.7)
    masses = jnp.where(can, replay.tree.masses(places), 0.0)
    tree = SumTree(length).set(places, masses)
    drawn = jax.jit(jax.vmap(lambda k: tree.draw(k, 16)))(jax.random.split(jax.random.key(1), 4000))
    counts = np.bincount(np.asarray(drawn).reshape(-1), minlength=length).astype(float)
    expected = np.asarray(masses, float) / float(masses.sum()) * counts.sum()
    assert counts[expected == 0].sum() == 0
    assert (expected > 0).sum() == capacity
    order = np.argsort(expected)[length - capacity :]
    # Rare ones are taken together: the test of fit wants more than a few expected in a class.
    group = np.unique((np.cumsum(expected[order]) // 20).astype(int), return_inverse=True)[1]
    seen, wanted = (np.bincount(group, x[order]) for x in (counts, expected))
    # Stratified draws vary less than independent ones: too much agreement is no fault.
    assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-3


def test_a_batch_has_one_draw_from_each_equal_share():
    masses = jnp.array([1.0, 1.0, 2.0, 4.0])
    tree = SumTree(4).set(jnp.arange(4), masses)
    for i in range(50):
        assert np.asarray(tree.draw(jax.random.key(i), 8)).tolist() == [0, 1, 2, 2, 3, 3, 3, 3]


def test_what_has_no_mass_is_never_drawn():
    masses = jnp.zeros(1000).at[jnp.array([0, 15, 16, 255, 256, 998])].set(1e-4)
    tree = SumTree(1000).set(jnp.arange(1000), masses)
    drawn = jax.vmap(lambda k: tree.draw(k, 64))(jax.random.split(jax.random.key(0), 2000))
    assert set(np.unique(np.asarray(drawn)).tolist()) == {0, 15, 16, 255, 256, 998}


def test_weights_follow_their_formula():
    replay = PrioritisedReplay(EXAMPLE, 32, 4)
    for i in range(0, 32, 4):
        replay = ADD(replay, numbered(i, 4), 32.0)
    difference = np.linspace(0.1, 3.0, 32)
    replay = replay.update(jnp.arange(32), jnp.asarray(difference, jnp.float32), 0.6)
    batch, index, weight = replay.sample(jax.random.key(5), 16, 0.4)
    mass = (difference + 1e-6) ** 0.6
    probability = mass / mass.sum()
    expected = (32 * probability[np.asarray(batch["number"])]) ** -0.4
    np.testing.assert_allclose(weight, expected / expected.max(), rtol=1e-5)
    np.testing.assert_array_equal(index, batch["number"])


def test_with_alpha_0_it_is_uniform_and_weights_are_1():
    replay = PrioritisedReplay(EXAMPLE, 32, 4).add(numbered(0, 4), 32.0)
    replay = replay.update(jnp.arange(4), jnp.array([0.0, 1.0, 2.0, 9.0]), 0.0)
    batch, _, weight = replay.sample(jax.random.key(0), 4, 1.0)
    assert np.asarray(batch["number"]).tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(weight, 1.0)


def test_capacities_differ_under_vmap():
    def fill(capacity):
        replay = PrioritisedReplay(EXAMPLE, 40, 4)
        for i in range(0, 48, 4):
            replay = ADD(replay, numbered(i, 4), capacity)
        return replay.sample(jax.random.key(0), 200, 0.5)[0]["number"]

    drawn = jax.jit(jax.vmap(fill))(jnp.array([8.0, 10.0, 40.0]))
    assert [int(x) for x in drawn.min(-1)] == [40, 38, 8]
    assert [int(x) for x in drawn.max(-1)] == [47, 47, 47]


def test_what_is_not_kept_changes_nothing():
    replay = PrioritisedReplay(EXAMPLE, 16, 4).add(numbered(0, 4), 16.0)
    same = replay.add(numbered(90, 4), 16.0, keep=False).update(
        jnp.arange(2), jnp.ones(2) * 9, 1.0, keep=False
    )
    assert stored(same) == stored(replay)
    assert int(same.replay.written) == 4
    assert stored(same.add(numbered(4, 4), 16.0)).keys() == set(range(8))


def test_an_empty_one_gives_weights_that_are_finite():
    _, index, weight = PrioritisedReplay(EXAMPLE, 16, 4).sample(jax.random.key(0), 8, 0.4)
    assert not np.asarray(index).any()
    np.testing.assert_array_equal(weight, 1.0)
