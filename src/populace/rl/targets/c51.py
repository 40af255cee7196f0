"""C51: the return as probabilities of fixed atoms (Bellemare, Dabney & Munos 2017)."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.rl.targets.td import Distribution


class Categorical(Distribution):
    """Returns on `atoms` evenly spaced values `z_i` from v_min to v_max, with `p = softmax(outputs)`.

    The target moves every atom to `r + bootstrap * z_i` and shares its probability between the two atoms
    beside it; the loss is the cross-entropy. The priority is the Kullback-Leibler divergence, what remains
    of the loss without the target's own entropy (Hessel et al. 2018). The expected value `sum_i p_i z_i` of a
    return outside of [v_min, v_max] is that of the nearest bound.
    """

    kind: ClassVar[str] = "c51"

    atoms: int = setting(51, low=2, help="values that a return is put together from")
    v_min: float = setting(-10.0, help="lowest return there is an atom for")
    v_max: float = setting(10.0, help="highest return there is an atom for")

    @property
    def outputs(self) -> int:
        """Logits per action: one to an atom."""
        return self.atoms

    @property
    def support(self) -> jax.Array:
        """The atoms z, (atoms,)."""
        return self.v_min + (self.v_max - self.v_min) * jnp.linspace(0.0, 1.0, self.atoms)

    def expected(self, described: jax.Array) -> jax.Array:
        """Return `sum_i p_i z_i` of logits (..., atoms)."""
        return jax.nn.softmax(described) @ self.support

    def losses(
        self, described: jax.Array, following: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Return the cross-entropies and the Kullback-Leibler divergences."""
        del loss
        moved = reward[:, None] + bootstrap[:, None] * self.support
        target = jax.lax.stop_gradient(project(jax.nn.softmax(following), moved, self.support))
        cross = -jnp.sum(target * jax.nn.log_softmax(described), axis=-1)
        own = -jnp.sum(jax.scipy.special.xlogy(target, target), axis=-1)
        return cross, jnp.maximum(cross - own, 0.0)

    def check(self) -> None:
        """Raise a `UsageError` where there is no room between v_min and v_max."""
        if self.v_min >= self.v_max:
            raise UsageError(
                f"distribution.v_min {self.v_min:g} must be below distribution.v_max {self.v_max:g}; "
                "they bound the returns that can be told apart"
            )


def project(probability: jax.Array, place: jax.Array, support: jax.Array) -> jax.Array:
    """Move probability to the atoms: each place shares its own linearly between the two beside it.

    `projected_i = sum_j p_j max(0, 1 - |clip(y_j, z_0, z_n) - z_i| / spacing)`, which keeps the sum, and the
    mean of what lies inside the support.

    Args:
        probability: p, (..., m).
        place: y, where each lies, (..., m).
        support: z, evenly spaced and rising, (n,).

    Returns:
        (..., n).

    """
    spacing = (support[-1] - support[0]) / (support.shape[0] - 1)
    inside = jnp.clip(place, support[0], support[-1])
    share = jnp.maximum(0.0, 1.0 - jnp.abs(inside[..., None] - support) / spacing)
    # The sum as a product of matrices, several times as fast on CPU; exact where hardware would round.
    return jnp.matmul(probability[..., None, :], share, precision="highest")[..., 0, :]
