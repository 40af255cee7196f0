"""What a forecaster says of each step: a number, quantiles, or a distribution; and the loss that teaches it.

Sources: R. Koenker, G. Bassett (1978), Regression quantiles; D. Salinas et al. (2020), DeepAR (likelihoods).
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.core.settings import Settings, setting


class Head(Settings):
    """From a network's outputs (..., size) for each step to a loss, a number and quantiles."""

    @property
    def size(self) -> int:
        """Numbers per step."""
        return 1

    @property
    def spread(self) -> bool:
        """Whether one member gives quantiles by itself."""
        return True

    @abstractmethod
    def loss(self, outputs: jax.Array, target: jax.Array) -> jax.Array:
        """Return the loss of each step, of the target's shape; outputs are (..., size)."""

    def point(self, outputs: Any) -> Any:
        """Return one number per step: the mean, or the median."""
        return outputs[..., 0]

    @abstractmethod
    def quantiles(self, outputs: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return quantiles of the levels, (..., Q)."""


class Point(Head):
    """One number per step, the mean or the median of what may come."""

    kind: ClassVar[str] = "point"
    error: str = setting("squared", choices=("squared", "absolute"), help="loss: squared finds the mean")

    @property
    def spread(self) -> bool:
        """No: only members together have a spread."""
        return False

    def loss(self, outputs: jax.Array, target: jax.Array) -> jax.Array:
        """Return `(y - f)^2` or `|y - f|`."""
        difference = outputs[..., 0] - target
        return difference**2 if self.error == "squared" else jnp.abs(difference)

    def quantiles(self, outputs: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the number itself for every level."""
        return np.repeat(outputs, len(levels), -1)


class Quantile(Head):
    """Quantiles of fixed levels, by the pinball loss `max(q (y - f), (q - 1) (y - f))`, mean over levels.

    They are sorted where they cross, which never makes the loss larger. Other levels lie between them on the
    scale of normal quantiles; beyond the outermost ones the line is continued.
    """

    kind: ClassVar[str] = "quantile"
    levels: tuple[float, ...] = setting(
        (0.05, 0.1, 0.5, 0.9, 0.95), above=0, high=1, help="levels, ascending"
    )

    def __check_init__(self) -> None:
        """Refuse levels out of order."""
        if list(self.levels) != sorted(set(self.levels)) or max(self.levels) >= 1:
            raise UsageError(f"levels must ascend between 0 and 1, got {list(self.levels)}")

    @property
    def size(self) -> int:
        """One number per level."""
        return len(self.levels)

    def loss(self, outputs: jax.Array, target: jax.Array) -> jax.Array:
        """Return the pinball loss."""
        error, q = target[..., None] - outputs, jnp.asarray(self.levels, jnp.float32)
        return jnp.mean(jnp.maximum(q * error, (q - 1) * error), -1)

    def point(self, outputs: Any) -> Any:
        """Return the quantile nearest to the median."""
        middle = min(range(self.size), key=lambda i: abs(self.levels[i] - 0.5))
        return outputs[..., middle]

    def quantiles(self, outputs: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return the quantiles, on straight lines between those that were learned."""
        from scipy.special import ndtri

        known, wanted, values = ndtri(np.asarray(self.levels)), ndtri(levels), np.sort(outputs, -1)
        if len(known) == 1:
            return np.repeat(values, len(wanted), -1)
        right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
        share = (wanted - known[right - 1]) / (known[right] - known[right - 1])
        return values[..., right - 1] + share * (values[..., right] - values[..., right - 1])


class Gaussian(Head):
    """A normal distribution per step, by its negative log likelihood."""

    kind: ClassVar[str] = "gaussian"

    @property
    def size(self) -> int:
        """Mean, and what the deviation is the softplus of."""
        return 2

    def loss(self, outputs: jax.Array, target: jax.Array) -> jax.Array:
        """Return `log s + (y - m)^2 / (2 s^2)`, constants left out."""
        deviation = _positive(outputs[..., 1])
        return jnp.log(deviation) + 0.5 * ((target - outputs[..., 0]) / deviation) ** 2

    def quantiles(self, outputs: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return `m + s ndtri(q)`."""
        from scipy.special import ndtri

        return outputs[..., :1] + _softplus(outputs[..., 1:2]) * ndtri(levels)


class StudentT(Head):
    """A Student t distribution per step, whose tails are learned too; its degrees of freedom exceed 2."""

    kind: ClassVar[str] = "student-t"

    @property
    def size(self) -> int:
        """Location, and what scale and degrees of freedom are the softplus of."""
        return 3

    def loss(self, outputs: jax.Array, target: jax.Array) -> jax.Array:
        """Return the negative log density."""
        scale, freedom = _positive(outputs[..., 1]), 2 + _positive(outputs[..., 2])
        z = (target - outputs[..., 0]) / scale
        lgamma = jax.scipy.special.gammaln
        constant = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - 0.5 * jnp.log(jnp.pi * freedom)
        return jnp.log(scale) - constant + (freedom + 1) / 2 * jnp.log1p(z**2 / freedom)

    def quantiles(self, outputs: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return `m + s t_v(q)`."""
        from scipy.stats import t

        scale, freedom = (
            _softplus(outputs[..., 1:2]),
            2 + _softplus(outputs[..., 2:3]),
        )
        return outputs[..., :1] + scale * t.ppf(levels, freedom)


def _positive(x: Any) -> Any:
    return jax.nn.softplus(x) + 1e-4


def _softplus(x: np.ndarray) -> np.ndarray:
    """Return what `_positive` does, on the host."""
    return np.logaddexp(x, 0.0) + 1e-4
