"""Zachary's karate club: 34 people, who meets whom, and which side each took when the club split."""

import networkx as nx
import numpy as np

from populace.data.arrays import read_only
from populace.graphs.data.formats.convert import from_networkx
from populace.graphs.data.graph import Graph

_OFFICER = 33


def karate() -> Graph:
    """Return Zachary's karate club with one labeled training node per class, the leaders of the two sides.

    The weight of each of the 78 edges counts the contexts in which two people met; the classes are the sides,
    `Mr. Hi` and `Officer`. Features are one-hot node identities. The leaders, nodes 0 and 33, are the
    training part; every fourth of the others, 8 in all, is for validation, the remaining 24 for testing.

    Source: W. W. Zachary (1977), An Information Flow Model for Conflict and Fission in Small Groups.

    """
    club = from_networkx(nx.karate_club_graph(), label="club", name="karate")
    others = np.arange(1, _OFFICER)
    held = others[1::4]
    graph = club.with_features(np.eye(club.nodes, dtype=np.float32))
    return read_only(graph.with_split([0, _OFFICER], held, np.setdiff1d(others, held)))
