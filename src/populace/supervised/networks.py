"""Networks as settings: what is built for inputs and outputs of a given shape."""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.settings import Settings, setting
from populace.nn.modules.activations import ACTIVATIONS
from populace.nn.modules.batch_norm import BatchNorm
from populace.nn.modules.dropout import Dropout
from populace.nn.modules.sequential import Sequential

NORMS = ("none", "batch", "layer")


class Network(Settings):
    """A plan of a network; [`build`][populace.supervised.networks.Network.build] makes one."""

    @abstractmethod
    def build(self, inputs: tuple[int, ...], outputs: int, *, key: jax.Array) -> Any:
        """Return a module that maps one example of shape `inputs` to (outputs,)."""


class MLP(Network):
    """A multilayer perceptron: `h_0 = vec(x); h_i = drop(act(norm(W_i h_{i-1} + b_i))); y = W h + b`.

    Without hidden layers it is linear, or logistic, regression. Weights are drawn as He et al. 2015
    ("Delving Deep into Rectifiers") have it: normal with variance 2 / inputs.
    """

    kind: ClassVar[str] = "mlp"
    hidden_sizes: tuple[int, ...] = setting((64, 64), low=1, help="units of each hidden layer; [] for none")
    activation: str = setting("relu", choices=tuple(ACTIVATIONS), help="hidden activation")
    norm: str = setting("none", choices=NORMS, help="normalization before each activation")
    dropout: float = setting(0.0, low=0, high=0.99, help="share of hidden units dropped in training")

    def build(self, inputs: tuple[int, ...], outputs: int, *, key: jax.Array) -> Sequential:
        """Return the network."""
        layers: list[Any] = [jnp.ravel]
        size = math.prod(inputs)
        for i, units in enumerate(self.hidden_sizes):
            # Batch normalization takes any bias off again: its gradient would be nothing but rounding.
            bias = self.norm != "batch"
            layers.append(dense(size, units, bias=bias, key=jax.random.fold_in(key, i)))
            layers += [*norm_of(self.norm, units), ACTIVATIONS[self.activation], Dropout(self.dropout)]
            size = units
        return Sequential(
            [*layers, dense(size, outputs, key=jax.random.fold_in(key, len(self.hidden_sizes)))]
        )


def dense(inputs: int, outputs: int, *, bias: bool = True, key: jax.Array) -> eqx.nn.Linear:
    """Return a dense layer with He's initial weights, and a bias of zero if there is one."""
    # Its shape alone: what it would draw by the same key is not kept.
    layer = eqx.filter_eval_shape(eqx.nn.Linear, inputs, outputs, use_bias=bias, key=key)
    weight = jax.nn.initializers.he_normal(in_axis=-1, out_axis=-2)(key, (outputs, inputs))
    layer = eqx.tree_at(lambda n: n.weight, layer, weight)
    return eqx.tree_at(lambda n: n.bias, layer, jnp.zeros(outputs)) if bias else layer


def norm_of(name: str, channels: int) -> list[Any]:
    """Return the normalization of that name over the last axis, or none."""
    if name == "batch":
        return [BatchNorm(channels)]
    return [eqx.nn.LayerNorm(channels)] if name == "layer" else []
