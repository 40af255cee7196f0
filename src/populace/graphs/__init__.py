"""Graphs: nodes, edges, and what is known of them, from one's own data and from published sets."""

from populace.graphs.data.describe import describe
from populace.graphs.data.features import SparseFeatures
from populace.graphs.data.graph import Graph
from populace.graphs.data.graph_set import GraphSet
from populace.graphs.datasets.karate import karate
from populace.graphs.datasets.ogb import ogb
from populace.graphs.datasets.planetoid import planetoid
from populace.graphs.datasets.tudataset import tudataset

__all__ = ["Graph", "GraphSet", "SparseFeatures", "describe", "karate", "ogb", "planetoid", "tudataset"]
