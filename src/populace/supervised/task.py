"""What a kind of supervised learning says of itself: data, loss, and what a network sees of a batch."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Metrics
from populace.metrics.losses import Loss
from populace.nn.modules import sequential
from populace.nn.modules.custom import NetworkFn
from populace.supervised.data import Data


class SupervisedTask(Learner):
    """Data with x and y, and what is learned of them."""

    data: Data | None = None
    network_fn: NetworkFn | None = eqx.field(default=None, static=True)
    """A network of the user's own: `network_fn(inputs, outputs, key)` returns an Equinox module."""
    loss_fn: Loss | None = eqx.field(default=None, static=True)
    """A loss of the user's own: from outputs (N, K) and what they should be to (N,) or (N, K)."""
    evaluation_split: str = eqx.field(default="validation", static=True)
    """The part of the data that `evaluate` looks at; the final evaluation looks at `test`."""

    @abstractmethod
    def losses(self, outputs: Any, y: jax.Array) -> jax.Array:
        """Return the loss of each example, shape (N,)."""

    @abstractmethod
    def measure(self, outputs: Any, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums over examples, each times its weight; what `conclude` makes metrics of."""

    @abstractmethod
    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return the metrics of the sums over all examples.

        Args:
            sums: those of `measure`, and `count`, the sum of the weights.
            y: of the whole part that was judged.
            weight: of its examples; None if all count the same.

        """

    def loss_weights(self, y: jax.Array, weight: jax.Array) -> jax.Array:
        """Return what each example counts for in the loss; by default its own weight."""
        del y
        return weight

    def augment(self, x: jax.Array, key: jax.Array) -> jax.Array:
        """Return a training batch changed at random; by default as it is."""
        del key
        return x

    def training_inputs(self, x: jax.Array, rows: jax.Array, key: jax.Array) -> jax.Array:
        """Return a training batch as the network sees it; by default standardized, then augmented.

        Args:
            x: the batch as the data have it.
            rows: which examples they are.
            key: fresh in every step.

        """
        del rows
        return self.augment(self._data.inputs(x), key)

    def training_pass(
        self, network: Any, x: jax.Array, y: jax.Array, key: jax.Array, real: jax.Array, step: jax.Array
    ) -> tuple[Any, Any]:
        """Return what `losses` takes of a batch in training, and the network with updated buffers.

        By default the network's outputs. Whoever learns x itself, or has a loss that changes with time, finds
        here what it takes.

        Args:
            network: weights.
            x: the batch, of `training_inputs`.
            y: labels or targets.
            key: fresh in every step.
            real: 1 for each example, 0 for one that fills the batch up.
            step: steps taken before this one.

        """
        del y, step
        return sequential.learn(network, x, key, real)

    def inference_pass(self, network: Any, x: jax.Array, y: jax.Array, examples: jax.Array) -> Any:
        """Return what `losses` and `measure` take of a batch that is judged; by default the outputs.

        Args:
            network: weights.
            x: the batch as the data have it.
            y: labels or targets.
            examples: a number of each example, the same every time and in no other part of the data, for
                draws that shall not differ between evaluations.

        """
        del y, examples
        return sequential.use(network, self._data.inputs(x))

    @property
    def _data(self) -> Data:
        if self.data is None:
            name = type(self).__name__
            raise UsageError(f"{name} has no data; make it in Python, with populace.supervised.Data")
        return self.data
