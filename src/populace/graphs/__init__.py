"""Graphs: nodes, arcs, and what is known of them, from one's own data and from published sets."""

from populace.graphs.describe import describe
from populace.graphs.features import SparseFeatures
from populace.graphs.graph import Graph
from populace.graphs.graph_set import GraphSet
from populace.graphs.karate import karate
from populace.graphs.ogb import ogb
from populace.graphs.planetoid import planetoid
from populace.graphs.tudataset import tudataset

__all__ = ["Graph", "GraphSet", "SparseFeatures", "describe", "karate", "ogb", "planetoid", "tudataset"]
