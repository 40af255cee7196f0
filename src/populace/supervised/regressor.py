"""Regressor: one or several numbers for each example."""

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.mean import Mean, Metrics
from populace.core.media import Visualization
from populace.core.settings import setting
from populace.metrics import regression
from populace.metrics.losses import REGRESSION, per_example
from populace.supervised.learner import Supervised


class Regressor(Supervised):
    """Predicts numbers; trained on the mean squared, absolute or Huber error.

    The network predicts standardized targets, `(y - mean) / deviation` over the training rows, and so
    does the loss compare them; metrics and predictions are in the units of y. Score: R2 on the
    validation part; the final evaluation is on the test part.
    """

    score: ClassVar[str] = "r2"
    mode: ClassVar[Any] = "max"

    loss: str = setting("mse", choices=tuple(REGRESSION), help="error that is minimized")

    def floors(self) -> Mapping[str, float]:
        """Return the R² of predicting the mean, 0."""
        return {"r2": 0.0} if self.score == "r2" else {}

    @property
    def floor_description(self) -> str:
        """Return in words what `floors` says."""
        return "predicting the mean" if self.floors() else super().floor_description

    def losses(self, outputs: jax.Array, y: jax.Array) -> jax.Array:
        """Return the mean error over the outputs of each example, or what the user's own loss says of it."""
        target = (y - self._data.y_mean) / self._data.y_deviation
        return per_example((self.loss_fn or REGRESSION[self.loss])(outputs, target), outputs)

    def measure(self, outputs: jax.Array, y: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        """Return sums of the absolute and the squared error, per output."""
        error, weight = self.finish(outputs) - y, weight[:, None]
        return {"absolute": jnp.sum(jnp.abs(error) * weight, 0), "squared": jnp.sum(error**2 * weight, 0)}

    def conclude(self, sums: dict[str, jax.Array], y: jax.Array, weight: jax.Array | None) -> Metrics:
        """Return R2, and in the units of y the mean absolute and the root mean squared error."""
        count = sums["count"]
        return {
            "r2": Mean(regression.r2(sums["squared"], y, weight)),
            "mae": Mean(jnp.mean(sums["absolute"]), count),
            "rmse": Mean(jnp.sqrt(jnp.mean(sums["squared"]) / count)),
        }

    def finish(self, outputs: jax.Array) -> jax.Array:
        """Return outputs in the units of the data's y."""
        return outputs * self._data.y_deviation + self._data.y_mean

    def predict(self, model: Any, x: Any = None) -> np.ndarray:
        """Return numbers in the units of y for raw examples (N, ...), (N, K)."""
        return np.asarray(self.outputs(model, x))

    def visualize(self, state: Any, key: jax.Array) -> dict[str, Visualization]:
        """Return predictions against targets, on the test part, or what stands for it."""
        del key
        from populace.supervised import plots

        (x, y), part = self._data.examples("test"), self._data.called("test")
        predicted = self.predict(state, x)
        return {"predictions": plots.predictions(predicted, y, part)}
