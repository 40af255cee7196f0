"""Splits of the nodes of a graph into training, validation and test parts."""

from typing import Any

import numpy as np

from populace.core.errors import UsageError
from populace.data.splits import first_of_each_class
from populace.graphs.data.graph import Graph
from populace.graphs.data.labels import is_known


def public(graph: Graph, train: int, test: Any, validation: int = 500) -> Graph:
    """Return the graph with a public split like those of the Planetoid data sets.

    The first `train` nodes are for training, the next `validation` for validation, and `test` lists the test
    nodes. [`planetoid`][populace.graphs.planetoid] already returns the data sets with this split.

    Raises:
        UsageError: fewer than `train + validation` nodes before the first test node.

    Source: Z. Yang, W. W. Cohen, R. Salakhutdinov (2016), Revisiting Semi-Supervised Learning with Graph
    Embeddings, arXiv:1603.08861.

    """
    test = np.asarray(test)
    free = int(test.min()) if test.size else graph.nodes
    if train + validation > free:
        raise UsageError(
            f"{graph.name} has {free} nodes before its first test node, fewer than {train} for training and "
            f"{validation} for validation; ask for fewer"
        )
    return graph.with_split(np.arange(train), np.arange(train, train + validation), test)


def random_split(
    graph: Graph, train: int = 140, validation: int = 500, test: int | None = 1000, seed: int = 0
) -> Graph:
    """Return the graph with a random split of its labeled nodes.

    Args:
        graph: a graph with labels.
        train: number of training nodes.
        validation: number of validation nodes.
        test: number of test nodes; None takes all remaining.
        seed: random seed; the same seed gives the same split on every machine.

    Raises:
        UsageError: a graph without labels, or with too few labeled nodes.

    """
    nodes = np.random.default_rng(seed).permutation(_labeled(graph))
    return _divided(graph, nodes[:train], nodes[train:], train, validation, test)


def per_class_split(
    graph: Graph, per_class: int = 20, validation: int = 500, test: int | None = 1000, seed: int = 0
) -> Graph:
    """Return the graph with `per_class` random training nodes of every class; the rest as by `random_split`.

    Raises:
        UsageError: a graph without classes, a class with too few nodes, or too few nodes left over.

    Source: O. Shchur, M. Mumme, A. Bojchevski, S. Günnemann (2018), Pitfalls of Graph Neural Network
    Evaluation, arXiv:1811.05868.

    """
    nodes = np.random.default_rng(seed).permutation(_labeled(graph))
    if not graph.classes:
        raise UsageError(f"{graph.name} has targets instead of classes; use random_split")
    labels = graph.y[nodes]
    counts = np.bincount(labels, minlength=graph.classes)
    if counts.min() < per_class:
        few = int(counts.argmin())
        called = f" ({graph.names[few]})" if graph.names else ""
        raise UsageError(
            f"class {few}{called} of {graph.name} has {counts[few]} nodes, fewer than {per_class}"
        )
    chosen = first_of_each_class(labels, np.full(graph.classes, per_class))
    return _divided(graph, nodes[chosen], nodes[~chosen], per_class * graph.classes, validation, test)


def _labeled(graph: Graph) -> np.ndarray:
    """Return the labeled nodes."""
    if graph.y is None:
        raise UsageError(f"{graph.name} has no labels; add them with with_labels")
    return np.flatnonzero(is_known(graph.y)).astype(np.int32)


def _divided(
    graph: Graph, chosen: np.ndarray, rest: np.ndarray, train: int, validation: int, test: int | None
) -> Graph:
    """Return the graph with the chosen training nodes, and the other parts taken from the rest."""
    for part, count in (("train", train), ("validation", validation), ("test", test or 0)):
        if count < 0:
            raise UsageError(f"{part} must be at least 0 nodes, got {count}")
    needed = train + validation + (test or 0)
    if needed > (there := len(chosen) + len(rest)):
        raise UsageError(
            f"{graph.name} has {there} labeled nodes, fewer than "
            f"{train} + {validation} + {test or 0} = {needed}; ask for fewer"
        )
    held = rest[:validation]
    judged = rest[validation:] if test is None else rest[validation : validation + test]
    return graph.with_split(np.sort(chosen), np.sort(held), np.sort(judged))
