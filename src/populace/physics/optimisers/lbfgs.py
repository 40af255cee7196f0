"""L-BFGS: quasi-Newton steps from the last few gradients, by Optax."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.core.settings import setting
from populace.physics.objective import Model, Objective
from populace.physics.optimisers.solver import Solver


class LBFGS(Solver):
    """Limited-memory BFGS with a line search for the strong Wolfe conditions (`optax.lbfgs`).

    A step whose loss is not below the one before is not taken: the model stays, the memory of gradients is
    dropped, and the next step begins along the gradient; where that does not help either the member stops.

    Source: Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization".
    """

    kind: ClassVar[str] = "l-bfgs"
    remembers_gradients: ClassVar[bool] = True

    memory_size: int = setting(50, low=1, help="gradients that are remembered")
    search_steps: int = setting(25, low=1, help="evaluations of the loss that a line search may take")

    @property
    def _rule(self) -> optax.GradientTransformationExtraArgs:
        search = optax.scale_by_zoom_linesearch(self.search_steps, initial_guess_strategy="one")
        return optax.lbfgs(memory_size=self.memory_size, linesearch=search)

    def init(self, model: Model) -> Any:
        """Return no gradients, and that the last step did not fail."""
        rule: Any = self._rule
        return rule.init(model), jnp.bool(False)

    def again(self, memory: Any, model: Model) -> Any:
        """Forget all gradients, which are of another loss."""
        del memory
        return self.init(model)

    def step(
        self, objective: Objective, model: Model, memory: Any
    ) -> tuple[Model, Any, jax.Array, jax.Array, jax.Array]:
        """Take one step if it lowers the loss."""
        rule: Any = self._rule
        state, failed_before = memory

        def value(model: Any) -> jax.Array:
            return objective.loss(model)[0]

        before, gradient = jax.value_and_grad(value)(model)
        updates, after_state = rule.update(
            gradient,
            state,
            model,
            value=before,
            grad=gradient,
            value_fn=value,
        )
        moved: Any = optax.apply_updates(model, updates)  # pyright: ignore[reportArgumentType]
        after = value(moved)
        lower = jnp.isfinite(after) & (after < before)
        fresh = rule.init(model)

        def choose(new: Any, old: Any) -> Any:
            return jax.tree.map(lambda a, b: jnp.where(lower, a, b), new, old)

        kept = choose(moved, model)
        state = choose(after_state, fresh)
        return kept, (state, ~lower), before, jnp.where(lower, after, before), ~lower & failed_before
