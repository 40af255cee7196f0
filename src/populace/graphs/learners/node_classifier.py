"""Learners of the nodes of a graph: a class, binary labels, or numbers."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.media import Visualization
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import PARTS
from populace.graphs.learners.node_learner import NodeLearner
from populace.graphs.learners.objective import Classes, MultiLabel, Ranked, Regression, check_yes_or_no
from populace.graphs.learners.weighting import class_weight
from populace.graphs.splits.member_split import nodes_in
from populace.supervised import plots


class NodeClassifier(NodeLearner):
    """Classifies nodes by the softmax of a graph network's outputs, trained on cross-entropy.

    `loss = mean over training nodes of -log softmax(f(x))_y + l2 / 2 |W|^2`. How splits, the protocols and
    early stopping go is said in [`NodeLearner`][populace.graphs.learners.node_learner.NodeLearner].
    """

    score: ClassVar[str] = "accuracy"
    mode: ClassVar[Literal["max", "min"]] = "max"

    class_weight: str = class_weight()  # pyright: ignore[reportIncompatibleVariableOverride]

    def floors(self) -> Mapping[str, float]:
        """Return the accuracy of guessing, one over the number of classes."""
        return {} if self.graph is None else {"accuracy": 1 / self.graph.classes}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "the accuracy of guessing"

    def check_labels(self, graph: Graph) -> None:
        """Raise a `UsageError` if there are no classes, or only one."""
        if graph.y is None or graph.y.ndim > 1:
            raise UsageError(
                f"{graph.name} has no classes of nodes; NodeClassifier needs y (N,), whole numbers: for "
                "yes or no take MultiLabelNodeClassifier, for numbers NodeRegressor"
            )
        if graph.classes < 2:
            raise UsageError(f"{graph.name} has only one class; a classification needs two or more")

    def objective(self, part: jax.Array) -> Classes:
        """Return cross-entropy and accuracy."""
        del part
        return Classes(self._graph.classes, self.loss_fn)

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return the graph as the network sees it, a node explained, and the confusion matrix."""
        del key
        from populace.graphs.plots import explain

        return explain.visualizations(self._graph, state, self.predict_proba(state))


class MultiLabelNodeClassifier(Ranked, NodeLearner):
    """Predicts several binary labels of nodes, by sigmoids trained on cross-entropy.

    What is known of a node is a row of 0, 1 and NaN, where NaN is in no sum. Evaluated are ROC-AUC and
    average precision, each the mean over the labels with both a 1 and a 0 in the split; `metric`
    says which of them chooses the epoch and the setting.
    """

    def check_labels(self, graph: Graph) -> None:
        """Raise a `UsageError` if the labels are not binary, or no label can be ranked."""
        check_yes_or_no(graph.y, graph.name, "node")
        MultiLabel.check(graph.y, graph.name)
        for part in PARTS[1:] if self.split == "public" else ():
            if len(nodes := nodes_in(graph, part)):
                MultiLabel.check(graph.y[nodes], f"part '{part}' of {graph.name}")

    def objective(self, part: jax.Array) -> MultiLabel:
        """Return cross-entropy and rankings."""
        del part
        return MultiLabel(self._graph.y.shape[1], self.loss_fn)


class NodeRegressor(NodeLearner):
    """Predicts numbers for nodes, trained on the squared error of the standardized numbers.

    What is known of a node is a row of numbers, NaN for one that is in no sum. They are standardized by mean
    and deviation of the member's own training nodes. Score: the root of the mean squared error in the units
    of y, the mean over the numbers; lower is better.
    """

    score: ClassVar[str] = "rmse"
    mode: ClassVar[Literal["max", "min"]] = "min"
    has_probabilities: ClassVar[Any] = False

    def check_labels(self, graph: Graph) -> None:
        """Raise a `UsageError` if there are no numbers."""
        if graph.y is None or graph.y.ndim != 2:
            raise UsageError(f"{graph.name} has no targets of nodes; give it floats (N,) or (N, K)")

    def objective(self, part: jax.Array) -> Regression:
        """Return the squared error on the scale of the training nodes."""
        if self.scale is not None:
            return Regression(*self.scale)
        return Regression.of(jnp.asarray(self._graph.y), (part == 1).astype(jnp.float32), self.loss_fn)

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return predictions against targets, on the test nodes, or else the validation nodes."""
        del key
        part, y = np.asarray(state.part.value), np.asarray(self._graph.y)
        for number, name in ((3, "test"), (2, "validation")):
            judged = np.flatnonzero((part == number) & np.isfinite(y).all(axis=1))
            if len(judged):
                said = self.predict(state)[judged]
                return {"predictions": plots.predictions(said, y[judged], name)}
        return {}
