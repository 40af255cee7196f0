"""Self-scaled BFGS: quasi-Newton steps from a whole inverse Hessian that is scaled before each update."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from populace.core.settings import setting
from populace.physics.objective import Model, Objective
from populace.physics.optimisers.solver import Solver

_CURVED = 1e-12


class SelfScaledBFGS(Solver):
    r"""BFGS whose approximate Hessian shrinks before it is updated where it was too large along the step.

    For the step s and the change y of the gradient, with the Hessian B and its inverse H,

        tau = min(1, y^T s / s^T B s),   B <- tau (B - B s s^T B / s^T B s) + y y^T / y^T s

    computed for H at a cost of P^2 for P weights; a line search for the strong Wolfe conditions. A step that
    does not lower the loss is not taken, and H begins again along the gradient.

    Sources: Al-Baali 1998, "Numerical experience with a class of self-scaling quasi-Newton algorithms";
    Urban, Stefanou and Pons 2025, "Unveiling the optimization process of physics informed neural networks".
    """

    kind: ClassVar[str] = "self-scaled-bfgs"
    remembers_gradients: ClassVar[bool] = True

    search_steps: int = setting(25, low=1, help="evaluations of the loss that a line search may take")

    def init(self, model: Model) -> Any:
        """Return an inverse Hessian that is not to be used, and that the last step did not fail."""
        flat = ravel_pytree(model)[0]
        return {
            "inverse": jnp.eye(len(flat), dtype=flat.dtype),
            "step": jnp.zeros_like(flat),
            "gradient": jnp.zeros_like(flat),
            "curvature": jnp.zeros((), flat.dtype),
            "known": jnp.bool(False),
            "failed": jnp.bool(False),
        }

    def step(
        self, objective: Objective, model: Model, memory: Any
    ) -> tuple[Model, Any, jax.Array, jax.Array, jax.Array]:
        """Take one step if it lowers the loss."""
        flat, unravel = ravel_pytree(model)

        def value(flat: jax.Array) -> jax.Array:
            return objective.loss(unravel(flat))[0].astype(flat.dtype)

        before, gradient = jax.value_and_grad(value)(flat)
        begin = jnp.eye(len(flat), dtype=flat.dtype) / jnp.maximum(jnp.linalg.norm(gradient), 1e-30)
        inverse = updated(
            memory["inverse"], memory["step"], gradient - memory["gradient"], memory["curvature"]
        )
        inverse = jnp.where(memory["known"], inverse, begin)
        direction = -inverse @ gradient
        search = optax.scale_by_zoom_linesearch(self.search_steps, initial_guess_strategy="one")
        start: Any = search.init(flat)
        found: Any = search.update(direction, start, flat, value=before, grad=gradient, value_fn=value)
        step = found[0]
        after = value(flat + step)
        lower = jnp.isfinite(after) & (after < before)
        # B s is minus the gradient times the length of the step along the direction.
        length = (step @ direction) / jnp.maximum(direction @ direction, 1e-300)
        after_memory = {
            "inverse": jnp.where(lower, inverse, begin),
            "step": step,
            "gradient": gradient,
            "curvature": -length * (step @ gradient),
            "known": lower,
            "failed": ~lower,
        }
        moved = unravel(jnp.where(lower, flat + step, flat))
        failed = ~lower & (memory["failed"] | ~memory["known"])
        return moved, after_memory, before, jnp.where(lower, after, before), failed


def updated(inverse: jax.Array, step: jax.Array, change: jax.Array, curvature: jax.Array) -> jax.Array:
    """Return the inverse Hessian H (P, P) after a step, or as it was where the loss did not curve upward.

    Args:
        inverse: H before.
        step: s (P,).
        change: of the gradient, y (P,).
        curvature: s^T B s before.

    """
    along = change @ step
    curved = (along > _CURVED * jnp.linalg.norm(change) * jnp.linalg.norm(step)) & (curvature > 0)
    scale = jnp.minimum(1.0, along / jnp.where(curved, curvature, 1.0))
    scale = jnp.where(curved, scale, 1.0)
    rho = 1 / jnp.where(curved, along, 1.0)
    scaled = inverse / scale
    turned = scaled @ change
    cross = jnp.outer(step, turned)
    both = (rho**2 * (change @ turned) + rho) * jnp.outer(step, step)
    return jnp.where(curved, scaled - rho * (cross + cross.T) + both, inverse)
