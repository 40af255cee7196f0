"""Evaluation of a network on a part of the data: batch by batch, and metrics of the sums of all batches.

The batches are gone through in one program, or, where examples are in files, some at a time as the host reads
them; both give the same sums.
"""

from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.learner import Mean, Metrics
from populace.data.example_files import ExampleFiles
from populace.nn.modules import sequential


def evaluated(learner: Any, network: Any, which: str) -> Metrics:
    """Return the metrics of a network on a part of the data.

    Args:
        learner: a [`Supervised`][populace.supervised.learner.Supervised] learner with data.
        network: weights.
        which: `train`, `validation` or `test`.

    """
    x, y, rows = learner.data.part(which)
    y, rows = jnp.asarray(y), jnp.asarray(rows)
    size = min(learner.evaluation_batch_size, len(rows))
    count = -(-len(rows) // size)
    padded = jnp.resize(rows, (count, size))
    weight = (jnp.arange(count * size) < len(rows)).astype(jnp.float32).reshape(count, size)

    def batch(rows_and_weight: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        rows, weight = rows_and_weight
        return batch_sums(learner, network, taken(learner, x, rows), y[rows], weight)

    return metrics_of(learner, jax.lax.map(batch, (padded, weight)), y[rows])


def batch_sums(
    learner: Any, network: Any, x: jax.Array, y: jax.Array, weight: jax.Array
) -> dict[str, jax.Array]:
    """Return what a batch adds to loss, count and the learner's own sums."""
    outputs = sequential.use(network, learner.data.inputs(x))
    sums = learner.measure(outputs, y, weight)
    return sums | {"loss": jnp.sum(learner.losses(outputs, y) * weight), "count": jnp.sum(weight)}


def metrics_of(learner: Any, sums: dict[str, jax.Array], y: jax.Array) -> Metrics:
    """Return the metrics of the sums of every batch, batches in front, and of the y of all examples."""
    sums = {name: v.sum(0) for name, v in sums.items()}
    loss = Mean(sums.pop("loss"), sums["count"])
    return {"loss": loss, **learner.conclude(sums, y)}


def streamed_metrics(learner: Any, sums: dict[str, jax.Array]) -> Metrics:
    """Return the metrics of sums that were made some batches at a time, on the part that is judged by."""
    _, y, rows = learner.data.part(learner.evaluation_split)
    size = min(learner.evaluation_batch_size, len(rows))
    weight = (jnp.arange(len(sums["count"]) * size) < len(rows)).astype(jnp.float32)
    # One count for all members, and none that XLA knows beforehand, as in `evaluated`: how a quotient is
    # rounded depends on it.
    sums = sums | {"count": jax.lax.optimization_barrier(jnp.sum(weight.reshape(-1, size), 1))}
    return metrics_of(learner, sums, jnp.asarray(y)[jnp.asarray(rows)])


def taken(learner: Any, x: Any, rows: jax.Array) -> jax.Array:
    """Return rows of examples, or those that the host has read in their place."""
    if not isinstance(x, ExampleFiles):
        return jnp.asarray(x)[rows]
    if learner.fed is None or learner.fed.x is None:
        name = type(learner).__name__
        raise UsageError(f"the examples of the {name} are in files, which only populace.train reads")
    return learner.fed.x
