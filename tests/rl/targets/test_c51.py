"""Categorical distributions of returns, against loops written from Bellemare et al. 2017."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.rl.targets.c51 import Categorical, project
from tests.rl.targets.compared import compared, rows


def projection_by_loop(p, y, v_min, v_max, atoms):
    """Algorithm 1 of the paper, loop by loop."""
    m, spacing = np.zeros(atoms), (v_max - v_min) / (atoms - 1)
    for p_j, y_j in zip(p, y):
        b = (min(max(y_j, v_min), v_max) - v_min) / spacing
        low, high = int(np.floor(b)), int(np.ceil(b))
        if low == high:
            m[min(low, atoms - 1)] += p_j
        else:
            m[low] += p_j * (high - b)
            m[high] += p_j * (b - low)
    return m


# Few numbers of atoms, for each of which a program is compiled.
@settings(max_examples=60)
@given(st.integers(0, 1000), st.sampled_from([2, 3, 8, 20]), st.floats(-3, 3), st.floats(0, 1))
def test_projection(seed, atoms, reward, bootstrap):
    generator = np.random.default_rng(seed)
    support = np.linspace(-2, 1.5, atoms).astype(np.float32)
    p = generator.dirichlet(np.ones(atoms)).astype(np.float32)
    y = np.float32(reward) + np.float32(bootstrap) * support
    found = np.asarray(jax.jit(project)(p, y, support))
    np.testing.assert_allclose(found, projection_by_loop(p, y, -2, 1.5, atoms), atol=2e-5)
    np.testing.assert_allclose(found.sum(), 1.0, atol=1e-5)
    np.testing.assert_allclose(found @ support, p @ np.clip(y, -2, 1.5), atol=2e-5)


def test_the_loss_is_the_cross_entropy_and_the_priority_the_divergence():
    kind = Categorical(atoms=5, v_min=-1.0, v_max=3.0)
    online, target = rows(3, 5), rows(3, 5, seed=1)
    reward, bootstrap = np.float32([0.5, -2.0, 1.0]), np.float32([0.9, 0.0, 0.5])
    found = compared(kind, online, target, reward, bootstrap)
    z = np.linspace(-1, 3, 5)
    for i in range(3):
        p = np.exp(target[i]) / np.exp(target[i]).sum()
        q = np.exp(online[i]) / np.exp(online[i]).sum()
        m = projection_by_loop(p, reward[i] + bootstrap[i] * z, -1, 3, 5)
        np.testing.assert_allclose(found.loss[i], -(m * np.log(q)).sum(), rtol=1e-5)
        divergence = sum(a * np.log(a / b) for a, b in zip(m, q) if a > 0)
        np.testing.assert_allclose(found.priority[i], divergence, rtol=1e-4)
        np.testing.assert_allclose(found.expected[i], q @ z, rtol=1e-5)
    found.assert_no_gradient_through_the_target()


def test_far_from_zero_it_is_as_exact_as_near_zero():
    """A support moved by 2,000, with rewards that move returns alike: the same losses, to a few digits."""
    near, far = (Categorical(atoms=51, v_min=c - 10.0, v_max=c + 10.0) for c in (0.0, 2000.0))
    online, target = rows(4, 51), rows(4, 51, seed=1)
    reward, bootstrap = np.float32([0.5, -2.0, 1.0, 3.0]), np.float32([0.5, 0.0, 0.75, 1.0])
    found = compared(near, online, target, reward, bootstrap)
    moved = compared(far, online, target, reward + (1 - bootstrap) * 2000, bootstrap)
    np.testing.assert_allclose(moved.loss, found.loss, rtol=1e-4)
    np.testing.assert_allclose(moved.expected - 2000, found.expected, atol=3e-4)
    with pytest.raises(
        UsageError, match=r"too far from zero for 51 atoms, 0\.4 apart: float32 cannot tell them"
    ):
        Categorical(v_min=1e6 - 10, v_max=1e6 + 10).check()


def test_bad_settings_are_refused():
    with pytest.raises(UsageError, match="atoms must be >= 2, got 1"):
        Categorical(atoms=1)
    with pytest.raises(UsageError, match=r"v_min 2 must be below distribution\.v_max 2"):
        Categorical(v_min=2.0, v_max=2.0).check()
