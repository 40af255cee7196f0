"""Sets of one's own graphs: each is what it was, and what does not fit together is refused."""

import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import UsageError
from populace.graphs import Graph, GraphSet
from populace.graphs.data.convert import from_edges
from tests.graphs.data.problems import some_graphs


def test_graphs_are_what_they_were() -> None:
    rng = np.random.default_rng(0)
    graphs = [
        from_edges(rng.integers(0, n, (n, 2)), nodes=n, x=sparse.csr_array(np.eye(n, 4))) for n in (3, 1, 4)
    ]
    joined = GraphSet.of(graphs, [0.5, 1.5, 2.5])
    assert joined.y.shape == (3, 1)
    for i, graph in enumerate(graphs):
        again = joined.graph(i)
        np.testing.assert_array_equal(again.edges.sources, graph.edges.sources)
        np.testing.assert_array_equal(again.edges.targets, graph.edges.targets)
        np.testing.assert_array_equal(again.x, graph.x.to_scipy().toarray())
        assert not again.directed


def test_sets_that_cannot_be_are_refused() -> None:
    two = [Graph.of([0], [1], x=np.ones((2, n))) for n in (1, 2)]
    with pytest.raises(UsageError, match="needs graphs with features of one width, got widths 1, 2"):
        GraphSet.of(two, [0, 1])
    with pytest.raises(UsageError, match="got no graphs"):
        GraphSet.of([], [])
    with pytest.raises(UsageError, match=r"labels have shape \(1,\), expected \(2,\): one row per graph"):
        GraphSet.of([two[0], two[0]], [0])
    with pytest.raises(UsageError, match="graph 1 has edge weights"):
        GraphSet.of([Graph.of([0], [1]), Graph.of([0], [1], weight=[2.0])], [0, 1])
    with pytest.raises(UsageError, match="edge 1 goes from graph 0 to graph 1"):
        GraphSet.joined([0, 1], [0, 2], [0, 2, 3], [0, 1])
    with pytest.raises(UsageError, match="graph 1 has no label"):
        GraphSet.of([two[0], two[0]], [0, -1])
    with pytest.raises(UsageError, match="graph 2 is in train and in test"):
        some_graphs().with_split([0, 2], [1], [2])


def test_labels_of_edges_are_checked_before_they_are_converted() -> None:
    def labeled(value: float) -> GraphSet:
        return GraphSet.joined([0, 1], [1, 0], [0, 2], [0], edge_labels=[0, value])

    assert sorted(labeled(5).edge_labels.tolist()) == [0, 5]
    for value in (2**32 + 1, 0.5, float("nan")):
        with pytest.raises(UsageError, match=r"label of edge 1 is .*; expected a whole number"):
            labeled(value)
    with pytest.raises(UsageError, match=r"edge labels have shape \(1,\), expected \(2,\)"):
        GraphSet.joined([0, 1], [1, 0], [0, 2], [0], edge_labels=[0])
