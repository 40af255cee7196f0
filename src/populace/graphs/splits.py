"""Which nodes of a graph are trained on, chosen by, and judged by; and folds of many graphs."""

from typing import Any

import numpy as np

from populace.errors import UsageError
from populace.graphs.graph import Graph
from populace.graphs.labels import PARTS, is_known


def public(graph: Graph, train: int, test: Any, validation: int = 500) -> Graph:
    """Return the graph split as the Planetoid sets are published.

    The first `train` nodes are trained on, the next `validation` chosen by, and `test` are listed. Of the
    sets themselves [`planetoid`][populace.graphs.planetoid.planetoid] returns them split like this.

    Raises:
        UsageError: there are not so many nodes before the test nodes.

    Source: Z. Yang, W. W. Cohen, R. Salakhutdinov (2016), Revisiting Semi-Supervised Learning with Graph
    Embeddings, arXiv:1603.08861.

    """
    test = np.asarray(test)
    free = int(test.min()) if test.size else graph.nodes
    if train + validation > free:
        raise UsageError(
            f"{graph.name} has {free} nodes before its first test node, fewer than {train} to train on and "
            f"{validation} to choose by; ask for fewer"
        )
    return graph.with_split(np.arange(train), np.arange(train, train + validation), test)


def random_split(
    graph: Graph, train: int = 140, validation: int = 500, test: int | None = 1000, seed: int = 0
) -> Graph:
    """Return the graph with parts drawn at random from the nodes whose label is known.

    Args:
        graph: with labels.
        train: how many to train on.
        validation: how many to choose by.
        test: how many to judge by; None takes all that are left.
        seed: of the drawing; the same seed draws the same nodes on every machine.

    Raises:
        UsageError: the graph has no labels, or fewer labelled nodes than that.

    """
    nodes = np.random.default_rng(seed).permutation(_labelled(graph))
    return _divided(graph, nodes[:train], nodes[train:], train, validation, test)


def per_class_split(
    graph: Graph, per_class: int = 20, validation: int = 500, test: int | None = 1000, seed: int = 0
) -> Graph:
    """Return the graph with the same number of training nodes of every class; the rest as `random_split`.

    Raises:
        UsageError: the graph has no classes, or one with fewer nodes than that, or too few are left.

    Source: O. Shchur, M. Mumme, A. Bojchevski, S. Günnemann (2018), Pitfalls of Graph Neural Network
    Evaluation, arXiv:1811.05868.

    """
    nodes = np.random.default_rng(seed).permutation(_labelled(graph))
    if not graph.classes:
        raise UsageError(f"{graph.name} has targets, not classes; use random_split")
    labels = graph.y[nodes]
    counts = np.bincount(labels, minlength=graph.classes)
    if counts.min() < per_class:
        few = int(counts.argmin())
        called = f" ({graph.names[few]})" if graph.names else ""
        raise UsageError(
            f"class {few}{called} of {graph.name} has {counts[few]} nodes, fewer than {per_class}"
        )
    chosen = np.zeros(len(nodes), bool)
    for c in range(graph.classes):
        chosen[np.flatnonzero(labels == c)[:per_class]] = True
    return _divided(graph, nodes[chosen], nodes[~chosen], per_class * graph.classes, validation, test)


def fold_of(labels: np.ndarray, folds: int = 10, seed: int = 0) -> np.ndarray:
    """Return in which fold each example is tested, (G,) int32, every class spread evenly.

    They are the folds of scikit-learn's `StratifiedKFold(folds, shuffle=True, random_state=seed)`, by which
    graph classification is compared; for targets (G, K) those of its `KFold` with the same arguments.

    Raises:
        UsageError: there are fewer examples, or fewer of a class, than folds.

    Source: K. Xu, W. Hu, J. Leskovec, S. Jegelka (2019), How Powerful are Graph Neural Networks?,
    arXiv:1810.00826.

    """
    from sklearn.model_selection import KFold, StratifiedKFold

    labels = np.asarray(labels)
    found = np.full(len(labels), -1, np.int32)
    if labels.ndim == 2:
        if not 2 <= folds <= len(labels):
            raise UsageError(f"cannot draw {folds} folds of {len(labels)} examples")
        for fold, (_, test) in enumerate(KFold(folds, shuffle=True, random_state=seed).split(labels)):
            found[test] = fold
        return found
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(
            f"folds are drawn by class; expected whole numbers (G,), got {labels.dtype} {labels.shape}"
        )
    classes, counts = np.unique(labels, return_counts=True)
    if folds < 2 or counts.min(initial=folds) < folds:
        few = (
            f"class {classes[counts.argmin()]} has {counts.min()} examples" if len(counts) else "no examples"
        )
        raise UsageError(f"cannot draw {folds} folds; {few}, and there must be from 2 to that many folds")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
        found[test] = fold
    return found


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


def _labelled(graph: Graph) -> np.ndarray:
    """Return the nodes whose label is known."""
    if graph.y is None:
        raise UsageError(f"{graph.name} has no labels to split by; give it some with with_labels")
    return np.flatnonzero(is_known(graph.y)).astype(np.int32)


def _divided(
    graph: Graph, chosen: np.ndarray, rest: np.ndarray, train: int, validation: int, test: int | None
) -> Graph:
    """Return the graph with the chosen nodes to train on and the others from the rest."""
    for part, count in (("train", train), ("validation", validation), ("test", test or 0)):
        if count < 0:
            raise UsageError(f"{part} must be a number of nodes, got {count}")
    needed = train + validation + (test or 0)
    if needed > (there := len(chosen) + len(rest)):
        raise UsageError(
            f"{graph.name} has {there} labelled nodes, fewer than "
            f"{train} + {validation} + {test or 0} = {needed}; ask for fewer"
        )
    held = rest[:validation]
    judged = rest[validation:] if test is None else rest[validation : validation + test]
    return graph.with_split(np.sort(chosen), np.sort(held), np.sort(judged))
