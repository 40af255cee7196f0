"""Graphs from and to other forms: the same edges whatever they come as, and back again."""

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy import sparse

from populace.core.errors import RunError, UsageError
from populace.data.tables import table
from populace.graphs import Graph, karate
from populace.graphs.data.formats import convert
from populace.graphs.learners.node_classifier import NodeClassifier

EDGES = [(0, 1), (1, 2), (3, 3)]
MATRIX = np.array([[0, 2, 0], [2, 0, 0.5], [0, 0.5, 1]])


def edges(graph: Graph) -> list[tuple[Any, ...]]:
    """Edges and weights, sorted."""
    weight = [1.0] * graph.edges.count if graph.weight is None else graph.weight.tolist()
    return sorted(zip(graph.edges.sources.tolist(), graph.edges.targets.tolist(), weight))


def test_an_undirected_edge_goes_both_ways_and_a_directed_one_from_first_to_second() -> None:
    graph = convert.from_edges(EDGES, weight=[1.0, 2.0, 3.0])
    assert edges(graph) == [(0, 1, 1), (1, 0, 1), (1, 2, 2), (2, 1, 2), (3, 3, 3)]
    assert not graph.directed
    one_way = convert.from_edges(EDGES, directed=True, nodes=6)
    assert edges(one_way) == [(0, 1, 1), (1, 2, 1), (3, 3, 1)]
    assert (one_way.directed, one_way.nodes) == (True, 6)
    assert convert.from_edges([], nodes=2).edges.count == 0


def test_edges_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match=r"edges must be pairs of nodes, \(E, 2\), got \(1, 3\)"):
        convert.from_edges([(0, 1, 2)])
    with pytest.raises(UsageError, match=r"weights have shape \(1,\), expected \(3,\), one for each edge"):
        convert.from_edges(EDGES, weight=[1.0])


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", ", ", "  "])
@pytest.mark.parametrize("header", [True, False])
def test_text_is_read_with_any_separator(separator: str, header: bool, tmp_path: Path) -> None:
    rows = [["from", "to", "weight"]] * header + [["0", "1", "1.5"], ["1", "2", "2"], ["3", "3", "3"]]
    path = tmp_path / "club.csv"
    path.write_text("\n".join(separator.join(row) for row in rows) + "\n\n")
    graph = convert.from_csv(path)
    assert edges(graph) == edges(convert.from_edges(EDGES, weight=[1.5, 2, 3]))
    assert graph.name == "club"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n0,1\n1,x\n", "has in line 3 '1,x', expected numbers"),
        ("0,1\n\n1,2,3\n", "has 3 columns in line 3, 2 in the others"),
        ("0,1\n1,\n", "has in line 2 '1,'"),
        ("u,v\n0,1\n\n1,2.5\n", "target in line 4 of .*edges.csv' must be a whole number, got 2.5"),
        ("# u,v\n0,1\n-1,2\n", "source in line 3 of .* is -1; nodes are numbered 0 to 2"),
        ("0,1\n0,99999999999\n", "target in line 2 of .* is 99999999999; nodes are numbered 0 to 2147483646"),
        ("0,1\n0,inf\n", "target in line 2 of .* must be a whole number, got inf"),
        ("0\n1\n", "has 1 columns in line 1, expected 2 or 3"),
        ("0,1,1\n\n1,2,nan\n", "weight in line 3 of .*edges.csv' is nan"),
    ],
)
def test_a_bad_line_is_named_by_its_number(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        convert.from_csv(path)


@pytest.mark.parametrize("nodes", [None, 6])
@pytest.mark.parametrize("directed", [True, False])
def test_an_edge_is_checked_as_it_was_given(nodes: int | None, directed: bool, tmp_path: Path) -> None:
    beyond = 2**40 if nodes is None else 6
    last = 2147483646 if nodes is None else 5
    edges = [(0, 1), (1, 2), (0, beyond)]
    with pytest.raises(UsageError, match=f"target of edge 2 is {beyond}; nodes are numbered 0 to {last}"):
        convert.from_edges(edges, directed=directed, nodes=nodes)
    with pytest.raises(UsageError, match="weight of edge 1 is nan"):
        convert.from_edges(edges[:2], weight=[1.0, np.nan], directed=directed, nodes=nodes)
    path = tmp_path / "edges.csv"
    path.write_text("0 1\n\n1 2\n" + f"{beyond} 0\n")
    with pytest.raises(UsageError, match=f"source in line 4 of .* is {beyond}; nodes .* 0 to {last}"):
        convert.from_csv(path, directed=directed, nodes=nodes)


@pytest.mark.parametrize(
    "text",
    [
        '"0","1"\n',
        "# comment\n0,1\n",
        "% of, all; sorts\n\n  # more\n0 1\n",
        "# from, to\nfrom\tto\n'0'\t'1'\n",
    ],
)
def test_comments_are_passed_over_and_quoted_numbers_are_numbers(text: str, tmp_path: Path) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text)
    assert edges(convert.from_csv(path, directed=True)) == [(0, 1, 1.0)]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"edges.csv' cannot be read .No such file"):
        convert.from_csv(tmp_path / "edges.csv")


