"""Graphs: what is refused and with which message, merging of edges, normalizations against dense algebra."""

import re
from typing import Any

import jax
import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import UsageError
from populace.graphs import Graph, SparseFeatures, karate
from populace.graphs.data.formats.convert import to_networkx
from populace.graphs.data.normalization import NORMALIZATIONS

TRIANGLE: tuple[Any, ...] = ([0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2], 4)  # and node 3 alone


def random_graph(seed: int, *, directed: bool = True, weighted: bool = True) -> Graph:
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, 9, (2, 30))
    graph = Graph.of(*ends, 11, weight=rng.uniform(0.5, 2, 30) if weighted else None)
    return graph if directed else graph.undirected()


def dense(graph: Graph) -> np.ndarray:
    """The matrix with a row for each target, written by a loop."""
    matrix = np.zeros((graph.nodes, graph.nodes))
    weight = np.ones(graph.edges.count) if graph.weight is None else graph.weight
    for s, t, w in zip(graph.edges.sources, graph.edges.targets, weight):
        matrix[t, s] += w
    return matrix


def test_weights_follow_their_edges() -> None:
    graph = Graph.of([2, 0, 1], [0, 1, 0], weight=[5.0, 6.0, 7.0])
    assert graph.nodes == 3
    found = zip(graph.edges.sources.tolist(), graph.edges.targets.tolist(), graph.weight.tolist())
    assert sorted(found) == [(0, 1, 6.0), (1, 0, 7.0), (2, 0, 5.0)]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"sources": [0, 4]}, "source of edge 1 is 4; nodes are numbered 0 to 3"),
        ({"targets": [-1, 1]}, "target of edge 0 is -1"),
        ({"sources": [0, 0.5]}, "source of edge 1 must be a whole number, got .*0.5"),
        ({"sources": [0]}, "edges have 1 sources and 2 targets"),
        ({"weight": [1.0, np.nan]}, "weight of edge 1 is nan"),
        ({"weight": [1.0]}, r"weights have shape \(1,\), expected \(2,\), one for each edge"),
        (
            {"x": np.ones((3, 2))},
            r"features have shape \(3, 2\), expected \(4, F\): one row per node",
        ),
        ({"x": np.ones(4)}, r"features have shape \(4,\)"),
        ({"x": [["a"]] * 4}, "features must be numbers"),
        ({"x": np.array([[1.0], [1], [np.nan], [1]])}, "features of node 2 contain NaN"),
        ({"x": sparse.csr_array([[0], [0], [0], [np.inf]])}, "features of node 3 contain NaN or infinity"),
        ({"x": [[0], [1e300], [0], [0]]}, "features of node 1 contain NaN or infinity"),
        ({"y": [0, 1, 2]}, r"labels have shape \(3,\), expected \(4,\)"),
        ({"y": [0, 1, -2, 0]}, "label of node 2 is -2"),
        (
            {"y": [0, 1, 2, 0], "names": ("a", "b")},
            "label of node 2 is 2; expected 0 to 1 .there are 2 class names",
        ),
        ({"y": [0, -1, 1, 0], "train": [0, 1]}, "train node 1 has no label"),
        ({"train": [0, 1]}, "train node 0 has no label"),
        ({"y": [0, 1, 1, 0], "train": []}, "the training part of graph is empty; it needs at least one node"),
        ({"y": [0, 1, 1, 0], "train": [0, 4]}, "train has node 4; nodes are numbered 0 to 3"),
        ({"y": [0, 1, 1, 0], "train": [0, 0]}, "node 0 is listed 2 times in train"),
        ({"y": [0, 1, 1, 0], "train": [0, 1], "test": [2, 1]}, "node 1 is in train and in test"),
        ({"y": [0, 1, 1, 0], "train": [0], "validation": [0]}, "node 0 is in train and in validation"),
        ({"y": [0, 1, 1, 0], "train": np.ones(3, bool)}, r"train mask has shape \(3,\), expected \(4,\)"),
        ({"y": [0, 1, 1, 0], "train": [0.5]}, "train must be node indices"),
        (
            {"directed": False, "sources": [0, 1], "targets": [1, 2]},
            r"edge 0 \(0 to 1\) has no reverse|edge 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Graph.of(**{"sources": [0, 1], "targets": [1, 0], "nodes": 4} | parts)
    assert re.search(message, str(caught.value)), str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_edge_without_reverse_is_named_as_it_was_given() -> None:
    with pytest.raises(UsageError, match=r"^edge 2 \(3 to 0\) has no reverse"):
        Graph.of([1, 0, 3], [0, 1, 0], directed=False)


def test_masks_are_node_numbers() -> None:
    graph = Graph.of(*TRIANGLE, y=[0, 1, 0, 1], train=[True, False, False, True], test=np.array([2]))
    assert graph.train.tolist() == [0, 3]
    assert graph.test.tolist() == [2]
    assert graph.validation is None
    assert graph.with_split([1]).test is None


def test_targets_may_have_gaps_but_not_where_they_are_trained_on() -> None:
    y = np.array([[1.0, np.nan], [np.nan, np.nan], [0, 1], [1, 1]])
    graph = Graph.of(*TRIANGLE, y=y, train=[0, 2])
    assert graph.classes == 0
    assert graph.y.shape == (4, 2)
    with pytest.raises(UsageError, match="train node 1 has no label"):
        graph.with_split([1])


def test_outputs_are_counted() -> None:
    graph = Graph.of(*TRIANGLE, y=[0, 1, 2, -1])
    graph.check_outputs(3)
    with pytest.raises(UsageError, match="graph has 3 classes, but the network has 2 outputs; give it 3"):
        graph.check_outputs(2)
    with pytest.raises(UsageError, match="2 targets per node"):
        graph.with_labels(np.zeros((4, 2), np.float32)).check_outputs(1)


def test_sparse_features_are_those_of_the_matrix() -> None:
    matrix = np.random.default_rng(0).integers(0, 3, (6, 5)).astype(np.float32)
    matrix[2] = 0
    features = SparseFeatures.of(sparse.csc_matrix(matrix))
    assert features.shape == (6, 5)
    assert len(features.values) == np.count_nonzero(matrix)
    np.testing.assert_array_equal(features.to_scipy().toarray(), matrix)
    sums = matrix.sum(1, keepdims=True)
    expected = np.divide(matrix, sums, where=sums > 0, out=np.zeros_like(matrix))
    np.testing.assert_allclose(features.row_normalized().to_scipy().toarray(), expected, rtol=1e-6)


def test_a_graph_is_a_pytree_of_numpy_arrays() -> None:
    leaves = jax.tree.leaves(karate())
    assert all(isinstance(leaf, np.ndarray) for leaf in leaves)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.int32), np.dtype(np.float32)}


