"""Self-scaled quasi-Newton rules: a whole inverse Hessian that is scaled before each update, and kept."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from populace.core.settings import setting
from populace.physics.objective import Model, Objective
from populace.physics.optimisers.solver import Solver
from populace.physics.optimisers.wolfe import strong_wolfe

_CURVED = 1e-12
_LEAST = 1e-12
"""Of b h - 1, which rounding may make negative."""


class Memory(NamedTuple):
    """What is remembered of the loss.

    Attributes:
        inverse: of the Hessian, H (P, P).
        value: the loss at the model.
        gradient: of the loss there, g (P,).
        direction: -H g (P,).
        fresh: whether the inverse knows nothing yet, and is a multiple of the identity.
        current: whether value, gradient and direction are those of the loss as it is now.

    """

    inverse: jax.Array
    value: jax.Array
    gradient: jax.Array
    direction: jax.Array
    fresh: jax.Array
    current: jax.Array


class SelfScaled(Solver):
    r"""Quasi-Newton iterations, several in a step, with a line search for the strong Wolfe conditions.

    For the step s, the change y of the gradient and the inverse Hessian H,

        H <- (H - H y y^T H / y^T H y + phi v v^T) / tau + s s^T / y^T s
        v = (y^T H y)^(1/2) (s / y^T s - H y / y^T H y)

    where a rule says what tau and phi are. It costs a product with H and a pass over it, both P^2 for P
    weights. An iteration that does not lower the loss is not taken; the step ends, and the next begins along
    the gradient. Where the loss becomes another, as points are drawn anew, the model is evaluated again and H
    stays: it is positive definite, so its direction is downhill on any loss.
    """

    remembers_gradients: ClassVar[bool] = True

    iterations: int = setting(10, low=1, help="quasi-Newton iterations of a step")
    search_steps: int = setting(25, low=1, help="evaluations of the loss that a line search may take")

    @abstractmethod
    def factors(self, b: jax.Array, h: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
        """Return tau and phi for b = s^T B s / y^T s, h = y^T H y / y^T s and so many weights; B is 1 / H."""

    def init(self, model: Model) -> Any:
        """Return that nothing is known."""
        flat = ravel_pytree(model)[0]
        nothing = jnp.zeros_like(flat)
        identity = jnp.eye(len(flat), dtype=flat.dtype)
        return Memory(identity, flat[0] * 0, nothing, nothing, jnp.bool(True), jnp.bool(False))

    def again(self, memory: Any, model: Model) -> Any:
        """Keep the inverse Hessian, and look at the loss anew."""
        del model
        return memory._replace(current=jnp.bool(False))

    def step(
        self, objective: Objective, model: Model, memory: Any
    ) -> tuple[Model, Any, jax.Array, jax.Array, jax.Array]:
        """Take some iterations, each of which lowers the loss."""
        flat, unravel = ravel_pytree(model)

        def value_and_grad(flat: jax.Array) -> tuple[jax.Array, jax.Array]:
            return jax.value_and_grad(lambda x: objective.loss(unravel(x))[0].astype(x.dtype))(flat)

        def look(memory: Memory) -> Memory:
            value, gradient = value_and_grad(flat)
            length = 1 / jnp.maximum(jnp.linalg.norm(gradient), 1e-30)
            begin = length * jnp.eye(len(flat), dtype=flat.dtype)
            inverse = jnp.where(memory.fresh, begin, memory.inverse)
            return Memory(inverse, value, gradient, -inverse @ gradient, memory.fresh, jnp.bool(True))

        def going(carry: Any) -> jax.Array:
            number, _, memory = carry
            return (number < self.iterations) & memory.current

        def iterate(carry: Any) -> Any:
            number, flat, memory = carry
            found = strong_wolfe(
                value_and_grad, flat, memory.direction, memory.value, memory.gradient, self.search_steps
            )
            lower = found.value < memory.value
            moved = jnp.where(lower, found.length * memory.direction, 0.0)
            return number + 1, flat + moved, self._learned(memory, found, moved, lower)

        # Rounding takes the symmetry of H away, and in the end the descent.
        memory = memory._replace(inverse=(memory.inverse + memory.inverse.T) / 2)
        memory = jax.lax.cond(memory.current, lambda m: m, look, memory)
        before, fresh = memory.value, memory.fresh
        _, flat, memory = jax.lax.while_loop(going, iterate, (jnp.int32(0), flat, memory))
        failed = fresh & ~(memory.value < before)
        return unravel(flat), memory, before, memory.value, failed

    def _learned(self, memory: Memory, found: Any, moved: jax.Array, lower: jax.Array) -> Memory:
        """Return what is known after an iteration."""
        gradient = found.gradient
        change = gradient - memory.gradient
        product = memory.inverse @ gradient
        # H y from what is there already, for the direction is -H g; B s is -a g for the length a.
        turned = product + memory.direction
        curvature = -found.length * (memory.gradient @ moved)
        along = change @ moved
        curved = lower & (along > _CURVED * jnp.linalg.norm(change) * jnp.linalg.norm(moved))
        # The first inverse has the length of a first step; now there is one of the curvature.
        size = jnp.where(memory.fresh, along / (change @ turned), 1.0)
        b, h = curvature / (size * along), size * (change @ turned) / along
        tau, phi = self.factors(b, h, len(moved))
        update = rank_two(moved, size * turned, along, h, tau, phi)
        update = update._replace(scale=size * update.scale)
        nothing = jnp.zeros_like(moved)
        still = Update(jnp.ones((), moved.dtype), nothing, nothing, nothing, nothing)
        update = jax.tree.map(lambda new, old: jnp.where(curved, new, old), update, still)
        direction = -update.times(product, gradient)
        return Memory(
            inverse=update.of(memory.inverse),
            value=jnp.where(lower, found.value, memory.value),
            gradient=gradient,
            direction=direction,
            fresh=~lower | (memory.fresh & ~curved),
            current=lower & (direction @ gradient < 0),
        )


class Update(NamedTuple):
    """A change of an inverse Hessian by rank two, H <- scale H + s left^T + w right^T, with vectors (P,)."""

    scale: jax.Array
    s: jax.Array
    left: jax.Array
    w: jax.Array
    right: jax.Array

    def of(self, inverse: jax.Array) -> jax.Array:
        """Return the new inverse, (P, P)."""
        return self.scale * inverse + (self.s[:, None] * self.left + self.w[:, None] * self.right)

    def times(self, product: jax.Array, vector: jax.Array) -> jax.Array:
        """Return the new inverse times a vector x (P,), from H x."""
        return self.scale * product + self.s * (self.left @ vector) + self.w * (self.right @ vector)


def rank_two(s: jax.Array, w: jax.Array, along: jax.Array, h: jax.Array, tau: Any, phi: Any) -> Update:
    """Return the update of the class above for w = H y, along = y^T s and h = y^T w / y^T s."""
    across = -phi / (tau * along)
    of_s = (phi * h / tau + 1) / along
    of_w = (phi - 1) / (tau * h * along)
    return Update(1 / tau, s, of_s * s + across * w, w, across * s + of_w * w)


class SelfScaledBFGS(SelfScaled):
    """BFGS whose approximate Hessian shrinks before an update where it was too large along the step.

        tau = min(1, 1 / b),   phi = 1

    with b = s^T B s / y^T s. Sources: Al-Baali 1998, "Numerical experience with a class of self-scaling
    quasi-Newton algorithms"; Urban, Stefanou and Pons 2025, "Unveiling the optimization process of physics
    informed neural networks: how accurate and competitive can PINNs be?".
    """

    kind: ClassVar[str] = "self-scaled-bfgs"

    def factors(self, b: jax.Array, h: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
        """Return min(1, 1 / b) and 1."""
        del h, size
        return jnp.minimum(1.0, 1 / b), jnp.ones_like(b)


class SelfScaledBroyden(SelfScaled):
    r"""Broyden's family between BFGS and DFP and beyond, which also shrinks a Hessian that is too large.

    With b = s^T B s / y^T s, h = y^T H y / y^T s and a = b h - 1, which is 0 where B is right along the step,

        rho = min(1, h (1 - (a / (a + 1))^(1/2))) = min(1, 1 / (b (1 + (a / (a + 1))^(1/2))))
        theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b)),     sigma = 1 + a theta
        phi = (1 - theta) / sigma
        tau = min(1, 1 / b) min(sigma^(-1/(P-1)), 1 / theta)       where theta > 0
        tau = min(min(1, 1 / b) sigma^(-1/(P-1)), sigma)           elsewhere

    Sources: Al-Baali and Khalfan 2005, "Wide interval for efficient self-scaling quasi-Newton algorithms";
    Urban, Stefanou and Pons 2025, as above.
    """

    kind: ClassVar[str] = "self-scaled-broyden"

    def factors(self, b: jax.Array, h: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
        """Return tau and phi."""
        a = jnp.maximum(b * h - 1, _LEAST)
        rho = jnp.minimum(1.0, 1 / (b * (1 + jnp.sqrt(a / (a + 1)))))
        theta = jnp.maximum((rho - 1) / a, jnp.minimum(1 / rho, (1 - b) / b))
        sigma = 1 + a * theta
        power = sigma ** (-1 / max(size - 1, 1))
        shrunk = jnp.minimum(1.0, 1 / b)
        positive = theta > 0
        above = shrunk * jnp.minimum(power, 1 / jnp.where(positive, theta, 1.0))
        return jnp.where(positive, above, jnp.minimum(shrunk * power, sigma)), (1 - theta) / sigma
