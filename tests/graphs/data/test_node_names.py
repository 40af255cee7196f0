"""Nodes by name: in lists of edges, in tables, and wherever a node is asked for."""

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.graphs import Graph, karate
from populace.graphs.data.formats import convert
from populace.graphs.data.formats.node_table import read_node_table
from populace.graphs.data.node_names import NodeNames

TABLE = """id,age,kind,height
ann,31,cat,1.5
"bo, jr",4,dog,0.5
7,12,,2
eve,9,cat,1
"""


def named(graph: Graph) -> list[tuple[str, str]]:
    """The edges by the names of their nodes, sorted."""
    names = graph.node_names or ()
    return sorted((names[s], names[t]) for s, t in zip(graph.edges.sources, graph.edges.targets))


def write(folder: Path, **files: str) -> list[Path]:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return [folder / f"{name}.csv" for name in files]


def test_names_are_numbered_as_they_appear_or_as_they_are_listed() -> None:
    edges = [("b", "a"), ("c", "b")]
    graph = convert.from_edges(edges, directed=True)
    assert list(graph.node_names) == ["b", "a", "c"]
    assert named(graph) == edges
    listed = convert.from_edges(np.array(edges), directed=True, node_names="abcd")
    assert (list(listed.node_names), listed.nodes) == (["a", "b", "c", "d"], 4)
    assert listed.edges.sources.tolist() == [1, 2]
    assert graph.normalized("symmetric").node_names is graph.node_names
    with pytest.raises(UsageError, match="target of edge 1 is 'b', which is not in the names"):
        convert.from_edges([("a", "c"), ("c", "b")], node_names="ac")
    with pytest.raises(UsageError, match="nodes 0 and 2 are both called 'a'"):
        convert.from_edges(edges, node_names="aba")
    with pytest.raises(UsageError, match="there are 3 names of 2 nodes"):
        Graph.of([0], [1], 2, node_names="abc")


def test_equal_names_are_equal() -> None:
    assert NodeNames("abc") == NodeNames(["a", "b", "c"]) != NodeNames("abd")
    assert hash(NodeNames("abc")) == hash(NodeNames("abc"))


def test_a_node_is_asked_for_by_name() -> None:
    graph = convert.from_edges([("b", "a"), ("c", "b")])
    assert (graph.node_index("a"), graph.node_index(2)) == (1, 2)
    with pytest.raises(UsageError, match="unknown node 'd'"):
        graph.node_index("d")
    with pytest.raises(UsageError, match="nodes of karate have no names; give a number, not 'a'"):
        karate().node_index("a")
    with pytest.raises(UsageError, match="there is no node -1; nodes are numbered 0 to 33"):
        karate().node_index(-1)


def test_names_come_from_networkx_and_go_back() -> None:
    theirs = nx.DiGraph([("x", "y"), ("z", "x")])
    graph = convert.from_networkx(theirs)
    assert named(graph) == [("x", "y"), ("z", "x")]
    assert sorted(convert.to_networkx(graph).edges) == sorted(theirs.edges)
    assert convert.from_networkx(nx.path_graph(3)).node_names is None


@pytest.mark.parametrize(
    ("text", "edges", "weight"),
    [
        ("ann,bo\nbo,eve\n", [("ann", "bo"), ("bo", "eve")], None),
        ("source;target\nann;bo\n", [("ann", "bo")], None),
        ("who,whom,much\nann,bo,2\n'ann','eve',3\n", [("ann", "bo"), ("ann", "eve")], [2, 3]),
        ("# a, b\nann bo\n\nann  7\n", [("ann", "7"), ("ann", "bo")], None),
    ],
)
def test_text_with_names_is_read(text: str, edges: Any, weight: Any, tmp_path: Path) -> None:
    (path,) = write(tmp_path, e=text)
    graph = convert.from_csv(path, directed=True)
    assert named(graph) == edges
    assert (None if graph.weight is None else graph.weight.tolist()) == weight
    # A header is one if one says so.
    assert convert.from_csv(path, directed=True, header=True).edges.count <= len(edges)


