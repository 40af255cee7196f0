"""A decoder of transformer blocks, as GPT-2 has them: normalization before attention and before the MLP.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"; with linear attention,
Katharopoulos et al. 2020, "Transformers are RNNs".
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.nn.attention.cached import CachedAttention
from populace.nn.attention.linear import LinearAttention
from populace.nn.attention.multi_head import MultiHeadAttention
from populace.nn.attention.rotary import RotaryAttention
from populace.nn.modules.dropout import Dropout, dropped
from populace.text.models.network import Embedding, LanguageNetwork

ATTENTIONS = ("softmax", "linear")
POSITIONS = ("learned", "rotary", "none")
_STD = 0.02


class Block(eqx.Module):
    """`x <- x + attention(norm(x)); x <- x + W_2 gelu(W_1 norm(x))`, each sum's new part with dropout."""

    attention_norm: eqx.nn.LayerNorm
    attention: MultiHeadAttention
    mlp_norm: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    dropout: Dropout

    def __init__(
        self, width: int, heads: int, attend: Any, dropout: Any, bias: bool, layers: int, *, key: jax.Array
    ) -> None:
        attention_key, up_key, down_key = jax.random.split(key, 3)
        self.attention_norm = eqx.nn.LayerNorm(width, use_bias=bias)
        self.mlp_norm = eqx.nn.LayerNorm(width, use_bias=bias)
        attention = MultiHeadAttention(width, heads, attend=attend, bias=bias, key=attention_key)
        keys = jax.random.split(attention_key, 4)
        # What is added to the residual stream is drawn smaller, as there are two such sums in each block.
        into_stream = _STD / math.sqrt(2 * layers)
        inside = ("query_projection", "key_projection", "value_projection", "output_projection")
        for name, own, std in zip(inside, keys, (_STD, _STD, _STD, into_stream)):
            drawn = std * jax.random.normal(own, (width, width))
            attention = eqx.tree_at(lambda a, name=name: getattr(a, name).weight, attention, drawn)
        self.attention = attention
        self.up = _linear(width, 4 * width, bias, _STD, up_key)
        self.down = _linear(4 * width, width, bias, into_stream, down_key)
        self.dropout = Dropout(dropout)

    def __call__(self, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Return (n, width) of (n, width), with dropout if there is a key."""
        keys = (None, None) if key is None else jax.random.split(key)
        x = x + self._dropped(self.attention(jax.vmap(self.attention_norm)(x), causal=True), keys[0])
        return x + self._dropped(jax.vmap(self._mlp)(x), keys[1])

    def extend(self, state: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        """Process the vectors of n tokens, (n, width)."""
        state, attended = self.attention.extend(state, jax.vmap(self.attention_norm)(x))
        x = x + attended
        return state, x + jax.vmap(self._mlp)(x)

    def _mlp(self, x: jax.Array) -> jax.Array:
        return self.down(jax.nn.gelu(self.up(self.mlp_norm(x)), approximate=True))

    def _dropped(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        return x if key is None else dropped(x, self.dropout.rate.value, key)


class Transformer(LanguageNetwork):
    """Embedding, blocks, a last normalization, and logits.

    Weights are drawn from a normal distribution with deviation .02, those that add to the residual stream
    with .02 / sqrt(2 layers), biases are zeros, as in GPT-2. Dropout acts on the embedding and on what is
    added to the stream, not on the weights of attention.

    A sequence takes `O(n width^2)` and attention `O(n^2 width)`, or `O(n width^2 / heads)` if linear; a
    step takes `O(width^2)` and attention `O(block width)`, or `O(width^2 / heads)` if linear.

    Attributes:
        embedding: (V, width).
        positions: (block, width) where they are learned, else None.
        blocks: in sequence.
        norm: before the logits.
        output: None if it is tied to the embedding.
        block: tokens of a window.
        unlimited: whether sequences may be longer than the block.

    """

    embedding: Embedding
    positions: jax.Array | None
    blocks: list[Block]
    norm: eqx.nn.LayerNorm
    output: eqx.nn.Linear | None
    dropout: Dropout
    block: int = eqx.field(static=True)
    unlimited: bool = eqx.field(static=True)

    def __init__(
        self,
        vocabulary: int,
        *,
        block: int,
        layers: int,
        heads: int,
        width: int,
        attention: str = "softmax",
        positions: str = "learned",
        dropout: Any = 0.0,
        tied: bool = True,
        bias: bool = True,
        key: jax.Array,
    ) -> None:
        token_key, place_key, output_key, *keys = jax.random.split(key, 3 + layers)
        linear, rotary = attention == "linear", positions == "rotary"
        attend: Any = LinearAttention() if linear else CachedAttention(block)
        attend = RotaryAttention(attend) if rotary else attend
        self.embedding = Embedding(vocabulary, width, _STD, key=token_key)
        learned = positions == "learned"
        self.positions = _STD * jax.random.normal(place_key, (block, width)) if learned else None
        self.blocks = [Block(width, heads, attend, dropout, bias, layers, key=k) for k in keys]
        self.norm = eqx.nn.LayerNorm(width, use_bias=bias)
        self.output = None if tied else _linear(width, vocabulary, False, _STD, output_key)
        self.dropout = Dropout(dropout)
        self.block, self.unlimited = block, linear and not learned

    @property
    def context(self) -> int:
        """The block; 0 with linear attention and positions that are not learned."""
        return 0 if self.unlimited else self.block

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Return logits (n, V) of the token after each of (n,) tokens."""
        x = self._embedded(tokens)
        for block in self.blocks:
            x = block(x)
        return self._logits(jax.vmap(self.norm)(x))

    def learn(self, tokens: jax.Array, key: jax.Array, state: Any = None) -> tuple[jax.Array, Any]:
        """Return what the last norm gives, (n, width), in training, with dropout; no state is carried."""
        first, *keys = jax.random.split(key, 1 + len(self.blocks))
        x = dropped(self._embedded(tokens), self.dropout.rate.value, first)
        for block, own in zip(self.blocks, keys):
            x = block(x, own)
        return jax.vmap(self.norm)(x), state

    def init_state(self, length: int = 0) -> Any:
        """Return the place of the first token, and the state of every block."""
        return jnp.int32(0), [block.attention.init_state(length=length) for block in self.blocks]

    def step(self, state: Any, token: jax.Array) -> tuple[Any, jax.Array]:
        """Process one token; return the state after it, and the logits of the next one, (V,)."""
        state, logits = self.extend(state, token[None])
        return state, logits[0]

    def extend(self, state: Any, tokens: jax.Array) -> tuple[Any, jax.Array]:
        """Process (n,) tokens at once; return the state after them, and the logits after each, (n, V)."""
        place, inside = state
        x, places = self.embedding(tokens), place + jnp.arange(len(tokens))
        if self.positions is not None:
            known = self.positions[jnp.minimum(places, self.block - 1)]
            x = x + jnp.where((places < self.block)[:, None], known, jnp.nan)
        after = []
        for block, own in zip(self.blocks, inside):
            own, x = block.extend(own, x)
            after.append(own)
        return (place + len(tokens), after), self._logits(jax.vmap(self.norm)(x))

    def _embedded(self, tokens: jax.Array) -> jax.Array:
        x = self.embedding(tokens)
        return x if self.positions is None else x + self.positions[: len(tokens)]

    @property
    def readout(self) -> tuple[jax.Array, None]:
        """Weights (V, width) of the logits, which have no biases."""
        return (self.embedding.weight if self.output is None else self.output.weight), None

    def _logits(self, x: jax.Array) -> jax.Array:
        return x @ self.readout[0].T


def _linear(inputs: int, outputs: int, bias: bool, std: float, key: jax.Array) -> eqx.nn.Linear:
    linear = eqx.filter_eval_shape(eqx.nn.Linear, inputs, outputs, use_bias=bias, key=key)
    linear = eqx.tree_at(lambda m: m.weight, linear, std * jax.random.normal(key, (outputs, inputs)))
    return eqx.tree_at(lambda m: m.bias, linear, jnp.zeros(outputs)) if bias else linear
