"""The numbers of a graph, against counting by hand."""

import numpy as np
import pytest
from scipy import sparse

from populace.graphs import Graph, describe, karate
from populace.graphs.data.formats.convert import from_edges


def test_a_small_graph_is_counted() -> None:
    # A path 0-1-2, a loop at 2, the edge 0-1 twice, and nodes 3 and 4 alone, 4 with a loop.
    graph = from_edges([(0, 1), (1, 2), (2, 2), (0, 1), (4, 4)], nodes=5)
    found = describe(graph.with_features(np.array([[0, 1], [0, 0], [2, 3], [0, 0], [0, 0]])))
    assert (found.nodes, found.directed_edges, found.edges, found.self_loops) == (5, 8, 5, 2)
    assert (found.duplicates, found.isolated) == (2, 2)
    assert found.density == pytest.approx(4 / 20)
    assert found.sparsity == pytest.approx(1 - 6 / 25)
    assert (found.components, found.largest) == (3, 3)
    assert found.degree == (0, 2.0, 8 / 5, 3)
    assert found.histogram == ((0, 0, 1), (1, 1, 1), (2, 3, 3))
    assert (found.features, found.nonzero) == (2, pytest.approx(0.3))
    assert (found.homophily, found.classes, found.parts) == (None, (), ())


def test_labels_and_parts_are_counted() -> None:
    graph = from_edges(
        [(0, 1), (1, 2), (2, 3)], y=[0, 0, 1, -1], names=("a", "b", "c"), train=[0], test=[1, 2]
    )
    found = describe(graph)
    assert found.homophily == pytest.approx(0.5)  # of 0-1 and 1-2; that of 3 is not known
    assert found.classes == (("a", 2), ("b", 1), ("c", 0))
    assert found.unlabeled == 1
    assert found.parts == (("train", 1), ("test", 2))


def test_components_ignore_directions_and_a_directed_edge_counts_once() -> None:
    found = describe(Graph.of([0, 2], [1, 1], 3))
    assert (found.directed, found.edges, found.components) == (True, 2, 1)
    assert found.density == pytest.approx(2 / 6)


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_graphs_without_edges(nodes: int) -> None:
    found = describe(Graph.of([], [], nodes))
    assert (found.isolated, found.components, found.density) == (nodes, nodes, 0)
    assert str(found).splitlines()[1].split() == ["nodes", str(nodes), f"({nodes}", "isolated)"]


def test_dense_and_sparse_features_are_the_same() -> None:
    x = np.eye(34)[:, :20]
    graph = karate()
    dense, thin = (describe(graph.with_features(f)) for f in (x, sparse.csr_array(x)))
    assert dense == thin
    assert dense.nonzero == pytest.approx(1 / 34)


def test_the_text_says_it_in_lines() -> None:
    text = str(describe(karate()))
    for part in (
        "78 (156 directed)",
        "85.9 % of edges",
        "Mr. Hi 17, Officer 17",
        "train 2, validation 8, test 24",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) < 110
