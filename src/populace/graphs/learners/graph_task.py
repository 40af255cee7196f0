"""GraphTask: what learners of nodes and of whole graphs share: the network, the loss, and predictions."""

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.labels import numbers
from populace.graphs.learners import inference
from populace.graphs.learners.objective import Objective, Regression
from populace.graphs.learners.weighting import balanced, example_weights
from populace.metrics.losses import Loss
from populace.nn.modules.custom import NetworkFn

if TYPE_CHECKING:
    from populace.graphs.plots.explain import Explanation


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

    sample_weight: Any = eqx.field(default=None, kw_only=True, converter=example_weights)
    """How much each node or graph counts in the loss, (n,), 0 or more; by default all alike."""

    class_weight: ClassVar[Any] = "none"
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

    def explain(
        self, model: Any, index: int | str, data: Any = None, *, output: int | None = None
    ) -> "Explanation":
        """Return what an output hangs on: by default the likeliest class, or the first number.

        Args:
            model: such as `run.best().model`.
            index: of the node, or its name; for learners of graphs, of the graph.
            data: the graph, or the set, that it is in; by default the learner's own.
            output: the class, the label, or the number to explain.

        Raises:
            UsageError: a node, a graph or an output that is not there, and what `predict` refuses.

        """
        if output is None and isinstance(self.objective_of(model), Regression):
            output = 0
        return self.explained(model, index, data, output)

    @abstractmethod
    def explained(self, model: Any, index: Any, data: Any, output: int | None) -> "Explanation":
        """Return what an output hangs on; None for that of the likeliest class."""

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
            return super().predict_proba(model, data)
        return self.finished(model, data)

    def build(self, data: Graph | GraphSet, outputs: int, key: jax.Array) -> Any:
        """Return a fresh network from the features of these nodes and edges to (outputs,) numbers each."""
        inputs = data.x.shape[1]
        if self.network_fn is not None:
            return self.network_fn(inputs, outputs, key)
        return self.network.build(inputs, outputs, edge_inputs=data.edge_inputs, key=key)

    def training_weight(self, y: Any, training: jax.Array) -> jax.Array:
        """Return how much each node or graph counts in the loss, (n,), 0 outside of training (n,) bool."""
        weight = training.astype(jnp.float32)
        if self.sample_weight is not None:
            weight = weight * jnp.asarray(self.sample_weight, jnp.float32)
        if self.class_weight == "balanced":
            weight = weight * balanced(jnp.asarray(y), training, len(self.class_names))
        return weight

    def check_weights(self, data: Graph | GraphSet, what: str) -> None:
        """Raise a `UsageError` for weights that are not one for each node or graph, 0 or more."""
        if self.sample_weight is None:
            return
        count, weight = len(data.y), numbers("sample_weight", self.sample_weight)
        if weight.shape != (count,):
            raise UsageError(
                f"sample_weight has shape {weight.shape}, expected ({count},), one for each {what}"
            )
        if (wrong := ~(np.isfinite(weight) & (weight >= 0))).any():
            first = int(wrong.argmax())
            raise UsageError(f"sample_weight of {what} {first} is {weight[first]}; expected 0 or more")
        if data.train is not None and not weight[data.train].any():
            raise UsageError(f"sample_weight is 0 for all training {what}s of {data.name}; weigh some")

    def check_edge_inputs(self, data: Graph | GraphSet, own: Graph | GraphSet) -> None:
        """Raise a `UsageError` for other features of edges than those of the learner's own data.

        Networks that do not look at them take any.
        """
        takes = self.network_fn is not None or self.network.takes_edge_features
        if takes and data.edge_inputs != own.edge_inputs:
            raise UsageError(
                f"{data.name} has {data.edge_inputs} features an edge, the network takes {own.edge_inputs}"
            )

    def for_test(self, size: int) -> Self:
        """Return the learner whose `evaluate` looks at the test part, whole; `size` does not matter."""
        del size
        return dataclasses.replace(self, evaluation_split="test")

    def prediction_table(self, model: Any, data: Any = None) -> pa.Table:
        """Return a table with a row for each node or graph: who it is, and what is said of it.

        The first column has the names of the nodes, or else numbers of nodes or graphs. For classes there
        follow `prediction`, the name of the likeliest one, and the probability of each, `p(name)`; for labels
        their probabilities, `p(0)` and so on; for numbers `y0` and so on. Arguments and errors are those of
        `predict`.
        """
        said, names = self.finished(model, data), self.class_names
        what, rows = self.rows(data)
        columns: dict[str, Any] = {what: rows}
        if names:
            columns["prediction"] = [names[i] for i in said.argmax(1).tolist()]
        called = "p({})" if self.has_probabilities else "y{}"
        return pa.table(
            columns | {called.format(k): said[:, i] for i, k in enumerate(names or range(said.shape[1]))}
        )

    @abstractmethod
    def rows(self, data: Any) -> tuple[str, list[Any]]:
        """Return what a row of predictions is, `node` or `graph`, and what each of them is called."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where there are labels or numbers."""