def test_packed_text_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"1,\n,2\n"))
    np.testing.assert_array_equal(table(path, gaps=True), [[1, np.nan], [np.nan, 2]])
    with pytest.raises(RunError, match="line 1"):
        table(path)
    path.write_bytes(gzip.compress(b"1,2\n" * 1000)[:-12])
    with pytest.raises(RunError, match="cannot be read"):
        table(path)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr", "dense"])
def test_matrices_of_every_form(form: str) -> None:
    matrix = MATRIX if form == "dense" else sparse.csr_array(MATRIX).asformat(form)
    graph = convert.from_scipy(matrix)
    assert edges(graph) == [(0, 1, 2), (1, 0, 2), (1, 2, 0.5), (2, 1, 0.5), (2, 2, 1)]
    assert not graph.directed
    np.testing.assert_array_equal(convert.to_scipy(graph).toarray(), MATRIX)


def test_entry_u_v_is_the_edge_from_u_to_v_everywhere() -> None:
    matrix = np.array([[0, 1], [0, 0]])
    graph = convert.from_scipy(matrix)
    assert (edges(graph), graph.directed, graph.weight) == ([(0, 1, 1.0)], True, None)
    assert edges(convert.from_networkx(nx.DiGraph([(0, 1)]))) == [(0, 1, 1.0)]
    assert edges(convert.from_edge_index([[0], [1]])) == [(0, 1, 1.0)]
    assert edges(convert.from_coo([0], [1])) == [(0, 1, 1.0)]
    np.testing.assert_array_equal(convert.to_scipy(graph).toarray(), matrix)
    np.testing.assert_array_equal(nx.to_numpy_array(convert.to_networkx(graph)), matrix)


@pytest.mark.parametrize("repeat", [1, 2])
def test_a_matrix_with_other_weights_back_is_directed(repeat: int) -> None:
    matrix = np.array([[0, 2.0, 0], [3.0, 0, 1], [0, 1, 0]])
    graph = convert.from_scipy(matrix)
    assert graph.directed
    np.testing.assert_array_equal(nx.to_numpy_array(convert.to_networkx(graph)), matrix)
    ends = [[0, 1] * repeat, [1, 0] * repeat]
    # Repeated edges are the same set in both directions, whichever of them comes first.
    assert convert.from_edge_index(ends, [1.0, 2.0] * repeat).directed
    assert not convert.from_edge_index(ends, [1.0, 1.0, 2.0, 2.0][: 2 * repeat]).directed
    assert not convert.from_edge_index([[0, 0, 1, 1], [1, 1, 0, 0]], [1.0, 2.0, 2.0, 1.0]).directed


