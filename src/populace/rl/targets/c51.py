"""C51: the return as a categorical distribution over fixed atoms (Bellemare, Dabney & Munos 2017)."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.core.settings import setting
from populace.rl.targets.td import Distribution

_FINEST = 1e-5  # smallest spacing of atoms, relative to the largest of them: 80 steps of float32


class Categorical(Distribution):
    """Returns on `atoms` evenly spaced values `z_i` from v_min to v_max, with `p = softmax(outputs)`.

    The target shifts every atom to `r + bootstrap * z_i` and splits its probability between the two nearest
    atoms of the support; the loss is the cross-entropy. The priority is the Kullback-Leibler divergence,
    which is the loss minus the entropy of the target (Hessel et al. 2018). A return outside
    [v_min, v_max] counts as the nearest bound in the expected value `sum_i p_i z_i`.
    """

    kind: ClassVar[str] = "c51"

    atoms: int = setting(51, low=2, help="number of atoms in the support of the return distribution")
    v_min: float = setting(-10.0, help="smallest return in the support")
    v_max: float = setting(10.0, help="largest return in the support")

    @property
    def outputs(self) -> int:
        """Logits per action: one per atom."""
        return self.atoms

    @property
    def center(self) -> jax.Array:
        """The middle of the support, from which atoms are computed, so that none are lost far from zero."""
        return jnp.float32(self.v_min) / 2 + jnp.float32(self.v_max) / 2

    @property
    def offsets(self) -> jax.Array:
        """The atoms less their middle, `z - center`, (atoms,)."""
        return (self.v_max - self.v_min) * jnp.linspace(-0.5, 0.5, self.atoms)

    def expected(self, params: jax.Array) -> jax.Array:
        """Return `sum_i p_i z_i` of logits (..., atoms)."""
        return self.center + jax.nn.softmax(params) @ self.offsets

    def losses(
        self, online: jax.Array, target: jax.Array, reward: jax.Array, bootstrap: jax.Array, loss: str
    ) -> tuple[jax.Array, jax.Array]:
        """Return the cross-entropies and the Kullback-Leibler divergences."""
        del loss
        offset = reward - (1 - bootstrap) * self.center
        shifted = offset[:, None] + bootstrap[:, None] * self.offsets
        td_target = jax.lax.stop_gradient(project(jax.nn.softmax(target), shifted, self.offsets))
        cross_entropy = -jnp.sum(td_target * jax.nn.log_softmax(online), axis=-1)
        entropy = -jnp.sum(jax.scipy.special.xlogy(td_target, td_target), axis=-1)
        return cross_entropy, jnp.maximum(cross_entropy - entropy, 0.0)

    def check(self) -> None:
        """Raise a `UsageError` unless v_min is below v_max, and float32 can tell the atoms apart."""
        if self.v_min >= self.v_max:
            raise UsageError(
                f"distribution.v_min {self.v_min:g} must be below distribution.v_max {self.v_max:g}; "
                "together they bound the support of the return distribution"
            )
        spacing = (self.v_max - self.v_min) / (self.atoms - 1)
        if not spacing > _FINEST * max(abs(self.v_min), abs(self.v_max)):
            raise UsageError(
                f"distribution.v_min {self.v_min:g} and distribution.v_max {self.v_max:g} are too far "
                f"from zero for {self.atoms} atoms, {spacing:g} apart: float32 cannot tell them apart; "
                "take fewer atoms, or subtract a constant from the rewards"
            )


def project(probability: jax.Array, place: jax.Array, support: jax.Array) -> jax.Array:
    """Project probabilities onto the support: each splits linearly between its two nearest atoms.

    `projected_i = sum_j p_j max(0, 1 - |clip(y_j, z_0, z_n) - z_i| / spacing)`, which preserves the total
    probability, and the mean if every y lies inside the support (Bellemare et al. 2017, algorithm 1).

    Args:
        probability: p, (..., m).
        place: y, the value that each probability belongs to, (..., m).
        support: z, evenly spaced and increasing, (n,).

    Returns:
        (..., n).

    """
    spacing = (support[-1] - support[0]) / (support.shape[0] - 1)
    inside = jnp.clip(place, support[0], support[-1])
    share = jnp.maximum(0.0, 1.0 - jnp.abs(inside[..., None] - support) / spacing)
    # As a matrix product the sum is several times as fast on CPU; "highest" keeps GPUs from rounding factors.
    return jnp.matmul(probability[..., None, :], share, precision="highest")[..., 0, :]