def test_a_table_gives_features_classes_and_the_numbers_of_nodes(tmp_path: Path) -> None:
    edges, nodes = write(tmp_path, e='eve,ann,2\n"bo, jr",7,3\n', n=TABLE)
    table = read_node_table(nodes, label="kind")
    graph = convert.from_csv(edges, node_table=table, directed=True)
    assert list(graph.node_names) == ["ann", "bo, jr", "7", "eve"]
    assert named(graph) == [("bo, jr", "7"), ("eve", "ann")]
    np.testing.assert_array_equal(graph.x, [[31, 1.5], [4, 0.5], [12, 2], [9, 1]])
    assert (graph.names, graph.y.tolist(), table.columns) == (
        ("cat", "dog"),
        [0, 1, -1, 0],
        ("age", "height"),
    )
    assert graph.weight.tolist() == [2, 3]
    aimed = read_node_table(nodes, targets="age", features=["height"])
    np.testing.assert_array_equal(aimed.y, [[31], [4], [12], [9]])
    assert (aimed.classes, aimed.x.shape) == ((), (4, 1))
    # Numbers as names: a table decides, and classes that are numbers are in the order of their size.
    edges, nodes = write(tmp_path, e2="31336,1\n", n2="id c f\n1 10 0\n31336 9 0\n")
    graph = convert.from_csv(edges, node_table=read_node_table(nodes, label="c"))
    assert (graph.nodes, graph.names, graph.y.tolist()) == (2, ("9", "10"), [1, 0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,a\nx,1\ny,2\nx,3\n", "lists node 'x' twice, in lines 2 and 4; keep one"),
        ("id,a\nx,1\n\n,2\n", "has no name of a node in line 4, column 'id'"),
        ("id,a\nx,1\ny,\n", "feature 'a' of node 'y' .line 3 of .* is missing; fill it in"),
        ("id,a\nx,old\n", "feature 'a' of node 'x' .* is 'old', expected a number"),
        ("id,a\nx,inf\n", "feature 'a' of node 'x' .* is 'inf', expected a number"),
        ("id,a\nx,1,2\n", "has 3 fields in line 2, 2 in its header"),
        ("id,a\n", "has no nodes; expected a header, and a line for each node"),
    ],
)
def test_a_table_that_does_not_do_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (path,) = write(tmp_path, n=text)
    with pytest.raises(UsageError, match=words) as raised:
        read_node_table(path)
    assert "\n" not in str(raised.value)


def test_edges_and_columns_that_are_unknown_are_named(tmp_path: Path) -> None:
    nodes, edges = write(tmp_path, n=TABLE, e="ann,eve\nann,joe\n")
    with pytest.raises(UsageError, match=r"target in line 2 of .*e.csv' is 'joe', which is not in '.*n.csv'"):
        convert.from_csv(edges, node_table=read_node_table(nodes, label="kind"))
    with pytest.raises(UsageError, match=r"feature 'kind' of node 'ann' .* is 'cat', expected a number"):
        convert.from_csv(edges, node_table=nodes)
    with pytest.raises(UsageError, match=r"unknown column 'kin'.*did you mean 'kind'"):
        read_node_table(nodes, label="kin")
    with pytest.raises(UsageError, match="a table has a label or targets, not both"):
        read_node_table(nodes, label="kind", targets="age")
    (bad,) = write(tmp_path, b="ann,bo,1\nbo,eve\n")
    with pytest.raises(
        UsageError, match=r"b.csv' has 2 fields in line 2, expected two nodes and an optional"
    ):
        convert.from_csv(bad)
    (bad,) = write(tmp_path, w="ann,bo,1\nbo,eve,much\n")
    with pytest.raises(UsageError, match=r"weight in line 2 of .*w.csv' is 'much', expected a number"):
        convert.from_csv(bad)


def test_features_of_edges_follow_their_edges() -> None:
    features = [[1, 10], [2, 20], [3, 30]]
    graph = convert.from_edges([(0, 1), (2, 1), (2, 2)], edge_features=features)
    found = {
        (s, t): row
        for s, t, row in zip(*(graph.edges.sources, graph.edges.targets), graph.edge_features.tolist())
    }
    assert found == {(0, 1): [1, 10], (1, 0): [1, 10], (2, 1): [2, 20], (1, 2): [2, 20], (2, 2): [3, 30]}
    # A loop that is added has the mean of what comes in, as in PyTorch Geometric; one that is there stays.
    looped = graph.with_self_loops()
    here = looped.edges.sources == looped.edges.targets
    np.testing.assert_array_equal(looped.edge_features[here], [[1, 10], [1.5, 15], [3, 30]])
    one_way = Graph.of([2, 0, 0], [1, 1, 1], edge_features=[7, 8, 9])
    assert one_way.undirected().edge_features.ravel().tolist() == [8, 9, 8, 9, 7, 7]
    assert one_way.without_duplicates().edge_features.tolist() == [[17], [7]]
    assert one_way.without_duplicates("first").edge_features.tolist() == [[8], [7]]
    with pytest.raises(UsageError, match=r"edge features have shape \(2, 1\), expected \(3, D\)"):
        Graph.of([2, 0, 0], [1, 1, 1], edge_features=[7, 8])
    with pytest.raises(UsageError, match="features of edge 1 contain NaN or infinity"):
        Graph.of([2, 0, 0], [1, 1, 1], edge_features=[7, np.nan, 8])
