"""What a task of graphs says of itself before anything is trained."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.graphs import Graph, GraphSet
from populace.graphs.learners.graph_classifier import GraphClassifier


def rings(width: int = 2) -> GraphSet:
    """Return six rings of three to eight nodes, of two classes."""
    graphs = []
    for n in range(3, 9):
        here, there = np.arange(n), (np.arange(n) + 1) % n
        ends = np.concatenate([here, there]), np.concatenate([there, here])
        graphs.append(Graph.of(*ends, directed=False, x=np.ones((n, width), np.float32)))
    return GraphSet.of(graphs, [0, 1, 0, 1, 0, 1], name="rings")


def test_seeds_test_one_fold_after_the_other_and_begin_again():
    learner = GraphClassifier(folds=3)
    assert [learner.for_seed(seed).fold for seed in range(5)] == [0, 1, 2, 0, 1]
    assert GraphClassifier(folds=3, protocol="split").for_seed(2).fold == 0


def test_the_protocol_says_what_the_tested_fold_is_for():
    nested, gin, split = (GraphClassifier(folds=4, protocol=p) for p in ("nested", "gin", "split"))
    assert [learner.independent_test for learner in (nested, gin, split)] == [True, False, True]
    assert [learner.test_to_train for learner in (nested, gin, split)] == [1 / 3, 1 / 3, 0]
    assert nested.test_description(9) == "each member's tested fold of 4"
    assert gin.test_description(9) == "each member's tested fold of 4, by which its epoch was chosen too"
    assert nested.task_name == "MUTAG, nested"
    assert GraphClassifier(data=rings()).task_name == ""


def test_graphs_to_predict_fit_the_network():
    learner = GraphClassifier(data=rings())
    assert learner.rows(None) == ("graph", [0, 1, 2, 3, 4, 5])
    with pytest.raises(UsageError, match="rings has 3 features a node, the network takes 2"):
        learner._given(rings(3))
    with pytest.raises(UsageError, match=r"expected a GraphSet of populace.graphs, got Graph"):
        learner._given(Graph.of([0], [1]))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"GraphClassifier has no graphs; give it data="):
        GraphClassifier()._data  # noqa: B018
    with pytest.raises(UsageError, match=r"has no graphs yet; load_data\(\)"):
        GraphClassifier(data=rings())._parts  # noqa: B018