@pytest.mark.parametrize("seed", range(5))
def test_merging_edges(seed: int) -> None:
    graph = random_graph(seed)
    summed = graph.without_duplicates()
    np.testing.assert_allclose(dense(summed), dense(graph), rtol=1e-6)
    assert len(set(zip(summed.edges.sources.tolist(), summed.edges.targets.tolist()))) == summed.edges.count
    np.testing.assert_array_equal(
        dense(random_graph(seed, weighted=False).without_duplicates()),
        dense(random_graph(seed, weighted=False)),
    )


def test_the_first_of_equal_edges_stays() -> None:
    graph = Graph.of([0, 1, 0, 0], [1, 0, 1, 1], weight=[3.0, 9, 4, 5]).without_duplicates("first")
    np.testing.assert_array_equal(dense(graph), [[0, 9], [3, 0]])
    with pytest.raises(UsageError, match=r"unknown merge rule 'mean'; .*first, sum"):
        graph.without_duplicates("mean")


def test_an_undirected_edge_has_one_weight() -> None:
    both = Graph.of([0, 1], [1, 0], weight=[2.0, 5.0])
    with pytest.raises(UsageError, match=r"from 1 to 0 has weight 5, its reverse 2; an undirected edge has"):
        Graph.of([0, 1], [1, 0], weight=[2.0, 5.0], directed=False)
    for graph in (both, both.undirected()):
        assert dict(to_networkx(graph).edges) == {(0, 1): {"weight": 2.0}, (1, 0): {"weight": 5.0}}
    assert Graph.of([0, 0, 1], [1, 1, 0]).undirected().directed  # twice there and once back
    kept = Graph.of([0, 1, 0, 1], [1, 0, 1, 0], weight=[2.0, 5.0, 5.0, 2.0], directed=False)  # repeated
    assert kept.undirected().weight.tolist() == kept.weight.tolist()


