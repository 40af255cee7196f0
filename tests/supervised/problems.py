"""Small problems with known answers."""

import equinox as eqx
import jax
import numpy as np

from populace.supervised import MLP, Classifier, Data, Regressor
from populace.supervised.learner import State, Supervised


def blobs(examples: int = 240, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return clouds of points around well separated centers, and which cloud each is of."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(examples) % classes)
    angle = 2 * np.pi * labels / classes
    centers = 4 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return centers + rng.normal(size=(examples, 2)), labels


def line(examples: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y = 3 x_0 - 2 x_1 + 5, exact."""
    x = np.random.default_rng(seed).normal(size=(examples, 2))
    return x, 3 * x[:, 0] - 2 * x[:, 1] + 5


def classifier(**settings: object) -> Classifier:
    """Return a small classifier of the blobs."""
    data = Data.from_classes(*blobs(), test=blobs(seed=1), validation=0.2)
    options: dict = {"network": MLP(hidden_sizes=(8,)), "batch_size": 32, "learning_rate": 1e-2} | settings
    return Classifier(data, **options)


def regressor(**settings: object) -> Regressor:
    """Return a linear regression of the line."""
    data = Data.from_targets(*line(), test=line(seed=1), validation=0.2)
    options: dict = {"network": MLP(hidden_sizes=()), "batch_size": 32, "learning_rate": 3e-2} | settings
    return Regressor(data, **options)


def begun(learner: Supervised, seed: int = 0) -> State:
    """Return the state before the first step, made by one program."""
    return eqx.filter_jit(learner.init)(jax.random.key(seed))
