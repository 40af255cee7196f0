"""Distances of made and real images, against SciPy and plain NumPy, and against formulas."""

import jax
import numpy as np
import pytest
from scipy.linalg import sqrtm

from populace.images.judge.distances import frechet_distance, measures
from populace.images.judge.eigenvalues import eigenvalues
from populace.images.judge.reference import Reference

SIZE, CLASSES = 16, 4
RNG = np.random.default_rng(0)
SCALES = np.logspace(0, -2, SIZE)
REAL = (RNG.standard_normal((600, SIZE)) * SCALES).astype(np.float32)
MADE = (1.1 * RNG.standard_normal((470, SIZE)) * SCALES + 0.1).astype(np.float32)
READ = RNG.integers(0, CLASSES, len(REAL))
MADE_READ = RNG.integers(0, CLASSES, len(MADE))


@pytest.fixture(scope="module")
def real():
    return Reference.of(REAL, READ, CLASSES)


@pytest.fixture(scope="module")
def found(real):
    return {name: float(v) for name, v in jax.jit(measures)(MADE, MADE_READ, real).items()}


def off_diagonal(kernel: np.ndarray) -> float:
    return (kernel.sum() - np.trace(kernel)) / (len(kernel) * (len(kernel) - 1))


def test_frechet_distance(found):
    x, y = REAL.astype(float), MADE.astype(float)
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    mean = ((x.mean(0) - y.mean(0)) ** 2).sum()
    assert found["frechet_distance"] == pytest.approx(
        mean + np.trace(s + t - 2 * np.real(sqrtm(s @ t))), rel=1e-4
    )


def test_frechet_distance_of_two_gaussians():
    # Exact moments: half of the points is the other half mirrored.
    half = RNG.standard_normal((40, 2))
    half -= half.mean(0)
    half = half @ np.linalg.inv(np.linalg.cholesky(np.cov(half, rowvar=False))).T
    points = half.astype(np.float32)
    reference = Reference.of(points, np.zeros(40, int), 1)
    # N(0, I) and N((3, 0), diag(4, 9)): 3^2 + (1 - 2)^2 + (1 - 3)^2.
    made = points * np.array([2, 3], np.float32) + np.array([3, 0], np.float32)
    assert float(jax.jit(frechet_distance)(made, reference)) == pytest.approx(14, rel=1e-5)


def test_kernel_distance_is_unbiased(found):
    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.astype(float) @ b.T.astype(float) / SIZE + 1) ** 3

    expected = off_diagonal(kernel(REAL, REAL)) + off_diagonal(kernel(MADE, MADE))
    expected -= 2 * kernel(REAL, MADE).mean()
    assert found["kernel_distance"] == pytest.approx(expected, abs=1e-5)


def test_density_and_coverage(found):
    among = np.linalg.norm(REAL[:, None] - REAL[None], axis=-1)
    radii = np.sort(among, 1)[:, 5]  # the nearest is the image itself
    inside = np.linalg.norm(MADE[:, None] - REAL[None], axis=-1) <= radii
    assert found["density"] == pytest.approx(inside.sum() / (5 * len(MADE)), abs=1e-3)
    assert found["coverage"] == pytest.approx(inside.any(0).mean(), abs=1e-3)


def test_classes(found):
    shares = np.bincount(MADE_READ) / len(MADE_READ)
    assert found["class_entropy"] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-5)
    assert found["class_coverage"] == 1

    def within(x: np.ndarray, read: np.ndarray) -> float:
        total = 0.0
        for c in range(CLASSES):
            own = x[read == c].astype(float)
            pairs = ((own[:, None] - own[None]) ** 2).sum(-1)
            total += pairs.sum() / (len(own) - 1)
        return total / len(x)

    assert found["diversity"] == pytest.approx(within(MADE, MADE_READ) / within(REAL, READ), rel=1e-4)


@pytest.mark.parametrize("size", [1, 2, 7, 32])
def test_eigenvalues(size):
    rows = np.random.default_rng(size).standard_normal((100, size)) * np.logspace(0, -5, size)
    matrix = (rows.T @ rows).astype(np.float32)
    expected = np.linalg.svd(rows, compute_uv=False) ** 2
    np.testing.assert_allclose(np.sort(jax.jit(eigenvalues)(matrix))[::-1], expected, rtol=1e-4)
