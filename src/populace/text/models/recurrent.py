"""A stack of LSTMs over embedded tokens; S. Hochreiter and J. Schmidhuber 1997, Y. Bengio et al. 2003."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from populace.nn.modules.dropout import Dropout, dropped
from populace.nn.recurrent.layers import LSTM
from populace.text.models.network import Embedding, LanguageNetwork


class RecurrentNetwork(LanguageNetwork):
    """`logits = W_o dropout(LSTM(... dropout(E[token]) ...)) + b_o`, with dropout before every layer.

    Attributes:
        embedding: (V, embedding width).
        layers: LSTMs of one layer each.
        output: (V, hidden) weights, None where they are the embedding's; always with a bias.
        bias: (V,).

    """

    embedding: Embedding
    layers: list[Any]
    output: jax.Array | None
    bias: jax.Array
    dropout: Dropout

    def __init__(
        self,
        vocabulary: int,
        *,
        width: int,
        hidden: int,
        layers: int,
        dropout: Any = 0.0,
        tied: bool = False,
        key: jax.Array,
    ) -> None:
        token_key, output_key, *keys = jax.random.split(key, 2 + layers)
        self.embedding = Embedding(vocabulary, width, 1 / math.sqrt(width) if tied else 0.1, key=token_key)
        make: Any = LSTM  # type checkers see the fields of the module, not its arguments
        self.layers = [make(hidden if i else width, hidden, key=k) for i, k in enumerate(keys)]
        bound = 1 / math.sqrt(hidden)
        drawn = jax.random.uniform(output_key, (vocabulary, hidden), minval=-bound, maxval=bound)
        self.output = None if tied else drawn
        self.bias = jnp.zeros(vocabulary)
        self.dropout = Dropout(dropout)

    @property
    def context(self) -> int:
        """0: a recurrent network takes any number of tokens."""
        return 0

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Return logits (n, V) of the token after each of (n,) tokens."""
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self._logits(x)

    def learn(self, tokens: jax.Array, key: jax.Array, state: Any = None) -> tuple[jax.Array, Any]:
        """Return outputs (n, hidden) in training, with dropout, and the state of every layer after it."""
        *keys, last = jax.random.split(key, 1 + len(self.layers))
        x, after, rate = self.embedding(tokens), [], self.dropout.rate.value
        for i, (layer, own) in enumerate(zip(self.layers, keys)):
            x = dropped(x, rate, own)
            x, end = layer.scan(x, initial=None if state is None else state[i])
            after.append(end)
        return dropped(x, rate, last), after

    def init_state(self, length: int = 0) -> Any:
        """Return zeros for every layer: its hidden state and its cell, of one size whatever the length."""
        del length
        return [layer.initial_state() for layer in self.layers]

    def step(self, state: Any, token: jax.Array) -> tuple[Any, jax.Array]:
        """Process one token; return the state after it, and the logits of the next one, (V,)."""
        state, logits = self.extend(state, token[None])
        return state, logits[0]

    def extend(self, state: Any, tokens: jax.Array) -> tuple[Any, jax.Array]:
        """Process (n,) tokens at once; return the state after them, and the logits after each, (n, V)."""
        x, after = self.embedding(tokens), []
        for layer, own in zip(self.layers, state):
            x, end = layer.scan(x, initial=own)
            after.append(end)
        return after, self._logits(x)

    @property
    def readout(self) -> tuple[jax.Array, jax.Array]:
        """Weights (V, hidden) and biases (V,) of the logits."""
        return self.embedding.weight if self.output is None else self.output, self.bias

    def _logits(self, h: jax.Array) -> jax.Array:
        weight, bias = self.readout
        return h @ weight.T + bias
