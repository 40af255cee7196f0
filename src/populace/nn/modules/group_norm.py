"""Group normalization, channels last."""

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.primitives.precision import at_least_float32


class GroupNorm(eqx.Module):
    """`y = (x - mean) / sqrt(var + eps) * scale + shift`; mean and variance over all positions of a group.

    Channels (the last axis) form equal consecutive groups; of one group it is layer normalization over the
    whole example with a scale per channel. It needs no batch, so training and inference are the same.

    Args:
        channels: size of the last axis.
        groups: number of groups; must divide `channels`.
        eps: added to the variance.

    Raises:
        UsageError: groups that do not divide the channels, or an input whose last axis has another size.

    Source: Wu and He 2018, "Group Normalization".

    """

    scale: jax.Array
    shift: jax.Array
    groups: int = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __init__(self, channels: int, groups: int, *, eps: float = 1e-5) -> None:
        if groups < 1 or channels < 1 or channels % groups:
            raise UsageError(f"GroupNorm: {channels} channels do not divide into {groups} groups")
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)
        self.groups, self.eps = groups, eps

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalize one example (..., channels)."""
        channels = self.scale.shape[0]
        if x.ndim < 1 or x.shape[-1] != channels:
            raise UsageError(f"GroupNorm: input has shape {x.shape}, expected (..., {channels})")
        grouped = at_least_float32(x).reshape(-1, self.groups, channels // self.groups)
        mean = jnp.mean(grouped, (0, 2), keepdims=True)
        # Second pass rather than E[x^2] - E[x]^2, which cancels in float32.
        centered = grouped - mean
        variance = jnp.mean(centered**2, (0, 2), keepdims=True)
        normal = (centered * jax.lax.rsqrt(variance + self.eps)).reshape(x.shape)
        return (normal * self.scale + self.shift).astype(x.dtype)
