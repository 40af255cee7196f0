"""Layers one after the other, told apart in training and in use."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax

AXIS = "batch"
"""Name of the batch axis that layers with `learn` may average over."""


@runtime_checkable
class Learns(Protocol):
    """A module that does something else in training than in use.

    `learn(x, key=key, weight=weight)` returns the output and the module with its buffers brought up to date.
    It is called under `jax.vmap(..., axis_name="batch")`, on one example; what it returns as the module
    must be the same for all examples of the batch. The weight of an example is 1, or 0 where it only fills
    the batch up: what is pooled over the batch leaves it out. Without weights all examples count.
    """

    def learn(
        self, x: jax.Array, *, key: jax.Array, weight: jax.Array | None = None
    ) -> tuple[jax.Array, Any]:
        """Return (output, module)."""
        ...


class Stack(eqx.Module):
    """`f_n(... f_2(f_1(x)))` of layers or plain functions, on one example.

    A layer with a method [`learn`][populace.nn.modules.sequential.Learns] (dropout, batch normalization) is
    asked that in training; other layers are called as they are. Every layer draws from a key of its own.
    """

    layers: tuple[Any, ...]

    def __init__(self, layers: Sequence[Callable[..., Any]]) -> None:
        self.layers = tuple(layers)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the output as it is in use."""
        for layer in self.layers:
            x = layer(x)
        return x

    def learn(
        self, x: jax.Array, *, key: jax.Array, weight: jax.Array | None = None
    ) -> tuple[jax.Array, "Stack"]:
        """Return the output as it is in training, and the stack with its buffers brought up to date."""
        updated = []
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Learns):
                x, layer = layer.learn(x, key=jax.random.fold_in(key, i), weight=weight)
            else:
                x = layer(x)
            updated.append(layer)
        return x, Stack(updated)

    def activations(self, x: jax.Array) -> dict[str, jax.Array]:
        """Return the output of every layer in use, by its number and name."""
        found = {}
        for i, layer in enumerate(self.layers):
            x = layer(x)
            named = getattr(layer, "func", layer)  # a partial is called what its function is called
            name = getattr(named, "__name__", type(layer).__name__)
            found[f"{i}-{name}"] = x
        return found


def use(network: Any, x: jax.Array) -> jax.Array:
    """Return a batch's outputs as they are in use; x has the batch in front.

    Layers of Equinox that know an inference mode are switched to it.
    """
    return jax.vmap(eqx.nn.inference_mode(network))(x)


def learn(
    network: Any, x: jax.Array, key: jax.Array, weight: jax.Array | None = None
) -> tuple[jax.Array, Any]:
    """Return a batch's outputs as they are in training, and the network after it.

    Examples of weight 0, (B,), fill the batch up: they move no statistics of it. A network with `learn` is
    asked that; another is called, with a key if it takes one.
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
