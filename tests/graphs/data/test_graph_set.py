"""Sets of one's own graphs: each is what it was, and what does not fit together is refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import UsageError
from populace.graphs import Graph, GraphSet, SparseFeatures
from populace.graphs.data.formats.convert import from_edges
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


def test_features_of_edges_are_with_their_edges_in_every_batch() -> None:
    rng = np.random.default_rng(0)
    graphs = [
        from_edges(rng.integers(0, n, (n, 2)), nodes=n, x=np.eye(n, 4), edge_features=rng.normal(size=(n, 2)))
        for n in (3, 1, 4)
    ]
    data = GraphSet.of(graphs, [0, 1, 0])
    assert data.edge_inputs == 2
    for i, graph in enumerate(graphs):
        np.testing.assert_array_equal(data.graph(i).edge_features, graph.edge_features)
    batch = jax.device_get(jax.jit(lambda: data.batch(jnp.array([2, -1, 0]), data.batch_shape(3)))())
    expected = np.concatenate([graphs[i].edge_features for i in (2, 0)])
    np.testing.assert_array_equal(batch.edge_features[: len(expected)], expected)
    assert not batch.edge_features[len(expected) :].any()
    # Self-loops are those of each graph by itself.
    for i, graph in enumerate(graphs):
        looped, alone = data.with_self_loops().graph(i), graph.with_self_loops()
        np.testing.assert_array_equal(looped.edges.sources, alone.edges.sources)
        np.testing.assert_allclose(looped.edge_features, alone.edge_features, rtol=1e-6)
    looped = data.with_self_loops()
    assert looped.with_self_loops() is looped
    # The normalization adds no loop of its own to them.
    np.testing.assert_array_equal(looped.loop_weight, 0)


def test_features_that_are_sparse_are_made_dense() -> None:
    x = sparse.random_array((3, 4), density=0.5, rng=np.random.default_rng(0))
    for given in (x, x.tocsr(), SparseFeatures.of(x)):
        joined = GraphSet.joined([0, 1], [1, 0], [0, 2, 3], [0, 1], x=given)
        np.testing.assert_array_equal(joined.x, x.toarray().astype(np.float32))
    with pytest.raises(UsageError, match="features of node 1 contain NaN or infinity"):
        GraphSet.joined([0], [1], [0, 2], [0], x=sparse.csr_array([[1.0], [np.nan]]))


def test_features_of_edges_that_do_not_fit_are_refused() -> None:
    def pair(features: Any) -> Graph:
        return Graph.of([0], [1], x=np.ones((2, 1)), edge_features=features)

    with pytest.raises(UsageError, match="edge features of one width, got widths 1, None"):
        GraphSet.of([pair([1]), pair(None)], [0, 1])
    with pytest.raises(UsageError, match=r"edge features have shape \(1, 1\), expected \(2, D\)"):
        GraphSet.joined([0, 1], [1, 0], [0, 2], [0], edge_features=[0])
    with pytest.raises(UsageError, match="features of edge 1 contain NaN or infinity"):
        GraphSet.joined([0, 1], [1, 0], [0, 2], [0], edge_features=[0, np.nan])
