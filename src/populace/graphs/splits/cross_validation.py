"""Cross-validation folds of a graph set, or the set's own split into training, validation and test graphs."""

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
    """A division of graphs shared by all members; each member tests one fold of it.

    Attributes:
        place: (G,) int32, the fold in which each graph is tested, or the index of its part, -1 for none.
        sizes: number of graphs in each fold or part.
        protocol: `nested`, `gin` or `split`; see `GraphLearner`.

    """

    place: Any
    sizes: tuple[int, ...] = eqx.field(static=True)
    protocol: str = eqx.field(static=True)

    @classmethod
    def of(cls, data: GraphSet, protocol: str, folds: int) -> Self:
        """Divide a graph set by a protocol.

        Raises:
            UsageError: fewer graphs than folds, or `split` for a set without a split.

        """
        if protocol == "split":
            place, count = part_of(data), len(PARTS)
        else:
            y = data.y
            place, count = _folds(y.tobytes(), str(y.dtype), y.shape, folds), folds
        return cls(place, tuple(np.bincount(place[place >= 0], minlength=count).tolist()), protocol)

    def judged(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name and the graphs of each part or fold that some member is evaluated on."""
        split = self.protocol == "split"
        for number in range(1 if split else 0, len(self.sizes)):
            name = f"part '{PARTS[number]}'" if split else f"fold {number}"
            yield name, np.flatnonzero(self.place == number)

    def part(self, which: str, fold: Any) -> jax.Array:
        """Return (G,) bool: whether each graph is in a part.

        Args:
            which: `train`, `validation` or `test`.
            fold: index of the test fold; under `nested`, the fold before it is the validation fold.

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
        """Return the size of the largest training part, or of the largest part to evaluate."""
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
    """Return the index in `PARTS` of each graph's part in the set's own split, (G,) int32, -1 for none.

    Raises:
        UsageError: the set has no split, or a part is empty.

    """
    found = np.full(data.graphs, -1, np.int32)
    for number, part in enumerate(PARTS):
        graphs = getattr(data, part)
        if graphs is None or not len(graphs):
            raise UsageError(
                f"{data.name} has no {part} graphs; split it with with_split(train, validation, test), "
                "or set protocol = nested"
            )
        found[graphs] = number
    return found
