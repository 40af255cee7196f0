"""Graph convolutions against dense matrices, on graphs with self-loops, repeated edges and lonely nodes."""

import equinox as eqx
import jax
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.graph.graph_conv import GINConv, GINEConv, GraphConv, SAGEConv, personalized_pagerank
from tests.nn.draws import draw, filled, quick_key
from tests.nn.graph.layers import NODES, WIDTH, Bound, edge_features, features, graph
from tests.nn.harness import check_layer


class Square(eqx.Module):
    """`x^2 W`: a function with a weight, and no kink where finite differences would stumble."""

    weight: np.ndarray

    def __call__(self, x):
        return x**2 @ self.weight


def matrix(edges, weight=None):
    """A[i, j] in float64, repeated edges added up."""
    dense = np.zeros((NODES, NODES))
    weight = np.ones(edges.count) if weight is None else np.asarray(weight, np.float64)
    np.add.at(dense, (edges.targets, edges.sources), weight)
    return dense


@pytest.mark.parametrize(
    ("outputs", "hops", "bias", "weighted"),
    [(3, 1, True, False), (9, 1, True, True), (3, 3, False, True), (9, 2, True, False)],
)
def test_graph_conv(outputs, hops, bias, weighted):
    """Edges carry x W where that is narrower than x, else x."""
    edges, weight = graph()
    weight = weight if weighted else None
    layer = filled(lambda key: GraphConv(WIDTH, outputs, hops=hops, bias=bias, key=key))
    a = np.linalg.matrix_power(matrix(edges, weight), hops)

    def reference(layer, x):
        return a @ x @ layer.weight + (layer.bias if bias else 0.0)

    called = Bound(layer, edges, weight)
    check_layer(called, (features(),), lambda n, x: reference(n.layer, x), eager=not bias)


@pytest.mark.parametrize(("how", "outputs"), [("mean", 3), ("sum", 8), ("max", 3)])
def test_sage(how, outputs):
    """The linear ones are taken of x W where that is narrower than x."""
    edges, _ = graph()
    layer = filled(lambda key: SAGEConv(WIDTH, outputs, how=how, unit=how == "mean", key=key))

    def reference(layer, x):
        around = np.zeros((NODES, WIDTH))
        for i in range(NODES):
            heard = x[edges.sources[edges.targets == i]]
            if len(heard):
                around[i] = {"mean": heard.mean, "sum": heard.sum, "max": heard.max}[how](0)
        y = x @ layer.own + around @ layer.around + layer.bias
        return y / np.linalg.norm(y, axis=1, keepdims=True) if layer.unit else y

    check_layer(Bound(layer, edges), (features(),), lambda n, x: reference(n.layer, x))


@pytest.mark.parametrize("learn_eps", [True, False])
def test_gin(learn_eps):
    edges, weight = graph()
    layer = GINConv(Square(draw(WIDTH, 4)), eps=0.3, learn_eps=learn_eps)

    def reference(layer, x):
        return ((1 + layer.eps) * x + matrix(edges, weight) @ x) ** 2 @ layer.function.weight

    check_layer(Bound(layer, edges, weight), (features(),), lambda n, x: reference(n.layer, x))


@pytest.mark.parametrize("learn_eps", [True, False])
def test_gine(learn_eps):
    """Edge by edge: what goes over one is cut off below zero before it is added up."""
    edges, _ = graph()
    square = Square(draw(WIDTH, 4))
    layer = filled(lambda key: GINEConv(square, WIDTH, 3, eps=0.3, learn_eps=learn_eps, key=key))

    def reference(layer, x, f):
        gathered = (1 + layer.eps) * x
        for e in range(edges.count):
            message = x[edges.sources[e]] + f[e] @ layer.weight + layer.bias
            gathered[edges.targets[e]] += np.where(message > 0, message, 0)
        return gathered**2 @ layer.function.weight

    inputs = features(), edge_features()
    check_layer(Bound(layer, edges), inputs, lambda n, x, f: reference(n.layer, x, f))


def test_personalized_pagerank_ends_in_its_closed_form():
    edges, _ = graph()
    a = matrix(edges)
    rows = np.maximum(a.sum(1), 1)
    weight = np.float32(1 / rows[edges.targets])
    h = features()

    @jax.jit
    def run(h):
        return [
            personalized_pagerank(h, edges, weight, hops=hops, restart=restart)
            for hops, restart in ((1, 0.2), (25, 0.5))
        ]

    once, many = run(h)
    np.testing.assert_allclose(once, 0.8 * (a / rows[:, None]) @ h + 0.2 * h, atol=1e-5)
    # Z = restart (I - (1 - restart) A)^-1 H, the fixed point of the paper; 0.5^25 is 3e-8.
    exact = 0.5 * np.linalg.solve(np.eye(NODES) - 0.5 * a / rows[:, None], h)
    np.testing.assert_allclose(many, exact, atol=1e-5)


def test_weights_start_glorot_uniform():
    layer = jax.jit(lambda: GraphConv(60, 50, key=quick_key()))()
    bound = np.sqrt(6 / 110)
    assert layer.weight.shape == (60, 50)
    assert 0.95 * bound < np.abs(layer.weight).max() <= bound
    assert layer.bias is not None
    assert not np.any(layer.bias)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda key: GraphConv(0, 3, key=key), "GraphConv: inputs must be at least 1, got 0"),
        (lambda key: GraphConv(3, 3, hops=0, key=key), "GraphConv: hops must be at least 1"),
        (
            lambda key: SAGEConv(3, 3, how="median", key=key),
            "SAGEConv: how must be one of mean, sum, max, got 'median'",
        ),
        (
            lambda key: GraphConv(4, 3, key=key)(features(), graph()[0]),
            r"GraphConv: features have shape \(7, 5\), expected \(7, 4\)",
        ),
        (
            lambda key: GINEConv(Square(draw(WIDTH, 4)), WIDTH, 3, key=key)(features(), graph()[0], None),
            r"GINEConv: edge features are missing, expected \(18, 3\)",
        ),
        (
            lambda key: GINEConv(Square(draw(WIDTH, 4)), WIDTH, 2, key=key)(
                features(), graph()[0], edge_features()
            ),
            r"GINEConv: edge features have shape \(18, 3\), expected \(18, 2\)",
        ),
        (
            lambda key: personalized_pagerank(features(), graph()[0], restart=0.0),
            r"personalized_pagerank: restart must be in \(0, 1\], got 0.0",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(UsageError, match=words):
        call(quick_key())
