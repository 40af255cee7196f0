"""Factors on the terms of a loss that follow the training: by norms of gradients, or by the tangent kernel.

Terms of very different size or stiffness fall at very different rates: an equation may fall while its
conditions stay, which every constant solves.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from populace.core.settings import Settings, setting
from populace.physics.objective import Model, Objective
from populace.physics.problem.term import Points

Factors = dict[str, Any]


class Balance(Settings):
    """How the terms of the loss, or its points, are weighted against each other as it trains.

    By default nothing changes: a subclass with a `kind` overrides what does.
    """

    @property
    def interval(self) -> int:
        """Iterations between two calls of `update`; 0 for none."""
        return 0

    def init(self, points: dict[str, Points], dtype: Any) -> Any:
        """Return what it remembers before the first step."""
        del points, dtype

    def update(self, memory: Any, objective: Objective, model: Model) -> Any:
        """Return what it remembers after a look at the loss of a model; it is called at every interval."""
        del objective, model
        return memory

    def ascend(self, memory: Any, objective: Objective, model: Model) -> Any:
        """Return what it remembers after a step of the optimizer from a model."""
        del objective, model
        return memory

    def factors(self, memory: Any) -> Factors:
        """Return factors of terms by name, numbers or one per point (n,)."""
        del memory
        return {}


class Fixed(Balance):
    """Weights as the settings and the problem state them, for ever."""

    kind: ClassVar[str] = "fixed"


class _Averaged(Balance):
    """Factors of terms, averaged over the looks: w <- momentum w + (1 - momentum) found."""

    momentum: float = setting(0.9, low=0, high=1, help="share of the factors until now that stays")
    every: int = setting(100, low=1, help="iterations between two looks")

    @property
    def interval(self) -> int:
        """As set."""
        return self.every

    def init(self, points: dict[str, Points], dtype: Any) -> Any:
        """Return ones."""
        return {name: jnp.ones((), dtype) for name in points}

    def update(self, memory: Any, objective: Objective, model: Model) -> Any:
        """Return the average with the factors of now."""
        found = shares(self.sizes(objective, model))
        return {
            name: (self.momentum * old + (1 - self.momentum) * found[name]).astype(old.dtype)
            for name, old in memory.items()
        }

    @abstractmethod
    def sizes(self, objective: Objective, model: Model) -> dict[str, jax.Array]:
        """Return what is to become equal between the terms."""

    def factors(self, memory: Any) -> Factors:
        """Return the averages."""
        return memory


class GradientNorm(_Averaged):
    """Terms get gradients of one norm: w_k = sum_j |grad L_j| / |grad L_k|.

    L_k is the mean square of term k without factors. Source: Wang, Sankaran, Wang and Perdikaris 2023, "An
    expert's guide to training physics-informed neural networks", after Wang, Teng and Perdikaris 2021.
    """

    kind: ClassVar[str] = "gradient-norm"

    def sizes(self, objective: Objective, model: Model) -> dict[str, jax.Array]:
        """Return the norm of each term's gradient."""

        def means(model: Model) -> dict[str, jax.Array]:
            return objective.loss(model)[1]

        found = jax.jacrev(means)(model)
        return {name: jnp.linalg.norm(ravel_pytree(gradient)[0]) for name, gradient in found.items()}


class NTK(_Averaged):
    """Terms fall at one rate, by the neural tangent kernel: w_k = sum_j t_j / t_k, t_k = Tr(K_k) / n_k.

    K_k = J_k J_k^T for the Jacobian J_k (n_k, P) of the residuals of term k, so a look costs as many
    gradients as there are points. Source: Wang, Yu and Perdikaris 2022, "When and why PINNs fail to train: a
    neural tangent kernel perspective"; there terms are sums and traces are not divided by n_k, here terms are
    means.
    """

    kind: ClassVar[str] = "ntk"

    def sizes(self, objective: Objective, model: Model) -> dict[str, jax.Array]:
        """Return the mean diagonal of each term's kernel."""
        return {name: jnp.mean(jnp.sum(rows**2, 1)) for name, (_, rows) in objective.jacobians(model).items()}


def shares(sizes: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return the sum of sizes over each; 1 where a size is zero or not finite."""
    total = jnp.sum(jnp.stack(list(sizes.values())))
    found = {name: total / jnp.where(size > 0, size, 1.0) for name, size in sizes.items()}
    return {
        name: jnp.where((sizes[name] > 0) & jnp.isfinite(factor), factor, 1.0)
        for name, factor in found.items()
    }
