"""Splits: the sizes asked for, nobody twice, only known labels, and clear words where there are too few."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from populace.core.errors import UsageError
from populace.data.splits import fold_of
from populace.graphs import Graph
from populace.graphs.splits.node_splits import per_class_split, public, random_split

LABELS = np.repeat([0, 1, 2, -1], [40, 30, 20, 10])
GRAPH = Graph.of([], [], 100, y=LABELS, names=("a", "b", "c"))


def test_random_splits_have_the_sizes_and_no_node_twice() -> None:
    graph = random_split(GRAPH, 10, 20, 30, seed=1)
    parts = [graph.train, graph.validation, graph.test]
    assert [len(part) for part in parts] == [10, 20, 30]
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == 60
    assert (LABELS[together] >= 0).all()
    np.testing.assert_array_equal(random_split(GRAPH, 10, 20, 30, seed=1).train, graph.train)
    assert set(random_split(GRAPH, 10, 20, 30, seed=2).train) != set(graph.train)
    assert len(random_split(GRAPH, 10, 20, None).test) == 60


def test_every_class_has_as_many_training_nodes() -> None:
    graph = per_class_split(GRAPH, 15, 10, None, seed=3)
    assert np.bincount(LABELS[graph.train]).tolist() == [15, 15, 15]
    assert (len(graph.validation), len(graph.test)) == (10, 35)
    draws = [per_class_split(GRAPH, 5, 10, 20, seed=s).train for s in range(200)]
    assert len({tuple(draw) for draw in draws}) == 200
    counts = np.bincount(np.concatenate(draws), minlength=100)
    assert counts[40:70].std() < 12  # of 33 on average: no node is preferred


def test_the_public_split_is_first_next_and_listed() -> None:
    graph = public(GRAPH, 3, [50, 40], validation=4)
    assert graph.train.tolist() == [0, 1, 2]
    assert graph.validation.tolist() == [3, 4, 5, 6]
    assert graph.test.tolist() == [50, 40]


def test_too_few_nodes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"graph has 90 labeled nodes, fewer than 50 \+ 40 \+ 10 = 100"):
        random_split(GRAPH, 50, 40, 10)
    with pytest.raises(UsageError, match=r"class 2 \(c\) of graph has 20 nodes, fewer than 21"):
        per_class_split(GRAPH, 21, 1, 1)
    with pytest.raises(UsageError, match="has 90 labeled nodes, fewer than 60"):
        per_class_split(GRAPH, 20, 20, 20)
    with pytest.raises(UsageError, match="has 40 nodes before its first test node, fewer than 30"):
        public(GRAPH, 30, [50, 40], validation=20)
    with pytest.raises(UsageError, match="the training part of graph is empty"):
        random_split(GRAPH, 0, 1, 1)
    with pytest.raises(UsageError, match="validation must be at least 0 nodes, got -1"):
        random_split(GRAPH, 1, -1, 1)


def test_graphs_without_labels_are_refused() -> None:
    with pytest.raises(UsageError, match="graph has no labels; add them"):
        random_split(Graph.of([], [], 3))
    with pytest.raises(UsageError, match="graph has targets instead of classes"):
        per_class_split(Graph.of([], [], 3, y=np.ones((3, 2))))


def test_folds_are_those_of_scikit_learn() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [25, 35, 40]))
    found = fold_of(labels, 5, seed=7)
    splitter = StratifiedKFold(5, shuffle=True, random_state=7)
    for i, (_, test) in enumerate(splitter.split(labels, labels)):
        np.testing.assert_array_equal(np.flatnonzero(found == i), test)


def test_folds_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot draw 3 folds; class 1 has 2 examples"):
        fold_of(np.array([0, 0, 0, 1, 1]), 3)
    with pytest.raises(UsageError, match="cannot draw 1 folds"):
        fold_of(np.array([0, 0, 1, 1]), 1)
    with pytest.raises(UsageError, match="folds are drawn by class"):
        fold_of(np.array([0.5, 1.5]))
