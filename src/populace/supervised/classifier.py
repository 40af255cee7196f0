"""Classifier: one of several classes for each example."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.metrics import classification
from populace.metrics.losses import cross_entropy, per_example
from populace.supervised.class_weight import ClassWeight, Equal
from populace.supervised.learner import Supervised


class Classifier(Supervised):
    """Classifies examples by the softmax of a network's outputs, trained on cross-entropy.

    `loss = -sum_c q_c log softmax(f(x))_c`, where q is one at the label, softened by
    `label_smoothing`. Score: accuracy on the validation part; the final evaluation is on the test
    part.
    """

    score: ClassVar[str] = "accuracy"
    mode: ClassVar[Any] = "max"

    label_smoothing: float = setting(
        0.0, low=0, high=1, help="probability taken from the label, spread over all classes"
    )
    class_weight: ClassWeight = setting(
        Equal(), help="weight of each class in the loss; a table of classes and weights will do as well"
    )
    top: int = setting(0, low=0, help="k of top-k accuracy, also measured; 0 for none")

    def losses(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """Return the cross-entropy of each example, nats, or what the user's own loss says of it."""
        if self.loss_fn is not None:
            return per_example(self.loss_fn(outputs, y), outputs)
        return cross_entropy(outputs, y, self.label_smoothing)

    def loss_weights(self, y: jax.Array, weight: jax.Array) -> jax.Array:
        """Return the weight of each example times that of its class, on average 1 over training examples."""
        factors = self.class_weight.factors(self._data)
        return weight if factors is None else weight * factors[y]

    def measure(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums of hits, of hits among the best k, and of the calibration's bins."""
        sums = {
            "accuracy": jnp.sum(classification.correct(outputs, y) * weight),
            "calibration": classification.calibration_sums(outputs, y, weight),
        }
        if self.top:
            sums["top"] = jnp.sum(classification.in_top(outputs, y, self.top) * weight)
        return sums

    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return accuracy, expected calibration error, and top-k accuracy."""
        del y, weight
        count = sums["count"]
        found = {
            "accuracy": Mean(sums["accuracy"], count),
            "calibration_error": Mean(classification.calibration_error(sums["calibration"])),
        }
        if self.top:
            found[f"top_{self.top}_accuracy"] = Mean(sums["top"], count)
        return found

    def floors(self) -> Mapping[str, float]:
        """Return the accuracy of guessing, one over the number of classes."""
        if self.data is None or self.score != "accuracy":
            return {}
        return {"accuracy": 1 / self.data.outputs}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "the accuracy of guessing" if self.floors() else super().floor_description

    def check(self) -> None:
        """Raise a `UsageError` where the data does not fit the network, or has too few classes for top-k."""
        super().check()
        self.class_weight.check(self._data)
        if self.top >= self._data.outputs:
            raise UsageError(
                f"top must be below the number of classes, {self._data.outputs}, got {self.top}: "
                "every label is among as many"
            )

    def predict(self, model: Any, x: Any = None) -> np.ndarray:
        """Return the likeliest class of each raw example, (N,): a number, or a name where labels were."""
        return self._data.labels(np.asarray(jnp.argmax(self.outputs(model, x), -1)))

    def predict_proba(self, model: Any, x: Any = None) -> jax.Array:
        """Return the probability of each class for raw examples, (N, classes)."""
        return jax.nn.softmax(self.outputs(model, x))

    def example_scores(self, model: Any) -> np.ndarray | None:
        """Return whether the class of each test example is right, as 0 or 1.

        None without a test part, and where examples have weights: a share of them is then not the accuracy.
        """
        if self.score != "accuracy" or not self.independent_test or self._data.weights("test") is not None:
            return None
        x, labels = self._data.examples("test")[0], self._data.answers("test")
        return (np.argmax(np.asarray(self.outputs(model, x)), -1) == labels).astype(float)

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return confusion matrix and calibration diagram, on the test part or what stands for it."""
        del key
        from populace.supervised import plots

        data = self._data
        x, _, rows = *data.examples("test"), np.asarray(data.part("test")[2])
        labels, part, weight = data.answers("test"), data.called("test"), data.weights("test")
        weight = None if weight is None else np.asarray(weight)[rows]
        logits = self.outputs(state, x)
        return {
            "confusion": plots.confusion(logits, labels, data.names, part, weight),
            "calibration": plots.calibration(logits, labels, part, weight),
        }

    def _training(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        return {"accuracy": jnp.sum(classification.correct(outputs, y) * weight)}
