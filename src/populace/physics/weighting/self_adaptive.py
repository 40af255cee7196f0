"""Factors of points that are trained against the network."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.core.settings import setting
from populace.physics.objective import Model, Objective
from populace.physics.problem.term import Points
from populace.physics.weighting.balance import Balance, Factors


class SelfAdaptive(Balance):
    """A factor l_i^2 for every point, which climbs the loss while the network descends it.

    l starts at 1 and moves by Adam along dL/dl_i = 2 w_k l_i r_i^2 / n_k, so points that stay wrong count
    more and more. Second-order rules that take over find the factors as they are, and leave them so.

    Source: McClenny and Braga-Neto 2023, "Self-adaptive physics-informed neural networks", with the mask m(l)
    = l^2.
    """

    kind: ClassVar[str] = "self-adaptive"

    rate: float = setting(0.01, above=0, help="learning rate of the factors")

    def init(self, points: dict[str, Points], dtype: Any) -> Any:
        """Return ones, and what Adam remembers."""
        ones = {name: jnp.ones(len(p.at), dtype) for name, p in points.items()}
        return ones, optax.adam(1.0).init(ones)

    def ascend(self, memory: Any, objective: Objective, model: Model) -> Any:
        """Return the factors after a step up the loss."""
        roots, state = memory
        up = {}
        for name, residual in objective.residuals(model).items():
            # The objective's weights hold l^2 already: without, l would move by its own cube.
            weight = objective.weights.get(name, 1.0) * objective.points[name].weights / roots[name] ** 2
            up[name] = 2 * roots[name] * jax.lax.stop_gradient(weight * residual**2) / len(residual)
        descent = {name: -value for name, value in up.items()}
        moves: Any
        moves, state = optax.adam(self.rate).update(descent, state)
        return {name: (roots[name] + moves[name]).astype(roots[name].dtype) for name in roots}, state

    def factors(self, memory: Any) -> Factors:
        """Return the squares."""
        return {name: root**2 for name, root in memory[0].items()}
