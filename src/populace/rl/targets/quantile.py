"""Quantile regression: the return as equally likely values (QR-DQN, Dabney et al. 2018)."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from populace.core.settings import setting
from populace.rl.targets.td import Distribution


class Quantiles(Distribution):
    """Returns as N values `theta_i`, each the quantile at `tau_i = (i + 1/2) / N`.

    With `u_ij = r + bootstrap * theta'_j - theta_i`,

        loss = sum_i mean_j |tau_i - [u_ij < 0]| L(u_ij) / kappa
        L(u) = u^2 / 2 where |u| <= kappa, else kappa (|u| - kappa / 2)

    The values need no bounds. The priority is the absolute difference of the means, `|mean_ij u_ij|`.
    """

    kind: ClassVar[str] = "quantile"

    quantiles: int = setting(51, low=1, help="number of quantiles N of the return distribution")
    kappa: float = setting(1.0, above=0, help="Huber threshold kappa, in units of return")

    @property
    def outputs(self) -> int:
        """Quantiles per action."""
        return self.quantiles

    def expected(self, params: jax.Array) -> jax.Array:
        """Return `mean_i theta_i` of quantiles (..., N)."""
        return jnp.mean(params, axis=-1)

    def losses(
        self, online: jax.Array, target: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Return the quantile Huber losses and the absolute differences of the means."""
        del loss
        td_target = jax.lax.stop_gradient(reward[:, None] + bootstrap[:, None] * target)
        difference = td_target[:, :, None] - online[:, None, :]
        priority = jnp.abs(jnp.mean(td_target, axis=-1) - jnp.mean(online, axis=-1))
        return quantile_huber(difference, self.kappa), priority


def quantile_huber(difference: jax.Array, kappa: jax.Array | float) -> jax.Array:
    """Return the quantile Huber loss `sum_i mean_j |tau_i - [u_ij < 0]| L(u_ij) / kappa`.

    Args:
        difference: u, (..., M, N): the j-th sample of the target minus the i-th quantile.
        kappa: `|u|` above which L is linear.

    Returns:
        (...).

    """
    samples, n = difference.shape[-2:]
    tau = (jnp.arange(n) + 0.5) / n
    size = jnp.abs(difference)
    square = jnp.minimum(size, kappa)
    huber = square * (size - 0.5 * square)  # L(u) without a branch
    weight = jnp.where(difference < 0, 1 - tau, tau)
    return jnp.sum(weight * huber, axis=(-2, -1)) / (kappa * samples)
