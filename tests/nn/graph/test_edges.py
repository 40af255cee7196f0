"""Edges: sorted once for both directions, and refused where they do not fit."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.graph.edges import MOST_NODES, EdgeIndex, as_array, checked_ends, is_symmetric, repeated
from tests.nn.graph.formulas import GRAPHS, graph, some


@pytest.mark.parametrize("name", GRAPHS)
def test_both_orders_hold_every_edge(name: str) -> None:
    edges = GRAPHS[name]
    targets, sources = edges.size
    rows, back = edges.rows, edges.back
    assert rows.order is None
    assert (np.diff(edges.targets) >= 0).all()
    assert rows.offsets[-1] == back.offsets[-1] == edges.count
    for i in range(targets):
        into = slice(rows.offsets[i], rows.offsets[i + 1])
        assert (edges.targets[into] == i).all()
        assert (np.diff(edges.sources[into]) >= 0).all()
        np.testing.assert_array_equal(rows.columns[into], edges.sources[into])
    for j in range(sources):
        out = slice(back.offsets[j], back.offsets[j + 1])
        assert (edges.sources[back.order[out]] == j).all()
        np.testing.assert_array_equal(back.columns[out], edges.targets[back.order[out]])
    assert sorted(back.order) == list(range(edges.count))
    arrays = (edges.sources, edges.targets, rows.offsets, back.offsets, back.columns, back.order)
    assert {a.dtype for a in arrays} == {np.dtype(np.int32)}


def test_places_say_where_each_edge_was() -> None:
    sources, targets = np.array([2, 0, 1, 0]), np.array([1, 1, 0, 0])
    edges, places = EdgeIndex.of(sources, targets, (2, 3))
    np.testing.assert_array_equal(edges.sources, sources[places])
    np.testing.assert_array_equal(edges.targets, targets[places])
    assert list(zip(edges.targets.tolist(), edges.sources.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 2)]
    assert edges.size == (2, 3)
    assert edges.count == 4


def test_whole_numbers_in_floats_are_node_numbers() -> None:
    assert checked_ends("source", [0.0, 2.0], 3).tolist() == [0, 2]


def test_repeated_edges_are_marked_from_the_second_on() -> None:
    edges = graph([1, 1, 1, 0], [0, 0, 2, 2], (3, 3))
    assert repeated(edges).tolist() == [False, True, False, False]
    assert repeated(GRAPHS["no edges"]).tolist() == []


def test_symmetric_is_what_equals_its_transpose() -> None:
    both = graph([0, 1, 1, 2, 0, 0], [1, 0, 2, 1, 0, 0], (3, 3))
    assert is_symmetric(both)
    assert not is_symmetric(some(0, 12, (5, 5)))
    assert not is_symmetric(graph([0, 0, 1], [1, 1, 0], (2, 2)))  # twice there and once back
    weight = 1.0 + np.minimum(both.sources, both.targets)
    assert is_symmetric(both, weight)
    assert is_symmetric(both, weight * (1 + 1e-8 * np.arange(6)))
    weight[both.sources < both.targets] += 1
    assert not is_symmetric(both, weight)


@pytest.mark.parametrize(
    ("sources", "targets", "message"),
    [
        ([0, 1], [0], "edges have 2 sources and 1 targets; give one of each"),
        ([0, 3], [0, 1], "source of edge 1 is 3; nodes are numbered 0 to 2"),
        ([0, 1], [-1, 1], "target of edge 0 is -1; nodes are numbered 0 to 1"),
        ([0.5, 1], [0, 1], "source of edge 0 must be a whole number, got 0.5"),
        ([0, np.nan], [0, 1], "source of edge 1 must be a whole number, got nan"),
        (["a"], [0], "source of edge 0 must be a whole number, got 'a'"),
        ([[0], [1]], [0, 1], "sources of edges must have shape (E,), got (2, 1)"),
        ([[0], [1, 2]], [0, 1], "sources of edges are lists of different lengths"),
    ],
)
def test_ends_that_cannot_be_are_named(sources, targets, message: str) -> None:
    with pytest.raises(UsageError) as error:
        EdgeIndex.of(sources, targets, (2, 3))
    assert str(error.value).startswith(message)


def test_numbers_beyond_int32_are_refused() -> None:
    with pytest.raises(UsageError, match=f"source of edge 0 is {MOST_NODES}; nodes are numbered"):
        checked_ends("source", [MOST_NODES], 2**40)
    np.testing.assert_array_equal(as_array("numbers", [1, 2]), [1, 2])
