"""n-step returns against sums written from their formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.rl.environments.stepping import Transition
from populace.rl.targets.n_step import Window


def experience(draw, steps: int, copies: int):
    """Return transitions (steps, copies) whose observations are numbered, and where episodes were over."""
    generator = np.random.default_rng(draw)
    terminated = generator.random((steps, copies)) < 0.2
    truncated = generator.random((steps, copies)) < 0.2
    reward = generator.normal(size=(steps, copies)).astype(np.float32)
    seen = np.arange(steps * copies, dtype=np.float32).reshape(steps, copies, 1)
    action = generator.integers(0, 3, (steps, copies)).astype(np.int32)
    return Transition(seen, action, reward, seen + 1000, terminated), terminated | truncated


def reference(steps: Transition, over, t: int, copy: int, n: int, discount: float):
    """Return the sum of one step, where it leads, whether that is the end, and the weight of what follows."""
    total, k = 0.0, 0
    while True:
        total += discount**k * float(steps.reward[t + k, copy])
        k += 1
        if k == n or over[t + k - 1, copy]:
            last = t + k - 1
            return total, steps.next_observation[last, copy], steps.terminated[last, copy], discount**k


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 3), st.floats(0.0, 1.0))
def test_every_step_looks_ahead_to_the_end_of_its_own_episode(draw, n, copies, discount):
    length = 12
    steps, over = experience(draw, length, copies)
    window = Window(jax.tree.map(lambda x: jnp.asarray(x[0, 0]), steps), n, copies)
    push = jax.jit(Window.push)
    given_out = 0
    for t in range(length):
        now = jax.tree.map(lambda x, t=t: jnp.asarray(x[t]), steps)
        window, found = push(window, now, jnp.asarray(over[t]), discount)
        assert bool(window.complete) == (t >= n - 1)
        if t < n - 1:
            continue
        given_out += 1
        begin = t - n + 1
        np.testing.assert_array_equal(found.first.observation, steps.observation[begin])
        np.testing.assert_array_equal(found.first.action, steps.action[begin])
        for copy in range(copies):
            total, seen, terminated, power = reference(steps, over, begin, copy, n, discount)
            np.testing.assert_allclose(found.first.reward[copy], total, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(found.first.next_observation[copy], seen)
            assert bool(found.first.terminated[copy]) == terminated
            np.testing.assert_allclose(found.power[copy], power, rtol=1e-5, atol=1e-7)
    assert given_out == length - n + 1


def test_the_discount_may_differ_between_members():
    steps, over = experience(3, 4, 2)
    over[:] = False
    window = Window(jax.tree.map(lambda x: jnp.asarray(x[0, 0]), steps), 3, 2)

    def power(discount):
        inner = window
        for t in range(3):
            now = jax.tree.map(lambda x, t=t: jnp.asarray(x[t]), steps)
            inner, found = inner.push(now, jnp.asarray(over[t]), discount)
        return found.power

    np.testing.assert_allclose(jax.vmap(power)(jnp.array([0.5, 0.9]))[:, 0], [0.125, 0.729], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 3])
def test_bytes_stay_bytes(n):
    seen = jnp.zeros(2, jnp.uint8)
    example = Transition(seen, jnp.int32(0), jnp.float32(0), seen, jnp.bool(False))
    window = Window(example, n, 2)
    now = jax.tree.map(lambda x: jnp.ones((2, *x.shape)), example)
    window, _ = window.push(now, jnp.zeros(2, bool), 0.9)
    assert window.steps.observation.dtype == jnp.uint8
