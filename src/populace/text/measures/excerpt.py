"""Excerpt: some of a part's text, token by token, with what a network says of each."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from populace.text.data.windows import cut
from populace.text.models.batches import HELD_OUT


class Excerpt(NamedTuple):
    """Tokens that are predicted, in order, and the network's logits at each.

    Attributes:
        tokens: (n,) numbers.
        logits: (n, V).
        contexts: of each token, the numbers of those that its window shows before it.
        part: name of the part.

    """

    tokens: np.ndarray
    logits: np.ndarray
    contexts: list[np.ndarray]
    part: str

    @property
    def log_probabilities(self) -> np.ndarray:
        """Log probability of every token at each place, (n, V)."""
        shifted = self.logits - self.logits.max(1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))

    @property
    def nats(self) -> np.ndarray:
        """Surprise at each token, -log p, (n,)."""
        return -self.log_probabilities[np.arange(len(self.tokens)), self.tokens]


def excerpt(learner: Any, network: Any, most: int) -> Excerpt:
    """Return the first tokens of the test part, or of what stands for it, `most` of them at most.

    Args:
        learner: a language model with data.
        network: weights.
        most: tokens.

    """
    data, block = learner.data, learner.block
    windows = learner.batches.scored[HELD_OUT.index("test")]
    count = min(max(-(-most // block), 1) * 4, len(windows.starts))  # short documents fill no block
    starts, lengths, context = (
        np.asarray(x[:count]) for x in (windows.starts, windows.lengths, windows.context)
    )
    inputs, targets, _ = jax.device_get(_cut(data.rows(starts, block), lengths))
    logits = np.asarray(_logits(network, inputs), np.float32)
    found = [(i, j) for i in range(count) for j in range(context[i], lengths[i])][:most]
    rows, columns = (np.array(x) for x in zip(*found))
    contexts = [inputs[i, : j + 1] for i, j in found]
    return Excerpt(targets[rows, columns], logits[rows, columns], contexts, data.called("test"))


_cut = jax.jit(cut)


@eqx.filter_jit
def _logits(network: Any, inputs: jax.Array) -> jax.Array:
    return jax.vmap(network)(inputs)
