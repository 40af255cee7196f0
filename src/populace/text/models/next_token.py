"""What a network expects after prompts: the probability of every token as the next one."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.text.tokenizers.prompts import encoded
from populace.text.tokenizers.tokenizer import Tokenizer

_ROUND = 64  # prompts are filled up to multiples of so many tokens: few lengths, few programs


def next_probabilities(network: Any, tokenizer: Tokenizer, prompts: Sequence[str]) -> np.ndarray:
    """Return the probability of every token after each prompt, (N, V).

    Of a long prompt the last `network.context` tokens count; a context of 0 takes all.
    """
    tokens = [encoded(tokenizer, prompt)[-network.context :] for prompt in prompts]
    widest = max(map(len, tokens), default=0)
    padded = np.zeros((len(tokens), network.context or -(-widest // _ROUND) * _ROUND), np.int32)
    for row, one in zip(padded, tokens):
        row[: len(one)] = one
    last = np.array([len(one) - 1 for one in tokens], np.int32)
    return np.asarray(_after(network, jnp.asarray(padded), jnp.asarray(last)))


@eqx.filter_jit
def _after(network: Any, tokens: jax.Array, last: jax.Array) -> jax.Array:
    return jax.vmap(lambda row, place: jax.nn.softmax(network(row)[place].astype(jnp.float32)))(tokens, last)
