"""Windows: pieces of token streams, of `block` tokens to predict at most, that never cross two documents.

A window at s reads tokens s .. s + n - 1 and predicts s + 1 .. s + n. Where a document ends before the window
does, what is beyond counts nowhere: `n` is the window's own length.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError


class Windows(eqx.Module):
    """Fixed windows of a part, in the order of its documents.

    Attributes:
        starts: (W,) int32, places of the first tokens that are read.
        lengths: (W,) int32, how many tokens are predicted.
        context: (W,) int32, how many of these, at the begin, another window has scored already.

    """

    starts: np.ndarray
    lengths: np.ndarray
    context: np.ndarray

    @classmethod
    def of(cls, offsets: np.ndarray, block: int, stride: int = 0) -> "Windows":
        """Return windows that score each token of the documents, but their first, exactly once.

        Args:
            offsets: (D + 1,) where documents begin and end.
            block: tokens predicted in a window at most.
            stride: tokens from a window to the next; fewer than `block` give each token that is scored
                at least `block - stride` before it, where there are so many. 0 for `block`.

        """
        stride = stride or block
        targets = np.diff(offsets) - 1
        # The first window of a document scores up to `block` tokens, each further one `stride`.
        count = np.where(targets > 0, 1 + np.maximum(-(-(targets - block) // stride), 0), 0)
        document = np.repeat(np.arange(len(count)), count)
        index = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        starts = offsets[document] + index * stride
        lengths = np.minimum(block, targets[document] - index * stride)
        context = np.where(index > 0, block - stride, 0)
        return cls(*(x.astype(np.int32) for x in (starts, lengths, context)))


class RandomWindows(eqx.Module):
    """All windows of a part that begin at any token and fill the block, or are a whole shorter document.

    Attributes:
        starts: (D,) int32, where documents begin.
        lengths: (D,) int32, tokens predicted in their windows.
        before: (D + 1,) int32, windows of earlier documents.

    """

    starts: np.ndarray
    lengths: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, offsets: np.ndarray, block: int) -> "RandomWindows":
        """Return the windows of documents."""
        targets = np.diff(offsets) - 1
        used = targets > 0
        count = np.maximum(targets[used] - block + 1, 1)
        before = np.concatenate([[0], np.cumsum(count)])
        if before[-1] >= 2**31:
            raise UsageError(
                f"a text of {before[-1]:,} tokens is too long to draw windows from; take shuffled"
            )
        lengths = np.minimum(targets[used], block)
        return cls(*(x.astype(np.int32) for x in (offsets[:-1][used], lengths, before)))

    def draw(self, key: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
        """Return starts and lengths of windows, (count,) each, every one as likely as any other."""
        before = jnp.asarray(self.before)
        drawn = jax.random.randint(key, (count,), 0, before[-1])
        document = jnp.searchsorted(before, drawn, side="right") - 1
        return jnp.asarray(self.starts)[document] + drawn - before[document], jnp.asarray(self.lengths)[
            document
        ]


def rows(tokens: Any, starts: np.ndarray, block: int) -> np.ndarray:
    """Return the tokens of windows, (W, block + 1), on the host; beyond the text its last one again.

    Args:
        tokens: what NumPy's indices read: an array on the host, or a file of tokens.
        starts: (W,) places of the first tokens.
        block: tokens predicted in a window.

    """
    places = np.asarray(starts, np.int64)[:, None] + np.arange(block + 1)
    return tokens[np.minimum(places, len(tokens) - 1)]


def read(
    tokens: jax.Array, starts: jax.Array, lengths: jax.Array, block: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return inputs (B, block), targets (B, block), int32, and weights (B, block): 1 inside the windows.

    Beyond a window inputs and targets are 0, and weigh nothing.
    """
    places = starts[:, None] + jnp.arange(block + 1)
    return cut(tokens[jnp.minimum(places, len(tokens) - 1)], lengths)


def cut(found: jax.Array, lengths: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return inputs, targets and weights, as `read` does, of the tokens (B, block + 1) of windows."""
    found = jnp.asarray(found).astype(jnp.int32)
    inside = jnp.arange(found.shape[1] - 1) < lengths[:, None]
    return jnp.where(inside, found[:, :-1], 0), jnp.where(inside, found[:, 1:], 0), inside.astype(jnp.float32)


def scored(weight: jax.Array, context: Any, real: Any) -> jax.Array:
    """Return weights (B, block): 0 as well where another window has scored the token already.

    Args:
        weight: (B, block) 1 inside the windows, as `cut` gives it.
        context: (B,) how many tokens of a window, at its begin, another one has scored.
        real: (B,) how much each window weighs; 0 for one that fills up a batch.

    """
    new = jnp.arange(weight.shape[1]) >= jnp.asarray(context)[:, None]
    return weight * new * jnp.asarray(real)[:, None]
