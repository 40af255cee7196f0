"""n-step returns against sums written from their formula."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.rl.environments.stepping import Transition
from populace.rl.targets.n_step import NStepWindow


def experience(draw, steps: int, copies: int):
    """Return transitions (steps, copies) whose observations are numbered, and where episodes were over."""
    generator = np.random.default_rng(draw)
    terminated = generator.random((steps, copies)) < 0.2
    truncated = generator.random((steps, copies)) < 0.2
    reward = generator.normal(size=(steps, copies)).astype(np.float32)
    seen = np.arange(steps * copies, dtype=np.float32).reshape(steps, copies, 1)
    action = generator.integers(0, 3, (steps, copies)).astype(np.int32)
    return Transition(seen, action, reward, seen + 1000, terminated), terminated | truncated


def reference(steps: Transition, done, t: int, copy: int, n: int, discount: float):
    """Return the sum of one step, where it leads, whether that is the end, and the weight of what follows."""
    total, k = 0.0, 0
    while True:
        total += discount**k * float(steps.reward[t + k, copy])
        k += 1
        if k == n or done[t + k - 1, copy]:
            last = t + k - 1
            return total, steps.next_observation[last, copy], steps.terminated[last, copy], discount**k


@partial(jax.jit, static_argnums=0)
def pushed(n: int, steps: Transition, done, discount):
    """Push every step into a window of n; return what each push gave, and whether it was complete."""

    def push(window, now):
        window, found = window.push(*now, discount)
        return window, (found, window.complete)

    window = NStepWindow(jax.tree.map(lambda x: x[0, 0], steps), n, done.shape[1])
    return jax.lax.scan(push, window, (steps, done))[1]


# Few shapes, for each of which a program is compiled.
@settings(max_examples=25)
@given(
    st.integers(0, 10_000), st.sampled_from([(1, 2), (2, 1), (3, 2), (5, 3)]), st.floats(0.0, 1.0, width=32)
)
def test_every_step_looks_ahead_to_the_end_of_its_own_episode(draw, shape, discount):
    length, (n, copies) = 12, shape
    steps, done = experience(draw, length, copies)
    found, complete = jax.tree.map(np.asarray, pushed(n, steps, done, discount))
    np.testing.assert_array_equal(complete, np.arange(length) >= n - 1)
    first = found.transition
    for t in range(n - 1, length):
        begin = t - n + 1
        np.testing.assert_array_equal(first.observation[t], steps.observation[begin])
        np.testing.assert_array_equal(first.action[t], steps.action[begin])
        for copy in range(copies):
            total, seen, terminated, power = reference(steps, done, begin, copy, n, discount)
            np.testing.assert_allclose(first.reward[t, copy], total, rtol=1e-5, atol=1e-5)
            np.testing.assert_array_equal(first.next_observation[t, copy], seen)
            assert first.terminated[t, copy] == terminated
            np.testing.assert_allclose(found.bootstrap_discount[t, copy], power, rtol=1e-5, atol=1e-7)


def test_the_discount_may_differ_between_members():
    steps, done = experience(3, 4, 2)
    done[:] = False
    each = jax.vmap(lambda discount: pushed(3, steps, done, discount)[0].bootstrap_discount[2, 0])
    np.testing.assert_allclose(jax.jit(each)(np.float32([0.5, 0.9])), [0.125, 0.729], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 3])
def test_bytes_stay_bytes(n):
    def push(seen):
        example = Transition(seen, np.int32(0), np.float32(0), seen, np.bool(False))  # pyright: ignore[reportArgumentType]
        now = jax.tree.map(lambda x: np.ones((2, *x.shape)), example)
        return NStepWindow(example, n, 2).push(now, np.zeros(2, bool), 0.9)[0]  # pyright: ignore[reportArgumentType]

    assert jax.eval_shape(push, np.zeros(2, np.uint8)).steps.observation.dtype == np.uint8
