"""Arrays that a module holds but gradient descent does not update: running means, dropout rates."""

from typing import Any, ClassVar

import equinox as eqx
import jax


class Buffer(eqx.Module):
    """An array inside a module that is not a weight: saved with the model, never updated by gradients."""

    is_weight: ClassVar[bool] = False
    value: jax.Array


def trainable(module: Any) -> Any:
    """Return the module's tree with True for weights and False elsewhere, for `equinox.partition`.

    Weights are the floating-point arrays that are not inside a [`Buffer`][populace.nn.Buffer].
    """

    def mark(node: Any) -> Any:
        if isinstance(node, Buffer):
            return jax.tree.map(lambda _: False, node)
        return eqx.is_inexact_array(node)

    return jax.tree.map(mark, module, is_leaf=lambda node: isinstance(node, Buffer))
