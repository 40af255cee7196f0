"""Layers in sequence, which may behave differently in training and at inference."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax

AXIS = "batch"
"""Name of the batch axis, over which layers with `learn` may average."""


@runtime_checkable
class Learns(Protocol):
    """A module that behaves differently in training and at inference.

    `learn(x, key=key, weight=weight)` returns the output in training, and the module with updated buffers. It
    is called under `jax.vmap(..., axis_name="batch")`, on one example; the module that it returns must be
    the same for all examples of the batch. The weight of an example is 1, or 0 if it is padding of the
    batch, which batch statistics must ignore. Without weights all examples count.
    """

    def learn(
        self, x: jax.Array, *, key: jax.Array, weight: jax.Array | None = None
    ) -> tuple[jax.Array, Any]:
        """Return (output, module)."""
        ...


class Sequential(eqx.Module):
    """`f_n(... f_2(f_1(x)))` of layers or plain functions, on one example.

    In training, a layer with a method [`learn`][populace.nn.modules.sequential.Learns] (dropout, batch
    normalization) is called by that method; other layers are simply called. Every layer has its own key.
    """

    layers: tuple[Any, ...]

    def __init__(self, layers: Sequence[Callable[..., Any]]) -> None:
        self.layers = tuple(layers)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the output at inference."""
        for layer in self.layers:
            x = layer(x)
        return x

    def learn(
        self, x: jax.Array, *, key: jax.Array, weight: jax.Array | None = None
    ) -> tuple[jax.Array, "Sequential"]:
        """Return the output in training, and the module with updated buffers."""
        updated = []
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Learns):
                x, layer = layer.learn(x, key=jax.random.fold_in(key, i), weight=weight)
            else:
                x = layer(x)
            updated.append(layer)
        return x, Sequential(updated)

    def activations(self, x: jax.Array) -> dict[str, jax.Array]:
        """Return the output of every layer at inference, by its index and name."""
        found = {}
        for i, layer in enumerate(self.layers):
            x = layer(x)
            named = getattr(layer, "func", layer)  # a partial has the name of its function
            name = getattr(named, "__name__", type(layer).__name__)
            found[f"{i}-{name}"] = x
        return found


def use(network: Any, x: jax.Array) -> jax.Array:
    """Return the outputs of a batch at inference; the first axis of x is the batch.

    Equinox layers that have an inference mode are switched to it.
    """
    return jax.vmap(eqx.nn.inference_mode(network))(x)


def learn(
    network: Any, x: jax.Array, key: jax.Array, weight: jax.Array | None = None
) -> tuple[jax.Array, Any]:
    """Return the outputs of a batch in training, and the network with updated buffers.

    Examples of weight 0, (B,), are padding and do not affect batch statistics. A network with a method
    `learn` is called by it; any other is called as it is, with a key if it takes one.
    """
    keys = jax.random.split(key, x.shape[0])
    if isinstance(network, Learns):

        def one(x: jax.Array, key: jax.Array, weight: Any) -> tuple[jax.Array, Any]:
            return _arrays_of(network.learn(x, key=key, weight=weight))

        # Only arrays can leave a vmap, and the module's are the same for every example.
        out, arrays = jax.vmap(one, out_axes=(0, None), axis_name=AXIS)(x, keys, weight)
        return out, eqx.combine(arrays, network)
    if "key" in inspect.signature(network.__call__).parameters:
        return jax.vmap(lambda x, k: network(x, key=k))(x, keys), network
    return jax.vmap(network)(x), network


def _arrays_of(pair: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
    return pair[0], eqx.filter(pair[1], eqx.is_array)
