"""Evaluation of a network on a part of the data: batch by batch, and metrics of the sums of all batches.

The batches are gone through in one program, or, where examples are in files, some at a time as the host reads
them; both give the same sums.
"""

from typing import Any

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.data.example_files import ExampleFiles


def evaluated(learner: Any, network: Any, which: str) -> Metrics:
    """Return the metrics of a network on a part of the data.

    Args:
        learner: a [`Supervised`][populace.supervised.learner.Supervised] learner with data.
        network: weights.
        which: `train`, `validation` or `test`.

    """
    x, y, rows = learner.data.part(which)
    y, count = jnp.asarray(y), -(-len(rows) // _size(learner, rows))
    padded, weight = _batches(learner, which, count)

    def batch(rows_and_weight: tuple[jax.Array, jax.Array]) -> dict[str, jax.Array]:
        rows, weight = rows_and_weight
        examples = numbered(learner, which, rows)
        return batch_sums(learner, network, taken(learner, x, rows), y[rows], weight, examples)

    return metrics_of(learner, jax.lax.map(batch, (padded, weight)), which)


def batch_sums(
    learner: Any, network: Any, x: jax.Array, y: jax.Array, weight: jax.Array, examples: jax.Array
) -> dict[str, jax.Array]:
    """Return what a batch adds to loss, count and the learner's own sums."""
    outputs = learner.inference_pass(network, x, y, examples)
    sums = learner.measure(outputs, y, weight)
    loss = jnp.sum(learner.losses(outputs, y) * learner.loss_weights(y, weight))
    return sums | {"loss": loss} | _counts(learner, y, weight)


def metrics_of(learner: Any, sums: dict[str, jax.Array], which: str) -> Metrics:
    """Return the metrics of the sums of every batch of a part, batches in front."""
    _, y, rows = learner.data.part(which)
    y, weight = jnp.asarray(y)[jnp.asarray(rows)], learner.data.weights(which)
    weight = None if weight is None else jnp.asarray(weight)[jnp.asarray(rows)]
    sums = {name: v.sum(0) for name, v in sums.items()}
    loss = Mean(sums.pop("loss"), sums.pop("loss_count", sums["count"]))
    return {"loss": loss, **learner.conclude(sums, y, weight)}


def streamed_metrics(learner: Any, sums: dict[str, jax.Array]) -> Metrics:
    """Return the metrics of sums that were made some batches at a time, on the part that is judged by."""
    which = learner.evaluation_split
    rows, weight = _batches(learner, which, len(sums["count"]))
    # One count for all members, and none that XLA knows beforehand, as in `evaluated`: how a quotient is
    # rounded depends on it.
    y = jnp.asarray(learner.data.part(which)[1])
    counts = jax.vmap(lambda rows, weight: _counts(learner, y[rows], weight))(rows, weight)
    return metrics_of(learner, sums | jax.lax.optimization_barrier(counts), which)


def _size(learner: Any, rows: Any) -> int:
    return min(learner.evaluation_batch_size, len(rows))


def _batches(learner: Any, which: str, count: int) -> tuple[jax.Array, jax.Array]:
    """Return the rows of so many batches of a part, and what each counts for, 0 if it fills a batch up."""
    _, _, rows = learner.data.part(which)
    size, rows, weight = _size(learner, rows), jnp.asarray(rows), learner.data.weights(which)
    padded = jnp.resize(rows, (count, size))
    real = (jnp.arange(count * size) < len(rows)).astype(jnp.float32).reshape(count, size)
    return padded, real if weight is None else real * jnp.asarray(weight)[padded]


def _counts(learner: Any, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
    """Return what a batch counts for, and in the loss if that is something else."""
    costs = learner.loss_weights(y, weight)
    found = {"count": jnp.sum(weight)}
    return found if costs is weight else found | {"loss_count": jnp.sum(costs)}


def numbered(learner: Any, which: str, rows: jax.Array) -> jax.Array:
    """Return a number for each row of a part that no example of another part has."""
    return rows + len(learner.data.x) if learner.data.called(which) == "test" else rows


def taken(learner: Any, x: Any, rows: jax.Array) -> jax.Array:
    """Return rows of examples, or those that the host has read in their place."""
    if not isinstance(x, ExampleFiles):
        return jnp.asarray(x)[rows]
    if learner.fed is None or learner.fed.x is None:
        name = type(learner).__name__
        raise UsageError(f"the examples of the {name} are in files, which only populace.train reads")
    return learner.fed.x
