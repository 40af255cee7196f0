"""Networks of the user's own: whether one takes the examples and gives the outputs that a learner needs."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError

NetworkFn = Callable[..., Any]
"""Makes an Equinox module of the shape of an example, the number of outputs for it, and a key."""


def check_network(
    build: Callable[[jax.Array], Any],
    use: Callable[[Any, jax.Array], jax.Array],
    inputs: tuple[int, ...],
    outputs: int,
    what: str,
) -> None:
    """Raise a `UsageError` where a network does not map examples (1, *inputs) to (1, outputs).

    Args:
        build: makes the network of a key.
        use: applies it to a batch.
        inputs: shape of one example.
        outputs: numbers that it must give for each.
        what: who needs them, such as "the data".

    """
    network = eqx.filter_eval_shape(lambda: build(jax.random.key(0)))
    example = jax.ShapeDtypeStruct((1, *inputs), jnp.float32)
    try:
        found = eqx.filter_eval_shape(use, network, example)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:  # what JAX says of shapes names neither network nor data
        reason = str(error).splitlines()[0]
        raise UsageError(f"the network does not take examples of shape {inputs}: {reason}") from error
    shape = getattr(found, "shape", None)
    if shape != (1, outputs):
        got = f"an output of shape {shape[1:]}" if shape else f"a {type(found).__name__}"
        raise UsageError(f"the network gives {got} per example; {what} needs ({outputs},)")
