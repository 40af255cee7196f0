"""Drawings: colors stand for values, widths for importance, and large graphs say that they are cut."""

import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.graphs import Graph, karate
from populace.graphs.data.formats.convert import from_edges
from populace.graphs.plots import draw, neighborhood

SMALL = Graph.of([0, 1, 1, 2, 3], [1, 0, 2, 2, 2], 4, name="small")
RING = from_edges([(i, (i + 1) % 500) for i in range(500)], name="ring")


def near(image: np.ndarray, color: tuple[int, int, int]) -> int:
    """How many pixels have about this color."""
    return int((np.abs(image.astype(int) - color).max(axis=2) <= 6).sum())


def test_nodes_have_the_color_of_their_class() -> None:
    found = draw.draw(karate())
    assert found.image.dtype == np.uint8
    assert found.caption == "The graph karate"
    assert near(found.image, (31, 119, 180)) > 2000
    assert near(found.image, (255, 127, 14)) > 2000


def test_values_have_the_colors_of_the_scale() -> None:
    low, high = (68, 1, 84), (253, 231, 37)  # the ends of viridis
    found = draw.draw(SMALL, [0.0, 1, 1, 1])
    assert near(found.image, high) > 2.2 * near(found.image, low) > 0


def test_drawing_is_the_same_twice_and_changes_with_the_values() -> None:
    one, two = (draw.draw(karate(), np.arange(34.0)).image for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert (one != draw.draw(karate(), -np.arange(34.0)).image).any()


def test_self_loops_and_arrows_are_drawn() -> None:
    plain = draw.draw(from_edges([(0, 1)], directed=False), [0.0, 1.0]).image
    arrow = draw.draw(from_edges([(0, 1)], directed=True), [0.0, 1.0]).image
    loop = draw.draw(from_edges([(0, 1), (1, 1)], directed=False), [0.0, 1.0]).image
    assert (plain != arrow).any()
    assert (plain != loop).any()


def test_a_convolution_is_three_graphs_side_by_side() -> None:
    values = np.linspace(-1, 1, 34)
    found = draw.draw_convolution(karate(), values, 2 * values, values * 0)
    assert found.image.shape[1] > 2.5 * found.image.shape[0]
    thirds = np.array_split(found.image, 3, axis=1)
    inks = [int((third < 250).any(axis=2).sum()) for third in thirds]
    assert min(inks) > 0.4 * max(inks)
    # Values that are not alike have a scale each: the second is not flattened by a third that is far larger.
    far = [values, values, 1000 * values]
    joint, apart = (draw.draw_convolution(karate(), *far, alike=alike) for alike in (True, False))
    yellow = (253, 231, 37)
    counts = [near(np.array_split(found.image, 3, axis=1)[1], yellow) for found in (joint, apart)]
    assert counts[0] < counts[1]
    named = draw.draw_convolution(karate(), *far, titles=("edges", "own", "all"), caption="Steps")
    assert named.caption == "Steps"
    assert (named.image != joint.image).any()


def test_a_large_graph_is_a_part_and_the_caption_says_so() -> None:
    found = draw.draw(RING, np.arange(500.0), around=7)
    assert found.caption == "The graph ring. Shown are 300 of 500 nodes, those nearest to node 7"
    both = draw.draw_convolution(RING, *np.zeros((3, 500)))
    assert "300 of 500 nodes" in both.caption
    nodes, _ = neighborhood.sample(RING, 7, 5)
    assert nodes.tolist() == [5, 6, 7, 8, 9]


def test_neighbors_are_those_that_reach_the_node_and_the_important_ones_stay() -> None:
    star = Graph.of([1, 2, 3, 4, 0], [0, 0, 0, 3, 5], 6)
    importance = np.array([0.1, 0.9, 0.5, 0.2, 1.0])  # edges by target, then source
    found, left = neighborhood.ego(star, 0, 1, 3, importance)
    assert (found.tolist(), left) == ([0, 2, 3], 1)
    found, left = neighborhood.ego(star, 0, 2, 10, importance)
    assert (found.tolist(), left) == ([0, 1, 2, 3, 4], 0)  # 5 hears 0 but says nothing to it
    assert (
        "3 nodes up to 1 hops away; 1 nodes left out"
        in draw.draw_neighbors(star, 0, importance, 1, most=3).caption
    )


def test_an_edge_that_matters_more_is_wider() -> None:
    pair = Graph.of([1, 2], [0, 0], 3)
    even, odd = (draw.draw_neighbors(pair, 0, w).image for w in ([1.0, 1.0], [1.0, 0.0]))
    blue = (15, 51, 128)
    assert near(even, blue) != near(odd, blue)
    assert near(odd, blue) > 100


@pytest.mark.parametrize("graph", [Graph.of([], [], 1), Graph.of([0], [0], 1), Graph.of([], [], 4)])
def test_the_smallest_graphs_can_be_drawn(graph: Graph) -> None:
    draw.draw(graph)
    draw.draw_neighbors(graph, 0, np.zeros(graph.edges.count))


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"values have shape \(3,\), expected \(4,\), one for each of 4 nodes"
    ):
        draw.draw(SMALL, np.ones(3))
    with pytest.raises(UsageError, match="linear hold NaN or infinity in place 1"):
        draw.draw_convolution(SMALL, np.ones(4), [0, np.nan, 0, 0], np.ones(4))
    with pytest.raises(UsageError, match="there is no node 4; nodes are numbered 0 to 3"):
        draw.draw(SMALL, around=4)
    with pytest.raises(UsageError, match=r"importance have shape \(4,\), expected \(5,\)"):
        draw.draw_neighbors(SMALL, 0, np.ones(4))
    with pytest.raises(UsageError, match="importance of edge 2 is -1"):
        draw.draw_neighbors(SMALL, 0, [0, 0, -1, 0, 0])
