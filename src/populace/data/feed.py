"""Feed: what a learner says of examples that the host reads, and what the host then brings for a step.

A learner whose examples do not fit on the devices names the rows of its steps, and the engine reads them
while earlier steps run. The rows follow from the state and the random key alone, so batches are those that
the learner would have drawn by itself, and nothing but the state needs to be kept to resume at any batch.
"""

from typing import Any, NamedTuple, Protocol, Self

import jax
import numpy as np

from populace.core.mean import Metrics


class RowFiles(Protocol):
    """Rows that stay on disk and are read by their numbers, such as `ExampleFiles`.

    Attributes:
        memory: bytes of rows that may be held in memory at once.
        shape: as that of the array of all rows, (N, ...).
        dtype: of the rows that are read.

    """

    memory: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def row_bytes(self) -> int:
        """Bytes of one row as it is read."""
        ...

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Read rows, (M,), into `out`, (M, ...)."""
        ...

    def __len__(self) -> int: ...


class Fed(NamedTuple):
    """What the host brings to a member.

    Attributes:
        rows: which examples, (B,) int32.
        x: the examples, (B, ...), as the files give them.
        validation: at the start of an epoch, what `evaluate_batch` gave for every batch of the validation
            part, batches in front; None where the learner does not ask for it.

    """

    rows: Any = None
    x: Any = None
    validation: dict[str, Any] | None = None


class FedLearner(Protocol):
    """What a learner has beside the four functions if its property `feed` names files.

    Its `step` reads the batch from what `with_fed` brought, and its `on_epoch_start` the sums of the
    validation part.
    """

    batch_size: int
    evaluation_batch_size: int

    @property
    def feed(self) -> RowFiles | None:
        """The files that batches are read from."""
        ...

    @property
    def epoch_steps(self) -> int:
        """Steps per epoch, at least 1."""
        ...

    @property
    def validates_epochs(self) -> bool:
        """Whether `on_epoch_start` reads the sums of the validation part."""
        ...

    def order(self, state: Any) -> jax.Array:
        """Return the array of the state that says which rows the steps of its epoch read.

        It has shape (epoch_steps * batch_size,): batch after batch, from the start of the epoch.
        """
        ...

    def new_order(self, key: jax.Array) -> jax.Array:
        """Return what `order` is after `on_epoch_start` with this key, whatever the state."""
        ...

    def with_fed(self, fed: Fed) -> Self:
        """Return the learner with what the host has read."""
        ...

    def for_validation(self) -> Self:
        """Return the learner that evaluates on the validation part."""
        ...

    def evaluated_part(self) -> tuple[RowFiles, np.ndarray]:
        """Return the files and the rows that `evaluate` looks at."""
        ...

    def evaluate_batch(self, model: Any, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums over the batch that was brought, each example times its weight, (B,)."""
        ...

    def evaluate_sums(self, sums: dict[str, jax.Array]) -> Metrics:
        """Return the metrics of what `evaluate_batch` gave for every batch of the part, batches in front."""
        ...
