"""An optimizer that keeps the gradient it is given as its state, and moves nothing."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from populace.optim.optimizers import Optimizer


class Captured(Optimizer):
    """Its state is the last gradient, as it came out of the clipping."""

    kind: ClassVar[str] = "captured"

    def transformation(self, learning_rate: Any) -> optax.GradientTransformation:
        """Return a rule that does nothing but remember."""

        def nothing(tree: Any) -> Any:
            return jax.tree.map(jnp.zeros_like, tree)

        return optax.GradientTransformation(nothing, lambda gradient, *_: (nothing(gradient), gradient))


def gradient_in(opt_state: Any) -> Any:
    """Return the gradient in the state of a gradient step by `Captured`."""
    return opt_state[1]
