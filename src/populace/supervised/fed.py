"""Supervised learning from examples that the host reads, where they are in files.

[`FedLearner`][populace.data.feed.FedLearner] says what each function is for.
"""

import dataclasses
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Metrics
from populace.data.example_files import ExampleFiles
from populace.data.feed import Fed
from populace.supervised import evaluation
from populace.supervised.task import SupervisedTask


class FedTask(SupervisedTask):
    """A task whose examples may be in files; where they are in memory, none of this is asked for."""

    fed: Fed | None = None
    """What the host has read for a step, where the examples are in files; the engine puts it here."""

    @property
    def feed(self) -> ExampleFiles | None:
        """The files of the training examples, where they are in files."""
        return self.data.x if self.data is not None and isinstance(self.data.x, ExampleFiles) else None

    def order(self, state: Any) -> jax.Array:
        """Return the rows of the state's epoch."""
        return state.order

    def with_fed(self, fed: Fed) -> Self:
        """Return the learner with what the host has read."""
        return dataclasses.replace(self, fed=fed)

    def for_validation(self) -> Self:
        """Return the learner that judges by the validation part."""
        return dataclasses.replace(self, evaluation_split="validation")

    def evaluated_part(self) -> tuple[ExampleFiles, np.ndarray]:
        """Return the files and rows of the part that is judged by."""
        x, _, rows = self._data.part(self.evaluation_split)
        return x, np.asarray(rows)

    def evaluate_batch(self, model: Any, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums over the examples that the host has read."""
        assert self.fed is not None
        rows, own = self.fed.rows, self._data.weights(self.evaluation_split)
        y = jnp.asarray(self._data.part(self.evaluation_split)[1])[rows]
        weight = weight if own is None else weight * jnp.asarray(own)[rows]
        examples = evaluation.numbered(self, self.evaluation_split, rows)
        return evaluation.batch_sums(self, model, self.fed.x, y, weight, examples)

    def evaluate_sums(self, sums: dict[str, jax.Array]) -> Metrics:
        """Return the metrics of the sums of every batch of the part."""
        return evaluation.streamed_metrics(self, sums)