def test_undirected_adds_only_what_is_missing() -> None:
    graph = Graph.of([0, 1, 2, 2], [1, 0, 0, 2], weight=[1.0, 2, 3, 4]).undirected()
    assert graph.directed  # the two arcs between 0 and 1 had, and have, different weights
    assert not Graph.of([0, 1, 2, 2], [1, 0, 0, 2]).undirected().directed
    np.testing.assert_array_equal(dense(graph), [[0, 2, 3], [1, 0, 0], [3, 0, 4]])


def test_self_loops_are_added_once() -> None:
    graph = Graph.of([0, 1], [0, 0], weight=[5.0, 2.0]).with_self_loops()
    np.testing.assert_array_equal(dense(graph), [[5, 2], [0, 1]])
    assert graph.with_self_loops() is graph


@pytest.mark.parametrize("how", NORMALIZATIONS)
@pytest.mark.parametrize("directed", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_normalizations_are_those_of_dense_algebra(how: str, directed: bool, weighted: bool) -> None:
    graph = random_graph(3, directed=directed, weighted=weighted)
    a = dense(graph)
    if "self-loops" in how or how == "symmetric":
        a = a + np.diag(np.diag(a) == 0).astype(float)
    rows, columns = a.sum(1), a.sum(0)
    with np.errstate(divide="ignore"):
        inverse = np.where(rows > 0, 1 / rows, 0)
        root_rows, root_columns = (np.where(s > 0, 1 / np.sqrt(s), 0) for s in (rows, columns))
    expected = {
        "mean": np.diag(inverse) @ a,
        "symmetric": np.diag(root_rows) @ a @ np.diag(root_columns),
    }.get(how.partition("-")[0], a)
    np.testing.assert_allclose(dense(graph.normalized(how)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_isolated_nodes_and_no_edges_give_no_nan(how: str) -> None:
    for graph in (Graph.of(*TRIANGLE), Graph.of([], [], 3), Graph.of([], [], 1), Graph.of([], [], 0)):
        matrix = dense(graph.normalized(how))
        assert np.isfinite(matrix).all()
        if how in ("mean", "symmetric-no-loops") and graph.nodes:
            assert not matrix[-1].any()


def test_no_graph_is_normalized_twice() -> None:
    graph = random_graph(1)
    once = graph.normalized("symmetric")
    assert once.normalized("symmetric") is once
    assert dense(graph.normalized("none").normalized("mean")).sum() == dense(graph.normalized("mean")).sum()
    with pytest.raises(
        UsageError, match="normalized already, as 'symmetric'; 'mean' takes the graph as it was"
    ):
        once.normalized("mean")
    assert once.with_features(None).normalization == "symmetric"
    # With other edges it is another matrix.
    assert graph.normalized("none").with_self_loops().normalization == ""


def test_what_cannot_be_normalized_is_refused() -> None:
    graph = Graph.of([0, 1], [1, 0], weight=[-1.0, 1.0])
    with pytest.raises(UsageError, match="edge weights of node 0 have a negative sum"):
        graph.normalized("symmetric-no-loops")
    with pytest.raises(UsageError, match="unknown normalization 'symetric'; did you mean 'symmetric'"):
        graph.normalized("symetric")


def test_labels_and_weights_are_checked_before_they_are_converted() -> None:
    for label in (2**32 + 1, 2**31, 10**9):
        with pytest.raises(UsageError, match=rf"node 1 is {label}, which makes .* of 2 nodes; number"):
            Graph.of([0], [1], y=[0, label])
    with pytest.raises(UsageError, match=r"weight of edge 0 is 1e\+300; weights must be finite in float32"):
        Graph.of([0], [1], weight=[1e300])
