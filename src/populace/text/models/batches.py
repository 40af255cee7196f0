"""Which windows a step trains on: each once an epoch, drawn at random, or one after the other in lanes."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.text.data.text_data import PARTS, TextData
from populace.text.data.windows import RandomWindows, Windows

HELD_OUT = PARTS[1:]
SAMPLINGS = ("shuffled", "random", "consecutive")


class Batches(eqx.Module):
    """The windows of the training part, and those that every part is scored by.

    Attributes:
        train: fixed windows where each is read once an epoch in a random order (`shuffled`), all of them
            where a step draws at random, with replacement (`random`), or where each lane begins
            (`consecutive`).
        scored: the windows of validation and test part; an empty part has those of the one before.
        lane: windows per lane; 0 but for `consecutive`.

    """

    train: Any
    scored: tuple[Windows, Windows]
    lane: int = eqx.field(static=True)

    @classmethod
    def of(cls, data: TextData, sampling: str, block: int, batch_size: int, stride: int) -> "Batches":
        """Return the batches of text data.

        Raises:
            UsageError: a block that is longer than every document, or a text too short for its lanes.

        """
        offsets = data.part("train")
        one, two = (Windows.of(data.part(name), block, stride) for name in HELD_OUT)
        scored = (one, two)
        longest = int(np.diff(offsets).max(initial=1)) - 1
        if len(offsets) > 1 and block > longest:
            raise UsageError(
                f"block is {block}, and the longest training document has {longest} tokens to predict; "
                f"lower block to {longest} or less"
            )
        if sampling == "random":
            return cls(RandomWindows.of(offsets, block), scored, 0)
        if sampling == "shuffled":
            return cls(Windows.of(offsets, block), scored, 0)
        total = int(offsets[-1] - offsets[0]) - 1
        lane = total // batch_size
        if len(offsets) > 1 and lane < block:
            raise UsageError(
                f"{batch_size} lanes of a training text of {total} tokens are shorter than a block, {block}; "
                "lower batch_size or block"
            )
        begins = offsets[0] + np.arange(batch_size, dtype=np.int32) * np.int32(lane)
        return cls(begins.astype(np.int32), scored, max(lane // block, 1))

    def epoch_steps(self, batch_size: int) -> int:
        """Return steps per epoch; 0 where windows are drawn at random."""
        if isinstance(self.train, Windows):
            return -(-len(self.train.starts) // batch_size)
        return self.lane

    def order(self, key: jax.Array, batch_size: int) -> jax.Array:
        """Return the windows in a random order, filled up to whole batches by -1."""
        count = len(self.train.starts)
        fill = jnp.full(self.epoch_steps(batch_size) * batch_size - count, -1, jnp.int32)
        return jnp.concatenate([jax.random.permutation(key, count).astype(jnp.int32), fill])

    def lengths(self, chosen: jax.Array) -> jax.Array:
        """Return how many tokens are predicted in windows of an order; none where the order is filled up."""
        return jnp.where(chosen < 0, 0, jnp.asarray(self.train.lengths)[chosen])

    def draw(
        self, key: jax.Array, order: Any, count: jax.Array, batch_size: int, block: int
    ) -> tuple[jax.Array, jax.Array]:
        """Return starts and lengths of the windows of a step, (batch_size,) each.

        Args:
            key: of the step.
            order: of the epoch, as `order` gives it.
            count: steps before this one.
            batch_size: windows.
            block: tokens of a window.

        """
        if isinstance(self.train, RandomWindows):
            return self.train.draw(key, batch_size)
        if isinstance(self.train, Windows):
            place = (count % self.epoch_steps(batch_size)) * batch_size
            chosen = jax.lax.dynamic_slice_in_dim(order, place, batch_size)
            return jnp.asarray(self.train.starts)[chosen], self.lengths(chosen)
        starts = jnp.asarray(self.train) + (count % self.lane) * block
        return starts, jnp.full(batch_size, block)
