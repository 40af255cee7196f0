"""Weights of arcs, and self-loops, by a named normalisation."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from populace.errors import UsageError, unknown

if TYPE_CHECKING:
    from populace.graphs.graph import Graph


NORMALISATIONS = ("none", "self-loops", "mean", "mean-self-loops", "symmetric", "symmetric-no-loops")


def _power(sums: np.ndarray, exponent: float) -> np.ndarray:
    """Return powers of sums, 0 where the sum is 0."""
    return np.where(sums == 0, 0.0, np.where(sums == 0, 1.0, sums) ** exponent)


def normalised(graph: "Graph", how: str) -> "Graph":
    """Return the graph with the weights, and the self-loops, of a normalisation; see `Graph.normalised`."""
    if how not in NORMALISATIONS:
        raise unknown("normalisation", how, NORMALISATIONS)
    if how not in ("none", "mean", "symmetric-no-loops"):
        graph = graph.with_self_loops()
    if how in ("none", "self-loops"):
        return graph
    s, t = graph.arcs.sources, graph.arcs.targets
    weight = np.ones(len(s)) if graph.weight is None else graph.weight.astype(np.float64)
    rows, columns = (np.bincount(ends, weight, minlength=graph.nodes) for ends in (t, s))
    if how.startswith("mean"):
        weight = weight * _power(rows, -1)[t]
    else:
        negative = (rows < 0) | (columns < 0)
        if negative.any():
            raise UsageError(
                f"weights of node {negative.argmax()} sum to less than 0; '{how}' takes a root of the sum"
            )
        weight = weight * _power(rows, -0.5)[t] * _power(columns, -0.5)[s]
    return dataclasses.replace(graph, weight=weight.astype(np.float32))
