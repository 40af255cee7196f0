"""Learners of whole graphs: a class, binary labels, or numbers."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.labels import PARTS
from populace.graphs.learners.graph_learner import GraphLearner
from populace.graphs.learners.objective import Classes, MultiLabel, Ranked, Regression, check_yes_or_no
from populace.graphs.learners.weighting import class_weight


class GraphClassifier(GraphLearner):
    """Classifies graphs by the softmax of a network's outputs, trained on cross-entropy.

    Folds are drawn class by class. How a step, an epoch and the protocols go is said in
    [`GraphLearner`][populace.graphs.learners.graph_learner.GraphLearner].
    """

    score: ClassVar[str] = "accuracy"
    mode: ClassVar[Literal["max", "min"]] = "max"

    class_weight: str = class_weight()  # pyright: ignore[reportIncompatibleVariableOverride]

    def floors(self) -> Mapping[str, float]:
        """Return the accuracy of guessing, one over the number of classes."""
        return {} if self.data is None else {"accuracy": 1 / self.data.classes}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "the accuracy of guessing"

    def check_labels(self, data: GraphSet) -> None:
        """Raise a `UsageError` if there are no classes."""
        if not data.classes:
            raise UsageError(
                f"{data.name} has targets instead of classes; for binary labels take "
                "MultiLabelGraphClassifier, for numbers GraphRegressor"
            )

    def example_scores(self, model: Any) -> np.ndarray | None:
        """Return whether the class of each test graph is right, as 0 or 1; None where folds take turns."""
        if self.protocol != "split":
            return None
        tested = np.flatnonzero(np.asarray(self._parts.place) == PARTS.index("test"))
        return (self.predict(model)[tested] == np.asarray(self._data.y)[tested]).astype(float)

    @property
    def objective(self) -> Classes:
        """Cross-entropy and accuracy."""
        return Classes(self._data.classes, self.loss_fn)


class MultiLabelGraphClassifier(Ranked, GraphLearner):
    """Predicts several binary labels of graphs, by sigmoids trained on cross-entropy.

    What is known of a graph is a row of 0, 1 and NaN, where NaN is in no sum. Folds are drawn at random.
    Evaluated are ROC-AUC and average precision, each the mean over the labels with both
    a 1 and a 0 in the split; `metric` says which of them chooses the epoch and the setting.
    """

    def check_labels(self, data: GraphSet) -> None:
        """Raise a `UsageError` if the labels are not binary."""
        check_yes_or_no(data.y, data.name, "graph")

    def check_part(self, y: np.ndarray, called: str) -> None:
        """Raise a `UsageError` where no label has both a 1 and a 0."""
        MultiLabel.check(y, called)

    @property
    def objective(self) -> MultiLabel:
        """Cross-entropy and rankings."""
        return MultiLabel(self._data.y.shape[1], self.loss_fn)


class GraphRegressor(GraphLearner):
    """Predicts numbers for graphs, trained on the squared error of the standardized numbers.

    What is known of a graph is a row of numbers, NaN for one that is in no sum. They are standardized by mean
    and deviation of the member's own training graphs; folds are drawn at random. Score: the root of the mean
    squared error in the units of y, the mean over the numbers; lower is better.
    """

    score: ClassVar[str] = "rmse"
    mode: ClassVar[Literal["max", "min"]] = "min"
    has_probabilities: ClassVar[Any] = False

    def check_labels(self, data: GraphSet) -> None:
        """Raise a `UsageError` if there are no numbers."""
        if data.classes:
            raise UsageError(f"{data.name} has classes, not targets; give it floats (G,) or (G, K)")

    @property
    def objective(self) -> Regression:
        """Squared error on the scale of the training graphs."""
        if self.scale is not None:
            return Regression(*self.scale)
        return Regression.of(jnp.asarray(self._data.y), self._part("train").astype(jnp.float32), self.loss_fn)
