"""Batch normalization, channels last; every member has its own running statistics."""

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.modules.sequential import AXIS
from populace.nn.primitives.buffer import Buffer
from populace.nn.primitives.precision import at_least_float32


class BatchNorm(eqx.Module):
    """`y = (x - mean) / sqrt(var + eps) * scale + shift`, per channel, the last axis of x.

    In training, mean and variance are those of the batch, over all positions of all its examples, and update
    the running statistics, `r <- r + momentum (batch - r)`. At inference, the running statistics are used.
    They are also used, and left unchanged, for a batch with a single value per channel, which its own mean
    would reduce to zero.

    For group normalization, which needs no batch, see
    [`GroupNorm`][populace.nn.modules.group_norm.GroupNorm]; for layer and RMS normalization use Equinox.

    Args:
        channels: size of the last axis.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Raises:
        UsageError: an input whose last axis has another size, or a momentum outside (0, 1].

    Source: Ioffe and Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by
    Reducing Internal Covariate Shift".

    """

    scale: jax.Array
    shift: jax.Array
    mean: Buffer
    variance: Buffer
    momentum: float = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        if channels < 1:
            raise UsageError(f"BatchNorm: channels must be at least 1, got {channels}")
        if not 0 < momentum <= 1:
            raise UsageError(f"BatchNorm: momentum must be in (0, 1], got {momentum}")
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)
        self.mean, self.variance = Buffer(jnp.zeros(channels)), Buffer(jnp.ones(channels))
        self.momentum, self.eps = momentum, eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalize (..., channels) by the running statistics."""
        self._check(x)
        return self._normalize(x, self.mean.value, self.variance.value)

    def learn(
        self, x: jax.Array, *, key: jax.Array, weight: jax.Array | None = None
    ) -> tuple[jax.Array, "BatchNorm"]:
        """Normalize one example (..., channels) by the statistics of the batch, and update the running ones.

        An example of weight 0 affects neither.
        """
        del key
        return self.learn_all(x, weight, axis=AXIS)

    def learn_all(
        self, x: jax.Array, weight: jax.Array | None = None, *, axis: str | None = None
    ) -> tuple[jax.Array, "BatchNorm"]:
        """Normalize a whole batch (..., channels), ignoring positions of weight 0 in the statistics.

        Args:
            x: the batch, or with `axis` one example of it.
            weight: 1 or 0, broadcast to (...); None counts all.
            axis: name of the `vmap` axis over examples, if there is one.

        """
        self._check(x)
        positions = tuple(range(x.ndim - 1))
        real = None if weight is None else jnp.broadcast_to(weight, x.shape[:-1])[..., None] > 0

        def total(values: jax.Array) -> jax.Array:
            kept = values if real is None else jnp.where(real, values, 0)
            found = jnp.sum(kept, positions)
            return found if axis is None else jax.lax.psum(found, axis)

        wide = at_least_float32(x)
        count = total(jnp.ones((*x.shape[:-1], 1), wide.dtype))
        mean = total(wide) / jnp.maximum(count, 1)
        # Second pass rather than E[x^2] - E[x]^2, which cancels in float32.
        variance = total((wide - mean) ** 2) / jnp.maximum(count, 1)
        mean = jnp.where(count > 1, mean, self.mean.value)
        variance = jnp.where(count > 1, variance, self.variance.value)
        moved = [
            Buffer(old.value + self.momentum * (jax.lax.stop_gradient(new) - old.value))
            for old, new in ((self.mean, mean), (self.variance, variance))
        ]
        after = eqx.tree_at(lambda n: (n.mean, n.variance), self, tuple(moved))
        return self._normalize(x, mean, variance), after

    def _normalize(self, x: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
        return (x - mean) * (jax.lax.rsqrt(variance + self.eps) * self.scale) + self.shift

    def _check(self, x: jax.Array) -> None:
        channels = self.scale.shape[0]
        if x.ndim < 1 or x.shape[-1] != channels:
            raise UsageError(f"BatchNorm: input has shape {x.shape}, expected (..., {channels})")
