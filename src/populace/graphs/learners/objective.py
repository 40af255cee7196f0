"""Objectives: the loss and the metrics of classes, of binary labels, and of numbers.

Each takes outputs (n, K), what is true of as many nodes or graphs, and a weight (n,): 0 for those that do not
count; losses are weighted means, metrics count all others alike.
"""

from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from populace.core.errors import UsageError
from populace.core.learner import Learner
from populace.core.mean import Mean, Metrics
from populace.core.settings import setting
from populace.metrics import classification, ranking
from populace.metrics.losses import Loss, cross_entropy, per_example, per_output

RANKINGS = ("roc_auc", "ap")


class Objective(Protocol):
    """The loss and the metrics of a task."""

    @property
    def outputs(self) -> int:
        """Number of network outputs, K."""
        ...

    def loss(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Mean:
        """Return the loss."""
        ...

    def progress(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return metrics of a training batch besides the loss."""
        ...

    def evaluate(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return the metrics of a whole split, the loss among them."""
        ...

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return the predictions: probabilities, or numbers in the units of y."""
        ...


class Classes(NamedTuple):
    """One of K classes, y (n,) int32, -1 for none: `loss = -log softmax(f)_y`; scored by accuracy."""

    outputs: int
    loss_fn: Loss | None = None

    def loss(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Mean:
        """Return the mean cross-entropy, nats, or the mean of the user's own loss."""
        loss_fn = self.loss_fn or cross_entropy
        each = per_example(loss_fn(outputs, jnp.maximum(y, 0)), outputs)
        # What does not count may be infinite, where its logit is -inf, and 0 times infinity is NaN.
        return Mean(jnp.sum(jnp.where(weight > 0, each * weight, 0.0)), jnp.sum(weight))

    def progress(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return the accuracy."""
        return {"accuracy": self._accuracy(outputs, y, weight)}

    def evaluate(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return accuracy and loss."""
        return {"accuracy": self._accuracy(outputs, y, weight), "loss": self.loss(outputs, y, weight)}

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return the probability of each class."""
        return jax.nn.softmax(outputs)

    def _accuracy(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Mean:
        return Mean(jnp.sum(classification.correct(outputs, y) * weight), jnp.sum(weight))


class MultiLabel(NamedTuple):
    """K binary labels, y (n, K), NaN where unknown.

    `loss = -log sigmoid(f)` for a yes and `-log sigmoid(-f)` for a no, the mean over all that are known;
    scored by ROC-AUC and average precision, the mean over the columns with a yes and a no.
    """

    outputs: int
    loss_fn: Loss | None = None

    def loss(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Mean:
        """Return the mean cross-entropy, nats, or the mean of the user's own loss."""
        known = _known(y, weight)
        loss_fn = self.loss_fn or optax.sigmoid_binary_cross_entropy
        each = per_output(loss_fn(outputs, jnp.where(known, y, 0.0)), outputs)
        share = known * weight[:, None]
        return Mean(jnp.sum(jnp.where(known, each * share, 0.0)), jnp.sum(share))

    def progress(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return nothing: few columns of a batch can be ranked."""
        del outputs, y, weight
        return {}

    def evaluate(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return both rankings and the loss."""
        known = _known(y, weight)
        found = {"loss": self.loss(outputs, y, weight)}
        for name, of in zip(RANKINGS, (ranking.roc_auc, ranking.average_precision)):
            values, defined = of(outputs, y, known)
            found[name] = Mean(jnp.sum(jnp.where(defined, values, 0.0)), jnp.sum(defined))
        return found

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return the probability of each positive label."""
        return jax.nn.sigmoid(outputs)

    @staticmethod
    def check(y: np.ndarray, called: str) -> None:
        """Raise a `UsageError` unless in (n, K) some column has a yes and a no: else nothing is ranked."""
        if not ((y == 1).any(axis=0) & (y == 0).any(axis=0)).any():
            raise UsageError(f"{called} has no property with a yes and a no; it cannot be ranked")


class Regression(NamedTuple):
    """K numbers, y (n, K), NaN where unknown.

    `loss = (f - (y - mean) / deviation)^2`, mean and deviation of the training rows; scored by the root
    of the mean squared error and the mean absolute error, in the units of y, the mean over the columns.
    """

    mean: jax.Array
    deviation: jax.Array
    loss_fn: Loss | None = None

    @classmethod
    def of(cls, y: jax.Array, weight: jax.Array, loss_fn: Loss | None = None) -> "Regression":
        """Return the objective with the mean and deviation of the rows of positive weight."""
        known = _known(y, weight)
        count = jnp.maximum(jnp.sum(known, 0), 1)
        # The mean of equal numbers is rounded: their differences from one of them are exactly 0.
        one = jnp.take_along_axis(jnp.where(known, y, 0.0), jnp.argmax(known, 0)[None], 0)[0]
        off = jnp.where(known, y - one, 0.0)
        mean = jnp.sum(off, 0) / count
        variance = jnp.sum(jnp.where(known, (off - mean) ** 2, 0.0), 0) / count
        return cls(one + mean, jnp.where(variance > 0, jnp.sqrt(variance), 1.0), loss_fn)

    @property
    def outputs(self) -> int:
        """Number of targets, K."""
        return len(self.mean)

    def loss(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Mean:
        """Return the mean squared error of the standardized numbers, or the mean of the user's own loss."""
        known = _known(y, weight)
        target = (jnp.where(known, y, 0.0) - self.mean) / self.deviation
        each = per_output((self.loss_fn or optax.squared_error)(outputs, target), outputs)
        share = known * weight[:, None]
        return Mean(jnp.sum(jnp.where(known, each * share, 0.0)), jnp.sum(share))

    def progress(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return nothing."""
        del outputs, y, weight
        return {}

    def evaluate(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> Metrics:
        """Return root mean squared error, mean absolute error and loss."""
        known = _known(y, weight)
        error = jnp.where(known, self.finish(outputs) - y, 0.0)
        count = jnp.sum(known, 0)
        columns = jnp.sum(count > 0)
        squared, absolute = (jnp.sum(e, 0) / jnp.maximum(count, 1) for e in (error**2, jnp.abs(error)))
        return {
            "rmse": Mean(jnp.sum(jnp.sqrt(squared)), columns),
            "mae": Mean(jnp.sum(absolute), columns),
            "loss": self.loss(outputs, y, weight),
        }

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return outputs in the units of y."""
        return outputs * self.deviation + self.mean


class Ranked(Learner):
    """What learners of binary labels share: the choice of the score."""

    mode: ClassVar[Literal["max", "min"]] = "max"

    metric: str = setting("roc_auc", choices=RANKINGS, help="score: ROC-AUC, or average precision")

    score: ClassVar[Any] = property(lambda self: self.metric, doc="The metric that counts.")


def check_yes_or_no(y: Any, name: str, what: str) -> None:
    """Raise a `UsageError` unless what is known of each row is 0, 1, or NaN for not known."""
    if y is None or y.ndim != 2:
        raise UsageError(f"{name} has no labels of yes or no; give it floats ({what}s, K): 0, 1, or NaN")
    wrong = ~((y == 0) | (y == 1) | np.isnan(y))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise UsageError(
            f"label {column} of {what} {row} of {name} is {y[row, column]:g}; expected 0, 1 or NaN"
        )


def _known(y: jax.Array, weight: jax.Array) -> jax.Array:
    return jnp.isfinite(y) & (weight > 0)[:, None]
