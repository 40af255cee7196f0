"""GraphTask: what learners of nodes and of whole graphs share: the network, the loss, and predictions."""

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import equinox as eqx
import jax
import numpy as np

from populace.core.learner import Learner
from populace.graphs.learners import inference
from populace.graphs.learners.objective import Objective, Regression
from populace.metrics.losses import Loss
from populace.nn.modules.custom import NetworkFn


class GraphTask(Learner):
    """Learns from graphs with a network whose outputs an [`Objective`] makes predictions of."""

    network_fn: NetworkFn | None = eqx.field(default=None, static=True, kw_only=True)
    """A network of the user's own: `network_fn(inputs, outputs, key)` returns an Equinox module."""
    loss_fn: Loss | None = eqx.field(default=None, static=True, kw_only=True)
    """A loss of the user's own: of outputs (N, K) and targets, (N,) for classes and (N, K) otherwise."""
    evaluation_split: str = eqx.field(default="validation", static=True, kw_only=True)
    """The part that `evaluate` looks at; the final evaluation looks at `test`."""
    scale: Any = eqx.field(default=None, kw_only=True)
    """Mean and standard deviation of the training targets, of a learner of numbers loaded to predict."""

    network: eqx.AbstractVar[Any]

    @abstractmethod
    def objective_of(self, model: Any) -> Objective:
        """Return the loss and the metrics of a trained model."""

    @abstractmethod
    def finished(self, model: Any, data: Any) -> np.ndarray:
        """Return what is said of every node or graph: probabilities, or numbers in the units of y, (N, K).

        Args:
            model: such as `run.best().model`.
            data: the graph, or the set of graphs; None for the learner's own.

        """

    @abstractmethod
    def explain(self, model: Any, index: int, data: Any = None, *, output: int | None = None) -> Any:
        """Return what an output for one node, or for one graph, hangs on."""

    def predict(self, model: Any, data: Any = None) -> np.ndarray:
        """Return what is decided of every node or graph.

        The likeliest class (N,), 0 or 1 of each label (N, K), or numbers in the units of y, (N, K).

        Args:
            model: such as `run.best().model`.
            data: a `Graph` for learners of nodes, which is prepared as the network asks, a `GraphSet` for
                learners of graphs; by default the learner's own, all parts.

        Raises:
            UsageError: other features than those trained on, or a learner without its data.

        """
        return inference.answers(self.objective_of(model), self.finished(model, data))

    def predict_proba(self, model: Any, data: Any = None) -> np.ndarray:
        """Return the probability of each class or label, (N, K); arguments and errors are those of `predict`.

        Raises:
            UsageError: a learner of numbers, besides.

        """
        if isinstance(self.objective_of(model), Regression):
            return super().probabilities(model, data)
        return self.finished(model, data)

    def build(self, inputs: int, outputs: int, key: jax.Array) -> Any:
        """Return a fresh network from nodes with (inputs,) features to (outputs,) numbers each."""
        if self.network_fn is not None:
            return self.network_fn(inputs, outputs, key)
        return self.network.build(inputs, outputs, key=key)

    def for_test(self, size: int) -> Self:
        """Return the learner whose `evaluate` looks at the test part, whole; `size` does not matter."""
        del size
        return dataclasses.replace(self, evaluation_split="test")

    def predictor(self, model: Any) -> Callable[..., np.ndarray]:
        """Return the function from data, by default the learner's own, to what is decided of them."""
        return lambda data=None: self.predict(model, data)

    def probabilities(self, model: Any, x: Any = None) -> np.ndarray:
        """Return the probability of each class or label, (N, K), for every node or graph."""
        return self.predict_proba(model, x)
