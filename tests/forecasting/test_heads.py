"""Losses and quantiles of heads against SciPy."""

import jax
import numpy as np
import pytest
from scipy import stats

from populace.core.errors import UsageError
from populace.forecasting.heads import Gaussian, Point, Quantile, StudentT

RNG = np.random.default_rng(0)
TARGET = RNG.normal(size=(4, 3))
LEVELS = np.array([0.05, 0.5, 0.9])


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x)) + 1e-4


def test_distributions_are_those_of_scipy():
    outputs = RNG.normal(size=(4, 3, 3))
    mean, scale = outputs[..., 0], softplus(outputs[..., 1])
    loss = jax.jit(Gaussian().loss)(outputs[..., :2], TARGET)
    assert np.allclose(loss, -stats.norm(mean, scale).logpdf(TARGET) - 0.5 * np.log(2 * np.pi), atol=1e-5)
    found = Gaussian().quantiles(outputs[..., :2], LEVELS)
    assert np.allclose(found, stats.norm(mean[..., None], scale[..., None]).ppf(LEVELS), atol=1e-5)
    freedom = 2 + softplus(outputs[..., 2])
    loss = jax.jit(StudentT().loss)(outputs, TARGET)
    assert np.allclose(loss, -stats.t(freedom, mean, scale).logpdf(TARGET), atol=1e-4)
    found = StudentT().quantiles(outputs, LEVELS)
    expected = stats.t(freedom[..., None], mean[..., None], scale[..., None]).ppf(LEVELS)
    assert np.allclose(found, expected, atol=1e-4)


def test_pinball_and_points():
    outputs = RNG.normal(size=(4, 3, 3))
    head = Quantile(levels=(0.1, 0.5, 0.8))
    error = TARGET[..., None] - outputs
    expected = np.where(error > 0, error * [0.1, 0.5, 0.8], error * [-0.9, -0.5, -0.2]).mean(-1)
    assert np.allclose(jax.jit(head.loss)(outputs, TARGET), expected, atol=1e-6)
    assert np.array_equal(head.point(outputs), outputs[..., 1])
    difference = outputs[..., 0] - TARGET
    assert np.allclose(jax.jit(Point().loss)(outputs[..., :1], TARGET), difference**2, atol=1e-6)
    absolute = jax.jit(Point(error="absolute").loss)(outputs[..., :1], TARGET)
    assert np.allclose(absolute, np.abs(difference), atol=1e-6)


def test_quantiles_do_not_cross_and_lie_between_those_learned():
    head = Quantile(levels=(0.1, 0.5, 0.9))
    crossed = np.array([[3.0, 1.0, 2.0]])
    assert head.quantiles(crossed, np.array([0.1, 0.5, 0.9])).tolist() == [[1, 2, 3]]
    normal = stats.norm.ppf([[0.1, 0.5, 0.9]])
    wanted = np.array([0.01, 0.3, 0.95])
    assert np.allclose(head.quantiles(normal, wanted), stats.norm.ppf(wanted))
    with pytest.raises(UsageError, match="levels must ascend"):
        Quantile(levels=(0.5, 0.1))
