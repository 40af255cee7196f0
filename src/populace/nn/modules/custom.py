"""User-defined networks: check that one maps examples to the outputs that a learner needs."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError

NetworkFn = Callable[..., Any]
"""(shape of an example, number of outputs, key) -> an Equinox module."""


def check_network(
    build: Callable[[jax.Array], Any],
    use: Callable[[Any, jax.Array], jax.Array],
    inputs: tuple[int, ...],
    outputs: int,
    what: str,
) -> None:
    """Raise a `UsageError` if a network does not map examples (1, *inputs) to (1, outputs).

    Args:
        build: makes the network from a key.
        use: applies it to a batch.
        inputs: shape of one example.
        outputs: required number of outputs per example.
        what: what requires them, for the error message, such as "the data".

    """
    network = eqx.filter_eval_shape(lambda: build(jax.random.key(0)))
    example = jax.ShapeDtypeStruct((1, *inputs), jnp.float32)
    try:
        found = eqx.filter_eval_shape(use, network, example)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:  # JAX's message names neither the network nor the data
        reason = str(error).splitlines()[0]
        raise UsageError(f"the network does not take examples of shape {inputs}: {reason}") from error
    shape = getattr(found, "shape", None)
    if shape != (1, outputs):
        got = f"an output of shape {shape[1:]}" if shape else f"a {type(found).__name__}"
        raise UsageError(f"the network gives {got} per example; {what} needs ({outputs},)")
