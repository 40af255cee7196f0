"""What a task of nodes says of itself before anything is trained."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.graphs import Graph
from populace.graphs.learners.node_classifier import NodeClassifier


def path(**given: object) -> Graph:
    """Return four nodes in a row, the first two of one class and the last two of another."""
    options: dict = {
        "x": np.eye(4, dtype=np.float32), "y": [0, 0, 1, 1], "train": [0, 3], "validation": [1], "test": [2],
    }  # fmt: skip
    return Graph.of([0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2], directed=False, name="path", **(options | given))


def test_a_named_set_is_a_task_that_runs_can_be_compared_by_and_a_graph_of_ones_own_is_not():
    assert NodeClassifier().task_name == "karate, public split"
    drawn = NodeClassifier(split="per-class", train_nodes=20)
    assert drawn.task_name == "karate, per-class split, 20 training nodes"
    assert NodeClassifier.of(path()).task_name == ""


def test_it_says_which_nodes_the_final_evaluation_looks_at():
    assert NodeClassifier.of(path()).test_description(1) == "the 1 test nodes"
    drawn = NodeClassifier.of(path(), split="random", train_nodes=1, validation_nodes=1, test_nodes=2)
    assert drawn.test_description(2) == "2 test nodes drawn by each seed"
    rest = NodeClassifier.of(path(), split="random", train_nodes=1, validation_nodes=1, test_nodes=0)
    assert rest.test_description(2) == "all other nodes"


def test_rows_have_the_names_of_the_nodes_or_their_numbers():
    assert NodeClassifier.of(path()).rows(None) == ("node", [0, 1, 2, 3])
    named = NodeClassifier.of(path(node_names=["a", "b", "c", "d"]))
    assert named.rows(None) == ("node", ["a", "b", "c", "d"])


def test_another_graph_is_normalized_as_the_network_asks_and_has_its_width():
    learner = NodeClassifier.of(path())
    assert learner._on(path())._graph.normalization == learner.network.normalization
    with pytest.raises(UsageError, match="path has 3 features a node, the network takes 4"):
        learner._on(path(x=np.ones((4, 3))))
    with pytest.raises(UsageError, match=r"expected a Graph of populace.graphs, got list"):
        learner._on([[0, 1]])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"NodeClassifier.of takes a Graph .* got ndarray"):
        NodeClassifier.of(np.eye(4))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"NodeClassifier has no graph; make it with NodeClassifier.of"):
        NodeClassifier()._graph  # noqa: B018
