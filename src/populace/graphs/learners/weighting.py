"""How much nodes, graphs and classes count in the training loss."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.settings import setting
from populace.supervised.class_weight import balanced as by_count


def class_weight() -> Any:
    """Declare the setting of learners of classes."""
    return setting(
        "none", choices=("none", "balanced"),
        help="balanced: training examples of rare classes count more, so that all classes count alike",
    )  # fmt: skip


def standardize() -> Any:
    """Declare the setting of learners of nodes and of graphs."""
    return setting(
        False,
        help="scale features of nodes and edges, but those of 0 and 1, by mean and deviation in training",
    )


def example_weights(given: Any) -> Any:
    """Return weights as an array; arrays, also those of a program that is traced, as they are."""
    return np.asarray(given) if isinstance(given, list | tuple) else given


def balanced(y: jax.Array, training: jax.Array, classes: int) -> jax.Array:
    """Return the weight of each example's class, `n / (K n_c)`, as scikit-learn's `balanced`, (n,).

    Args:
        y: classes, (n,), -1 where unknown.
        training: (n,) bool, the n examples that are counted; n_c of them are of class c.
        classes: number of classes; K are those with training examples.

    """
    member = (y[:, None] == jnp.arange(classes)) & training[:, None]
    return by_count(jnp.sum(member, 0).astype(jnp.float32))[jnp.maximum(y, 0)]
