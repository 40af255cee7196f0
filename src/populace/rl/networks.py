"""Networks of agents: observation in, one number per action out; built from Equinox's layers."""

import equinox as eqx
import jax
import jax.numpy as jnp


class MLP(eqx.Module):
    """A multilayer perceptron with ReLU between its layers, over flattened observations.

    `h_0 = vec(x); h_i = relu(W_i h_{i-1} + b_i); y = W_n h_{n-1} + b_n`
    """

    layers: list[eqx.nn.Linear]

    def __init__(self, inputs: int, hidden: tuple[int, ...], outputs: int, *, key: jax.Array) -> None:
        sizes = (inputs, *hidden, outputs)
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = [eqx.nn.Linear(i, o, key=k) for i, o, k in zip(sizes, sizes[1:], keys)]

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map an observation of any shape to (outputs,)."""
        x = jnp.ravel(x).astype(jnp.float32)
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)
