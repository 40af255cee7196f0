"""Graphs and sets as a network takes them: the same object each time, which all members then share."""

import dataclasses
from functools import lru_cache
from typing import Any

from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet


def prepared(graph: Graph, given: Graph, how: str) -> Graph:
    """Return a graph with the edges of another, normalized."""
    return _prepared(_Same(graph), _Same(given), how)


def looped(data: GraphSet) -> GraphSet:
    """Return a set with a self-loop at every node."""
    return _looped(_Same(data))


class _Same:
    """What is equal to itself only: what a cache knows it by."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


@lru_cache(maxsize=8)
def _prepared(graph: _Same, given: _Same, how: str) -> Graph:
    ready = given.value.normalized(how)
    parts = ("edges", "weight", "edge_features", "normalization")
    return dataclasses.replace(graph.value, **{name: getattr(ready, name) for name in parts})


@lru_cache(maxsize=8)
def _looped(data: _Same) -> GraphSet:
    return data.value.with_self_loops()
