"""LanguageNetwork: from tokens to what comes next, over a whole sequence or token by token."""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

_ONE_HOT = 512
"""Vocabularies up to which an embedding is a product with one-hot rows: its gradient needs no scatter."""


class LanguageNetwork(eqx.Module):
    """A causal network: the logits at a place depend on the tokens up to it alone.

    `step` gives at each token what the whole pass gives there, as long as `unlimited` or up to `context`.
    """

    @property
    @abstractmethod
    def context(self) -> int:
        """Tokens that the whole pass takes at most; 0 for any number."""

    @abstractmethod
    def learn(self, tokens: jax.Array, key: jax.Array, state: Any = None) -> tuple[jax.Array, Any]:
        """Return what the logits are linear in, (n, d), in training, with dropout, and the state after it.

        Args:
            tokens: (n,), int32.
            key: of the dropout.
            state: of a recurrent network before the tokens; None for the start of a text.

        """

    @property
    @abstractmethod
    def readout(self) -> tuple[jax.Array, jax.Array | None]:
        """Weights (V, d) and biases (V,), or None, of the logits."""

    @abstractmethod
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Return logits (n, V) of the token after each of (n,) tokens."""

    @abstractmethod
    def init_state(self, length: int = 0) -> Any:
        """Return the state before the first of `length` tokens, for `step`; 0 for `context`."""

    @abstractmethod
    def extend(self, state: Any, tokens: jax.Array) -> tuple[Any, jax.Array]:
        """Process (n,) tokens at once; return the state after them, and the logits after each, (n, V)."""

    @abstractmethod
    def step(self, state: Any, token: jax.Array) -> tuple[Any, jax.Array]:
        """Process one token; return the state after it, and the logits of the next one, (V,)."""


class Embedding(eqx.Module):
    """`x_t = W[token_t]`; its weight may be the output's too (Press and Wolf 2017).

    Attributes:
        weight: (V, width), drawn from a normal distribution with deviation `std`.

    """

    weight: jax.Array

    def __init__(self, vocabulary: int, width: int, std: float, *, key: jax.Array) -> None:
        self.weight = std * jax.random.normal(key, (vocabulary, width))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Return the vectors (..., width) of tokens (...)."""
        vocabulary = len(self.weight)
        if vocabulary <= _ONE_HOT:
            return jax.nn.one_hot(tokens, vocabulary, dtype=self.weight.dtype) @ self.weight
        return self.weight[tokens]


def nats(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Return `-log softmax(logits)[target]` of each target, in nats."""
    classes = jnp.arange(logits.shape[-1])
    # A sum over a comparison, not a gather: its gradient would be a scatter, which is slow on CPU.
    own = jnp.sum(jnp.where(classes == targets[..., None], logits, 0), -1)
    return jax.nn.logsumexp(logits, -1) - own
