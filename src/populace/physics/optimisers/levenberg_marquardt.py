"""Levenberg and Marquardt's rule: Gauss-Newton steps, damped until they lower the loss."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from populace.core.settings import setting
from populace.physics.objective import Model, Objective
from populace.physics.optimisers.cholesky import solve_positive
from populace.physics.optimisers.solver import Solver

_TRIALS = 6
_RAISE = 4.0
_LOWER = 1 / 3
_HIGHEST = 1e12
_LOWEST = 1e-15


class LevenbergMarquardt(Solver):
    r"""Damped Gauss-Newton steps.

    For residuals r (N,) with Jacobian J (N, P), damping mu, and s the mean of the diagonal of J^T J:

        (J^T J + mu s I) delta = J^T r,     model <- model - delta

    A step tries up to six dampings, each four times the one before, until the loss is lower; then the next
    step begins with a third of the one that worked. If none does, the model stays as it is. The cost is N
    P^2 + P^3, so it is for networks of up to about a thousand weights; there it converges in tens or
    hundreds of steps.

    Source: Levenberg 1944; Marquardt 1963, "An algorithm for least-squares estimation of nonlinear
    parameters".
    """

    kind: ClassVar[str] = "levenberg-marquardt"

    damping: float = setting(1e-2, above=0, help="damping to begin with, relative to the mean curvature")

    def init(self, model: Model) -> Any:
        """Return the damping."""
        return jnp.asarray(self.damping, ravel_pytree(model)[0].dtype)

    def step(
        self, objective: Objective, model: Model, memory: Any
    ) -> tuple[Model, Any, jax.Array, jax.Array, jax.Array]:
        """Take the first damped step that lowers the loss."""
        flat, unravel = ravel_pytree(model)
        residuals, jacobian = objective.rows(model)
        gradient, curvature = jacobian.T @ residuals, jacobian.T @ jacobian
        before, scale = residuals @ residuals, jnp.mean(jnp.diagonal(curvature))
        identity = jnp.eye(len(flat), dtype=flat.dtype)

        def searching(search: Any) -> jax.Array:
            trial, _, _, after = search
            return (trial < _TRIALS) & ~(after < before)

        def attempt(search: Any) -> Any:
            trial, damping, _, _ = search
            damping = jnp.where(trial > 0, jnp.minimum(damping * _RAISE, _HIGHEST), damping)
            moved = flat - solve_positive(curvature + damping * scale * identity, gradient)
            after = objective.loss(unravel(moved))[0].astype(flat.dtype)
            return trial + 1, damping, moved, jnp.where(jnp.isfinite(after), after, jnp.inf)

        start = (jnp.int32(0), memory, flat, jnp.full_like(before, jnp.inf))
        _, damping, moved, after = jax.lax.while_loop(searching, attempt, start)
        lower = after < before
        failed = ~lower & (damping >= _HIGHEST)
        damping = jnp.where(lower, jnp.maximum(damping * _LOWER, _LOWEST), damping)
        model = unravel(jnp.where(lower, moved, flat))
        return model, damping, before, jnp.where(lower, after, before), failed