def test_a_matrix_of_half_precision_is_taken() -> None:
    assert edges(convert.from_scipy(MATRIX.astype(np.float16))) == edges(convert.from_scipy(MATRIX))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convert.from_scipy(MATRIX.astype(object)), "must be real, got object; convert it"),
        (lambda: convert.from_scipy([[0, 1], [1]]), "rows of an adjacency matrix are lists of different"),
        (
            lambda: convert.from_networkx([(0, 1)]),
            "takes a NetworkX graph, got list; use from_edges for pairs",
        ),
        (lambda: convert.from_edges([(0, 1), (1,)]), "edges are lists of different lengths"),
        (lambda: convert.from_coo([[0], [1, 2]], [0, 1]), "edges are lists of different lengths"),
        (lambda: convert.from_edge_index([[0, 1], [1]]), "lists of different lengths"),
        (lambda: convert.from_edges([(0, 1)], x=[[1], [1, 2]]), "features are lists of different lengths"),
        (lambda: Graph.of([0], [1], x=[[1], [1, 2]]), "features are lists of different lengths"),
        (lambda: Graph.of([0], [1], y=3), r"labels have shape \(\), expected a row for each node"),
        (lambda: NodeClassifier.of(nx.path_graph(2)), "got Graph; convert it .* convert.from_networkx"),  # pyright: ignore
    ],
)
def test_what_cannot_be_converted_is_one_clear_line(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("matrix", [np.ones((2, 3)), np.ones(3), "text"])
def test_what_is_no_square_matrix_is_refused(matrix: Any) -> None:
    with pytest.raises(UsageError, match="adjacency matrix"):
        convert.from_scipy(matrix)


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_networkx_there_and_back(kind: Any) -> None:
    theirs = kind()
    theirs.add_nodes_from("cab")
    theirs.add_edge("a", "b", weight=2.0)
    theirs.add_edge("b", "a", weight=3.0)
    theirs.add_edge("c", "c")
    ours = convert.from_networkx(theirs)
    expected = nx.to_numpy_array(theirs)
    if kind in (nx.Graph, nx.MultiGraph):  # NetworkX's own matrix agrees on what a loop weighs
        assert not ours.directed
    np.testing.assert_array_equal(convert.to_scipy(ours).toarray(), expected)
    back = convert.to_networkx(ours)
    assert back.is_directed() == theirs.is_directed()
    assert back.number_of_edges() == theirs.number_of_edges()
    np.testing.assert_array_equal(nx.to_numpy_array(back), expected)


def test_attributes_of_nodes_are_features_and_labels() -> None:
    theirs = nx.path_graph(3)
    nx.set_node_attributes(theirs, {0: "x", 1: "y", 2: "x"}, "kind")
    nx.set_node_attributes(theirs, {i: [i, 2 * i] for i in range(3)}, "place")
    nx.set_node_attributes(theirs, dict.fromkeys(range(3), 7), "seven")
    graph = convert.from_networkx(theirs, features=["place", "seven"], label="kind")
    np.testing.assert_array_equal(graph.x, [[0, 0, 7], [1, 2, 7], [2, 4, 7]])
    assert (graph.y.tolist(), graph.names) == ([0, 1, 0], ("x", "y"))
    with pytest.raises(UsageError, match="node 0 has no attribute 'color'"):
        convert.from_networkx(theirs, label="color")
    nx.set_node_attributes(theirs, {0: [1], 1: [1, 2], 2: [3]}, "ragged")
    with pytest.raises(UsageError, match="attributes 'ragged' of the nodes are lists of different lengths"):
        convert.from_networkx(theirs, features="ragged")
    with pytest.raises(UsageError, match=r"'ragged' cannot be sorted into classes .unhashable"):
        convert.from_networkx(theirs, label="ragged")


class Tensor:
    """Behaves like a tensor of PyTorch that needs a gradient."""

    def __init__(self, value: Any, attached: bool = True) -> None:
        self.value, self.attached = np.asarray(value), attached

    def detach(self) -> "Tensor":
        return Tensor(self.value, False)

    def cpu(self) -> "Tensor":
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        assert not self.attached
        return self.value


def test_objects_like_those_of_pytorch_geometric() -> None:
    data = SimpleNamespace(
        edge_index=Tensor([[0, 1, 1], [1, 0, 2]]), x=Tensor(np.eye(4)), y=Tensor([[0], [1], [1], [0]]),
        edge_attr=Tensor([[1.0], [2.0], [3.0]]), train_mask=Tensor([True, False, False, False]),
        val_mask=Tensor([False, True, False, False]), test_mask=None, num_nodes=4,
    )  # fmt: skip
    graph = convert.from_data(data, name="pyg")
    assert edges(graph) == [(0, 1, 1), (1, 0, 2), (1, 2, 3)]
    assert (graph.nodes, graph.directed, graph.name) == (4, True, "pyg")
    assert (graph.train.tolist(), graph.validation.tolist(), graph.test) == ([0], [1], None)
    assert graph.y.tolist() == [0, 1, 1, 0]
    ends, weight = convert.to_edge_index(graph)
    assert ends.dtype == np.int64
    assert edges(convert.from_edge_index(ends, weight)) == edges(graph)


def test_objects_without_edges_or_with_many_splits_are_refused() -> None:
    with pytest.raises(UsageError, match="SimpleNamespace has no edge_index"):
        convert.from_data(SimpleNamespace(x=np.eye(2)))
    data = SimpleNamespace(edge_index=[[0], [1]], y=np.array([0, 1]), train_mask=np.ones((2, 10), bool))
    with pytest.raises(UsageError, match="the train mask holds 10 splits"):
        convert.from_data(data)
    with pytest.raises(UsageError, match=r"edge_index must have shape \(2, E\), got \(3, 2\)"):
        convert.from_edge_index(np.zeros((3, 2), int))


def test_the_karate_club_is_that_of_networkx() -> None:
    graph = karate()
    np.testing.assert_array_equal(
        convert.to_scipy(graph).toarray(), nx.to_numpy_array(nx.karate_club_graph())
    )
    assert (graph.nodes, graph.edges.count, graph.names) == (34, 156, ("Mr. Hi", "Officer"))
    assert graph.y[[0, 33]].tolist() == [0, 1]
    assert [len(part) for part in (graph.train, graph.validation, graph.test)] == [2, 8, 24]
    assert set(np.bincount(graph.y[graph.validation])) != {0}
