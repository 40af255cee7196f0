"""Returns and advantages against plain loops written from their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from populace.rl.targets import advantages
from populace.rl.targets.advantages import standardised

discounted_returns = jax.jit(advantages.discounted_returns)
generalised_advantages = jax.jit(advantages.generalised_advantages)


def rollout(seed: int, steps: int, copies: int):
    rng = np.random.default_rng(seed)
    reward, value, following = rng.normal(size=(3, steps, copies))
    terminated = rng.random((steps, copies)) < 0.15
    over = terminated | (rng.random((steps, copies)) < 0.15)
    return reward, terminated, over, value, following


def returns_by_loop(reward, terminated, over, following, discount):
    out = np.zeros_like(reward)
    for copy in range(reward.shape[1]):
        for start in range(len(reward)):
            total, weight = 0.0, 1.0
            for t in range(start, len(reward)):
                total += weight * reward[t, copy]
                weight *= discount
                if terminated[t, copy]:
                    break
                if over[t, copy] or t == len(reward) - 1:
                    total += weight * following[t, copy]
                    break
            out[start, copy] = total
    return out


def advantages_by_loop(reward, terminated, over, value, following, discount, lam):
    out = np.zeros_like(reward)
    for copy in range(reward.shape[1]):
        for start in range(len(reward)):
            weight = 1.0
            for t in range(start, len(reward)):
                bootstrap = 0.0 if terminated[t, copy] else following[t, copy]
                out[start, copy] += weight * (reward[t, copy] + discount * bootstrap - value[t, copy])
                weight *= discount * lam
                if over[t, copy]:
                    break
    return out


# Few shapes, each of which is compiled: one step, less than the loop unrolls, more, and no multiple of it.
steps, copies = st.sampled_from([1, 5, 16, 39]), st.sampled_from([1, 3])
rollouts = (st.integers(0, 2**31), steps, copies, st.floats(0, 1), st.floats(0, 1))


@given(*rollouts)
def test_advantages_are_the_weighted_sums_of_errors_within_an_episode(seed, steps, copies, discount, lam):
    reward, terminated, over, value, following = rollout(seed, steps, copies)
    found = generalised_advantages(
        *map(jnp.asarray, (reward, terminated, over, value, following)), discount, lam
    )
    expected = advantages_by_loop(reward, terminated, over, value, following, discount, lam)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@given(*rollouts[:4])
def test_returns_are_discounted_sums_to_the_end_and_the_value_behind_a_cut(seed, steps, copies, discount):
    reward, terminated, over, _, following = rollout(seed, steps, copies)
    found = discounted_returns(*map(jnp.asarray, (reward, terminated, over, following)), discount)
    expected = returns_by_loop(reward, terminated, over, following, discount)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


@given(*rollouts[:4])
def test_with_lambda_one_the_advantage_is_the_return_less_the_value(seed, steps, copies, discount):
    reward, terminated, over, value, _ = rollout(seed, steps, copies)
    # the value after a step is that before the next one, wherever the episode goes on
    following = np.random.default_rng(seed).normal(size=reward.shape)
    following[:-1] = np.where(over[:-1], following[:-1], value[1:])
    arrays = map(jnp.asarray, (reward, terminated, over, value, following))
    found = generalised_advantages(*arrays, discount, 1.0)
    expected = returns_by_loop(reward, terminated, over, following, discount) - value
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_standardised_counts_only_what_has_weight():
    x = np.array([[1.0, 2.0, 100.0], [4.0, -50.0, 3.0]])
    weight = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    kept = x[weight > 0]
    found = np.asarray(standardised(jnp.asarray(x), jnp.asarray(weight)))[weight > 0]
    np.testing.assert_allclose(found, (kept - kept.mean()) / kept.std(), rtol=1e-5)
    np.testing.assert_allclose(standardised(jnp.asarray(x)), (x - x.mean()) / x.std(), rtol=1e-5)
