"""Zachary's karate club: 34 people, who meets whom, and what side they took when the club split."""

import networkx as nx
import numpy as np

from populace.graphs.data.convert import from_networkx
from populace.graphs.data.graph import Graph, read_only

_OFFICER = 33


def karate() -> Graph:
    """Return the karate club with one known member for each side, its two leaders.

    The 78 edges have weights, how often two people met; the classes are the sides, "Mr. Hi" and "Officer".
    A person is told from the others by a feature of their own (the identity). The leaders, nodes 0 and 33,
    are trained on; of the others every fourth is chosen by, 8 in all, and the 24 that are left are judged by.

    Source: W. W. Zachary (1977), An Information Flow Model for Conflict and Fission in Small Groups.

    """
    club = from_networkx(nx.karate_club_graph(), label="club", name="karate")
    others = np.arange(1, _OFFICER)
    held = others[1::4]
    graph = club.with_features(np.eye(club.nodes, dtype=np.float32))
    return read_only(graph.with_split([0, _OFFICER], held, np.setdiff1d(others, held)))
