"""Division: which graphs are trained on, chosen by and judged by; in folds, or by the set's own split."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.data.splits import fold_of
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.data.labels import PARTS

PROTOCOLS = ("nested", "gin", "split")


class CrossValidation(eqx.Module):
    """Graphs in parts, the same for all members; a member's own is only the number of the fold it tests.

    Attributes:
        place: (G,) int32, the fold each graph is tested in, or the number of its part, -1 for none.
        sizes: graphs in each fold or part.
        protocol: `nested`, `gin` or `split`; `GraphLearner` says what they are.

    """

    place: Any
    sizes: tuple[int, ...] = eqx.field(static=True)
    protocol: str = eqx.field(static=True)

    @classmethod
    def of(cls, data: GraphSet, protocol: str, folds: int) -> Self:
        """Return the division of a set by a protocol.

        Raises:
            UsageError: too few graphs for so many folds, or no split of the set's own.

        """
        if protocol == "split":
            place, count = part_of(data), len(PARTS)
        else:
            y = data.y
            place, count = _folds(y.tobytes(), str(y.dtype), y.shape, folds), folds
        return cls(place, tuple(np.bincount(place[place >= 0], minlength=count).tolist()), protocol)

    def judged(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each part or fold that anybody is judged by: its name, and its graphs."""
        split = self.protocol == "split"
        for number in range(1 if split else 0, len(self.sizes)):
            name = f"part '{PARTS[number]}'" if split else f"fold {number}"
            yield name, np.flatnonzero(self.place == number)

    def part(self, which: str, fold: Any) -> jax.Array:
        """Return of each graph whether it is in `train`, `validation` or `test`, (G,) bool.

        Args:
            which: the part.
            fold: the fold that is tested; the one before it chooses, where one is held out to choose by.

        """
        place = jnp.asarray(self.place)
        if self.protocol == "split":
            return place == PARTS.index(which)
        tested = jnp.asarray(fold).astype(jnp.int32)
        chooses = (tested - 1) % len(self.sizes)
        if which == "test":
            return place == tested
        if which == "validation":
            return place == chooses
        rest = place != tested
        return rest & (place != chooses) if self.protocol == "nested" else rest

    def most(self, training: bool) -> int:
        """Return how many graphs the largest training part has, or the largest part to evaluate."""
        sizes = np.asarray(self.sizes)
        if self.protocol == "split":
            return int(sizes[0] if training else sizes[1:].max())
        if not training:
            return int(sizes.max())
        held = sizes + np.roll(sizes, 1) if self.protocol == "nested" else sizes
        return int(sizes.sum() - held.min())


@lru_cache(maxsize=32)
def _folds(labels: bytes, kind: str, shape: tuple[int, ...], folds: int) -> np.ndarray:
    return fold_of(np.frombuffer(labels, kind).reshape(shape), folds)


def part_of(data: Any) -> np.ndarray:
    """Return which of a set's own parts each graph is in, (G,) int32: its place in `PARTS`, -1 for none.

    Raises:
        UsageError: the set has no split, or one with an empty part.

    """
    found = np.full(data.graphs, -1, np.int32)
    for number, part in enumerate(PARTS):
        graphs = getattr(data, part)
        if graphs is None or not len(graphs):
            raise UsageError(
                f"{data.name} has no {part} graphs; give it all three parts with "
                "with_split(train, validation, test), or set protocol = nested"
            )
        found[graphs] = number
    return found
