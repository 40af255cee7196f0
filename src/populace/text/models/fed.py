"""Text that the host reads: what a language model is where its tokens stay in a file.

[`FedLearner`][populace.data.feed.FedLearner] says what each function is for.
"""

import dataclasses
from typing import Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Metrics
from populace.data.feed import Fed
from populace.text.data.text_data import TextData
from populace.text.data.token_file import TokenFile, WindowRows
from populace.text.data.windows import Windows, cut, read
from populace.text.models.batches import HELD_OUT, Batches
from populace.text.models.evaluation import batch_sums, metrics, part_counts


class FedText(Learner):
    """A learner of windows of text; what is fed is asked for only where the tokens are in a file."""

    validates_epochs: ClassVar[bool] = False

    block: eqx.AbstractVar[int]
    batch_size: eqx.AbstractVar[int]

    data: TextData | None = None
    batches: Batches | None = None
    evaluation_split: str = eqx.field(default="validation", static=True)
    """The part of the data that `evaluate` looks at; the final evaluation looks at `test`."""
    fed: Fed | None = None
    """What the host has read for a step, where the tokens are in a file; the engine puts it here."""

    @property
    def feed(self) -> WindowRows | None:
        """The windows of the training part, where the tokens are in a file."""
        if self.data is None or not isinstance(self.data.tokens, TokenFile):
            return None
        return WindowRows(self.data.tokens, self._batches.train, self.block)

    def order(self, state: Any) -> jax.Array:
        """Return the windows of the state's epoch."""
        return state.order

    def new_order(self, key: jax.Array) -> jax.Array:
        """Return the windows of an epoch."""
        return self._batches.order(key, self.batch_size)

    def with_fed(self, fed: Fed) -> Self:
        """Return the learner with what the host has read."""
        return dataclasses.replace(self, fed=fed)

    def for_validation(self) -> Self:
        """Return the learner that judges by the validation part."""
        return dataclasses.replace(self, evaluation_split="validation")

    def evaluated_part(self) -> tuple[WindowRows, np.ndarray]:
        """Return the windows of the part that is judged by, all of them."""
        rows = WindowRows(self._data.tokens, self._scored, self.block)
        return rows, np.arange(len(rows), dtype=np.int32)

    def evaluate_batch(self, model: Any, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums over the windows that the host has read."""
        assert self.fed is not None
        lengths, context = (
            jnp.asarray(x)[self.fed.rows] for x in (self._scored.lengths, self._scored.context)
        )
        return batch_sums(model, cut(self.fed.x, lengths), context, weight, len(self._data.tokenizer))

    def evaluate_sums(self, sums: dict[str, jax.Array]) -> Metrics:
        """Return the metrics of the sums of every batch of the part."""
        whole = {name: value.sum(0) for name, value in sums.items()}
        return metrics(whole, part_counts(self._data, self.evaluation_split))

    def _batch(self, key: jax.Array, order: Any, count: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return inputs, targets and weights of a step's windows, (batch_size, block) each."""
        if self.fed is not None:
            return cut(self.fed.x, self._batches.lengths(self.fed.rows))
        chosen = self._batches.draw(key, order, count, self.batch_size, self.block)
        return read(jnp.asarray(self._data.tokens), *chosen, self.block)

    @property
    def _scored(self) -> Windows:
        """The windows of the part that is judged by."""
        return self._batches.scored[HELD_OUT.index(self.evaluation_split)]

    @property
    def _data(self) -> TextData:
        if self.data is None:
            raise UsageError(f"{type(self).__name__} has no text yet; load_data() reads it")
        return self.data

    @property
    def _batches(self) -> Batches:
        if self.batches is None:
            raise UsageError(f"{type(self).__name__} has no windows yet; load_data() cuts them")
        return self.batches
