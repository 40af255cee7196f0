"""Fitting a kernel: the descent as computed by hand, whole and in parts, and what the engine asks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.analysis.fit_kernel import FitKernel, State
from populace.core.errors import UsageError
from populace.core.media import Image
from populace.core.population import sweep
from tests import harness

EDGE = np.asarray([-1.0, 0.0, 1.0])
SIGNAL = np.asarray([2, 2.1, 2.2, 2.3, 7.6, 7.5, 7.4, 7.3])


def descend(learner: FitKernel, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel after, and the loss before, each step from a given start."""
    kernels, losses = _descended(learner, np.asarray(start, np.float32), steps)
    return np.asarray(kernels), np.asarray(losses)


@eqx.filter_jit
def _descended(learner, start, steps):
    def step(state, _):
        state, metrics = learner.step(state, jax.random.key(0))
        return state, (state.kernel, metrics["loss"].value)

    return jax.lax.scan(step, State(start, start, jnp.int32(0)), length=steps)[1]


def by_hand(start: np.ndarray, rate: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The same from the formula, in float64."""
    x = np.stack([SIGNAL[j : j + 3] for j in range(6)])
    w, kernels, losses = start.copy(), [], []
    for _ in range(steps):
        error = x @ w - x @ EDGE
        losses.append(np.mean(error**2))
        w = w - rate * 2 / 6 * x.T @ error
        kernels.append(w)
    return np.asarray(kernels), np.asarray(losses)


def test_every_start_finds_the_edge_detector():
    engine = harness.only_trained(sweep(FitKernel(), {"parts": [1, 3]}, seeds=6), 1_500)
    for group_state in engine.group_states:
        kernels = np.asarray(group_state.state().kernel)
        assert kernels.shape == (6, 3)
        np.testing.assert_allclose(kernels, np.tile(EDGE, (6, 1)), atol=1e-4)


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 6])
def test_the_descent_is_the_formula_whole_and_in_parts(parts):
    start = np.asarray([0.5, -1.5, 0.25])
    kernels, losses = descend(FitKernel(parts=parts), start, 300)
    expected_kernels, expected_losses = by_hand(start, 5e-3, 300)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-4)
    np.testing.assert_allclose(kernels, expected_kernels, atol=1e-5)


def test_losses_in_parts_are_those_of_the_whole():
    start = np.asarray([2.0, 0.5, -1.0])
    whole, *others = (descend(FitKernel(parts=parts), start, 300)[1] for parts in (1, 2, 3))
    assert whole[-1] < 1e-2 * whole[0]
    for losses in others:
        np.testing.assert_allclose(losses, whole, rtol=1e-4)


def test_another_kernel_from_another_signal():
    signal = tuple(np.random.default_rng(0).normal(size=20).tolist())
    learner = FitKernel(kernel=(0.5, -2.0, 1.0, 3.0), signal=signal, learning_rate=0.1, parts=5)
    kernels, losses = descend(learner, np.zeros(4), 1_500)
    np.testing.assert_allclose(kernels[-1], [0.5, -2.0, 1.0, 3.0], atol=1e-4)
    assert losses[-1] < 1e-8


def test_a_learning_rate_above_the_bound_diverges():
    # 2 over the largest eigenvalue of 2/m X^T X is 0.01158.
    for rate, falls in ((0.0115, True), (0.0117, False)):
        losses = descend(FitKernel(learning_rate=rate), np.ones(3), 1_000)[1]
        assert (losses[-1] < losses[1]) == falls


def test_it_keeps_every_invariant(tmp_path):
    harness.check_learner(FitKernel(parts=4), {"learning_rate": [5e-3, 1e-3]}, 60, tmp_path)


def test_floats_differ_between_members_of_one_program_and_parts_do_not():
    assert len(sweep(FitKernel(), {"learning_rate": [5e-3, 1e-3], "spread": [1.0, 2.0]}).groups) == 1
    assert len(sweep(FitKernel(), {"parts": [1, 2, 3]}).groups) == 3


def test_the_score_is_the_distance_from_the_true_kernel():
    learner = FitKernel()
    state = eqx.filter_jit(learner.init)(jax.random.key(3))
    found = eqx.filter_jit(learner.evaluate)(state, jax.random.key(0))
    distance = np.linalg.norm(np.asarray(state.kernel) - EDGE)
    np.testing.assert_allclose(found["error"].value, distance, rtol=1e-6)
    assert (learner.score, learner.mode) == ("error", "min")


@pytest.mark.parametrize(
    "settings", [{}, {"kernel": (1.0, -1.0)}, {"parts": 2, "kernel": (1.0, 0.5, 0.0, 2.0)}]
)
def test_the_picture_shows_the_descent(settings):
    signal = (*SIGNAL.tolist(), 1.0, 3.0)
    learner = FitKernel(signal=signal, learning_rate=1e-3, **settings)
    state = eqx.filter_jit(learner.init)(jax.random.key(1))
    for _ in range(3):
        state, _ = eqx.filter_jit(learner.step)(state, jax.random.key(0))
    picture = learner.visualize(state, jax.random.key(0))["descent"]
    assert isinstance(picture, Image)
    assert picture.image.dtype == np.uint8
    assert picture.image.shape[2] == 3
    assert picture.image.shape[1] > 2 * picture.image.shape[0] > 600
    assert len(np.unique(picture.image.reshape(-1, 3), axis=0)) > 20
    assert picture.caption.startswith("3 steps of gradient descent")
    assert f"{float(state.kernel[0]):.4f}" in picture.caption


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": 7}, "parts must be at most 6, the number of outputs, got 7"),
        ({"parts": 0}, "parts must be >= 1, got 0"),
        ({"kernel": (1.0,)}, "kernel must have at least 2 weights, got 1"),
        ({"signal": (1.0, 2.0)}, "signal of 2 values determines only 0 of the 3 weights of the kernel"),
        ({"signal": (1.0, 5.0, 2.0, 3.0)}, "determines only 2 of the 3 weights"),
        ({"signal": (1.0,) * 8}, "determines only 1 of the 3 weights of the kernel; give it more"),
        ({"signal": (1.0, float("nan"), 3.0)}, "signal must be finite, got nan"),
        ({"kernel": ("a", 1.0)}, "kernel must be a list of float"),
        ({"learning_rate": 0.0}, "learning_rate must be > 0"),
    ],
)
def test_what_cannot_be_is_told(settings, message):
    with pytest.raises(UsageError, match=message):
        sweep(FitKernel(**settings))
