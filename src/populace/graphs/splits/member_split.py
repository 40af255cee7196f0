"""The split of the nodes of one member: the graph's own split, or one sampled from the member's seed."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from populace.core.errors import UsageError
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import PARTS, is_known


def nodes_in(graph: Graph, part: str) -> np.ndarray:
    """Return the nodes in a part of the graph's own split; empty if it has no such part."""
    nodes = getattr(graph, part)
    return np.zeros(0, np.int32) if nodes is None else nodes


def fixed(graph: Graph) -> jax.Array:
    """Return the graph's own split, (N,) int8: 1 training, 2 validation, 3 test, 0 none."""
    part = jnp.zeros(graph.nodes, jnp.int8)
    for number, name in enumerate(PARTS, 1):
        part = part.at[nodes_in(graph, name)].set(number)
    return part


@dataclass(frozen=True)
class RandomSplit:
    """A random split of the labeled nodes, sampled by each member from its own seed.

    Args:
        per_class: whether `train` is the number of training nodes per class instead of in total.
        train: number of training nodes.
        validation: number of validation nodes.
        test: number of test nodes; 0 for all remaining.

    """

    per_class: bool
    train: int
    validation: int
    test: int

    def check(self, graph: Graph) -> None:
        """Raise a `UsageError` if the graph has too few labeled nodes."""
        known = graph.y[is_known(graph.y)]
        if self.per_class:
            if not graph.classes:
                raise UsageError(f"{graph.name} has targets instead of classes; set split = random")
            counts = np.bincount(known, minlength=graph.classes)
            if counts.min() < self.train:
                raise UsageError(
                    f"class {counts.argmin()} of {graph.name} has {counts.min()} nodes, "
                    f"fewer than train_nodes {self.train}"
                )
        needed = self._training(graph) + self.validation + self.test
        if needed > len(known):
            raise UsageError(
                f"{graph.name} has {len(known)} labeled nodes, but the split needs {needed}; "
                "lower train_nodes, validation_nodes or test_nodes"
            )

    def draw(self, graph: Graph, key: jax.Array) -> jax.Array:
        """Sample a split, encoded as by `fixed`."""
        order = jax.random.permutation(key, graph.nodes)
        y = jnp.asarray(graph.y)[order]
        known = y >= 0 if y.ndim == 1 else jnp.any(jnp.isfinite(y), axis=1)
        first = jnp.zeros(graph.nodes, bool)
        if self.per_class:
            own = jax.nn.one_hot(y, graph.classes, dtype=jnp.int32)
            rank = jnp.sum((jnp.cumsum(own, 0) - 1) * own, -1)  # earlier nodes of the same class
            first = (y >= 0) & (rank < self.train)
        # Training nodes come first and unlabeled nodes last; otherwise the random order is kept.
        order = order[jnp.argsort(jnp.where(first, 0, jnp.where(known, 1, 2)), stable=True)]
        held = (train := self._training(graph)) + self.validation
        end = held + self.test if self.test else jnp.sum(known)
        place = jnp.arange(graph.nodes)
        part = jnp.select([place < train, place < held, place < end], [1, 2, 3], 0)
        return jnp.zeros(graph.nodes, jnp.int8).at[order].set(part.astype(jnp.int8))

    def _training(self, graph: Graph) -> int:
        return self.train * (graph.classes if self.per_class else 1)
