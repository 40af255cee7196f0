"""Mode collapse is always told where it is planted, and hardly ever of real images."""

from typing import Any

import jax
import numpy as np
import pytest

from populace.images.datasets.registry import digits
from populace.images.judge.collapse import FEWEST, collapse_of, reasons
from populace.images.judge.distances import class_measures
from populace.images.judge.reference import Reference

RNG = np.random.default_rng(0)
IMAGES = digits().train_images.reshape(-1, 64).astype(np.float32) / 255
LABELS = digits().train_labels.astype(int)
REAL = Reference.of(IMAGES, LABELS, 10)


@jax.jit
def told(features: Any, read: Any) -> dict[str, jax.Array]:
    """Return the measures and whether they are a collapse, of several generators at once."""

    def one(features: jax.Array, read: jax.Array) -> dict[str, jax.Array]:
        found = class_measures(features, read, REAL)
        return found | collapse_of(found, REAL)

    return jax.vmap(one)(features, read)


def test_real_images_hardly_ever_look_collapsed():
    rows = np.stack([RNG.choice(len(IMAGES), FEWEST, replace=False) for _ in range(1_000)])
    found = told(IMAGES[rows], LABELS[rows])
    assert np.mean(found["collapsed"]) <= 0.01


def planted(kind: str) -> np.ndarray:
    """Return rows of the images that a collapsed generator makes."""
    if kind == "one image":
        return np.full(FEWEST, RNG.integers(len(IMAGES)))
    if kind == "two classes":
        own = np.flatnonzero(np.isin(LABELS, RNG.choice(10, 2, replace=False)))
        return RNG.choice(own, FEWEST)
    if kind == "nine classes":
        return RNG.choice(np.flatnonzero(RNG.integers(10) != LABELS), FEWEST)
    if kind == "mostly one class":
        own = np.flatnonzero(RNG.integers(10) == LABELS)
        return np.concatenate([RNG.choice(own, 70), [RNG.choice(np.flatnonzero(i % 10 == LABELS))
                                                     for i in range(FEWEST - 70)]])  # fmt: skip
    ones = [RNG.choice(np.flatnonzero(c == LABELS)) for c in range(10)]
    return np.resize(ones, FEWEST)


@pytest.mark.parametrize(
    "kind", ["one image", "two classes", "nine classes", "mostly one class", "one image per class"]
)
def test_a_planted_collapse_is_always_told(kind):
    rows = np.stack([planted(kind) for _ in range(300)])
    noise = 0.02 * RNG.standard_normal(IMAGES[rows].shape).astype(np.float32)  # no generator repeats exactly
    found = told(IMAGES[rows] + noise, LABELS[rows])
    assert np.min(found["collapsed"]) == 1


def test_reasons():
    assert reasons(0.2, 0.69, 0.9, 10) == "8 of 10 classes are missing"
    assert "10% as far apart" in reasons(1, 2.3, 0.1, 10)
    assert "class entropy is 1.20" in reasons(1, 1.2, 0.9, 10)
