"""Graph layers against dense matrices, on graphs with self-loops, repeated arcs and lonely nodes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.graph.edges import Arcs
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from populace.nn.graph.graph_conv import GINConv, GraphConv, SAGEConv, personalised_pagerank
from tests.nn.harness import check_layer

NODES, WIDTH = 7, 5
KEY = jax.random.key(0)


def graph(seed=0, arcs=18):
    """Node 6 has no arc at all; arcs may repeat and be loops."""
    draws = np.random.default_rng(seed)
    sources, targets = draws.integers(0, NODES - 1, (2, arcs))
    found, _ = Arcs.of(sources, targets, (NODES, NODES))
    return found, jnp.asarray(draws.uniform(0.2, 1.5, arcs), jnp.float32)


def matrix(arcs, weight=None):
    """A[i, j] in float64, repeated arcs added up."""
    dense = np.zeros((NODES, NODES))
    weight = np.ones(arcs.count) if weight is None else np.asarray(weight, np.float64)
    np.add.at(dense, (arcs.targets, arcs.sources), weight)
    return dense


def features(width=WIDTH):
    return jax.random.normal(jax.random.key(1), (NODES, width))


@pytest.mark.parametrize(("outputs", "hops", "bias"), [(3, 1, True), (9, 1, True), (3, 3, False)])
@pytest.mark.parametrize("weighted", [False, True])
def test_graph_conv(outputs, hops, bias, weighted):
    arcs, weight = graph()
    weight = weight if weighted else None
    layer = GraphConv(WIDTH, outputs, hops=hops, bias=bias, key=KEY)
    a = np.linalg.matrix_power(matrix(arcs, weight), hops)

    def reference(layer, x):
        return a @ x @ layer.weight + (layer.bias if bias else 0.0)

    check_layer(Bound(layer, arcs, weight), (features(),), lambda n, x: reference(n.layer, x))


@pytest.mark.parametrize("how", ["mean", "sum", "max"])
@pytest.mark.parametrize("outputs", [3, 8])
def test_sage(how, outputs):
    arcs, _ = graph()
    layer = SAGEConv(WIDTH, outputs, how=how, unit=how == "mean", key=KEY)

    def reference(layer, x):
        around = np.zeros((NODES, WIDTH))
        for i in range(NODES):
            heard = x[arcs.sources[arcs.targets == i]]
            if len(heard):
                around[i] = {"mean": heard.mean, "sum": heard.sum, "max": heard.max}[how](0)
        y = x @ layer.own + around @ layer.around + layer.bias
        return y / np.linalg.norm(y, axis=1, keepdims=True) if layer.unit else y

    check_layer(Bound(layer, arcs), (features(),), lambda n, x: reference(n.layer, x))


@pytest.mark.parametrize("learn_eps", [True, False])
def test_gin(learn_eps):
    arcs, weight = graph()
    layer = GINConv(Square(jax.random.normal(KEY, (WIDTH, 4))), eps=0.3, learn_eps=learn_eps)

    def reference(layer, x):
        return ((1 + layer.eps) * x + matrix(arcs, weight) @ x) ** 2 @ layer.function.weight

    check_layer(Bound(layer, arcs, weight), (features(),), lambda n, x: reference(n.layer, x))


def test_personalised_pagerank_ends_in_its_closed_form():
    arcs, _ = graph()
    a = matrix(arcs)
    rows = np.maximum(a.sum(1), 1)
    weight = jnp.asarray(1 / rows[arcs.targets], jnp.float32)
    h = np.asarray(features(), np.float64)
    # Z = restart (I - (1 - restart) A)^-1 H, the fixed point of the paper.
    exact = 0.2 * np.linalg.solve(np.eye(NODES) - 0.8 * a / rows[:, None], h)
    found = personalised_pagerank(jnp.asarray(h, jnp.float32), arcs, weight, hops=120, restart=0.2)
    np.testing.assert_allclose(found, exact, atol=1e-5)
    once = 0.8 * (a / rows[:, None]) @ h + 0.2 * h
    found = personalised_pagerank(jnp.asarray(h, jnp.float32), arcs, weight, hops=1, restart=0.2)
    np.testing.assert_allclose(found, once, atol=1e-5)


@pytest.mark.parametrize("join", ["concatenate", "mean"])
@pytest.mark.parametrize("second", [False, True])
def test_attention(join, second):
    arcs, _ = graph()
    heads, size = 3, 4
    layer = (GATv2Conv if second else GATConv)(WIDTH, size, heads, join=join, key=KEY)

    def reference(layer, x):
        z = (x @ (layer.from_weight if second else layer.weight)).reshape(NODES, heads, size)
        own = (x @ layer.to_weight).reshape(NODES, heads, size) if second else z
        y = np.zeros((NODES, heads, size))
        for i in range(NODES):
            into = arcs.sources[arcs.targets == i]
            if not len(into):
                continue
            for h in range(heads):
                if second:
                    both = z[into, h] + own[i, h]
                    score = np.where(both > 0, both, 0.2 * both) @ layer.score[h]
                else:
                    score = z[i, h] @ layer.target[h] + z[into, h] @ layer.source[h]
                    score = np.where(score > 0, score, 0.2 * score)
                share = np.exp(score - score.max())
                y[i, h] = share / share.sum() @ z[into, h]
        return (y.reshape(NODES, -1) if join == "concatenate" else y.mean(1)) + layer.bias

    check_layer(Bound(layer, arcs), (features(),), lambda n, x: reference(n.layer, x))


@pytest.mark.parametrize("layer", [GATConv, GATv2Conv])
def test_attention_sums_to_one_over_the_arcs_into_a_node(layer):
    arcs, _ = graph()
    share = layer(WIDTH, 4, 3, key=KEY).attention(features(), arcs)
    sums = np.zeros((NODES, 3))
    np.add.at(sums, arcs.targets, np.asarray(share))
    has = np.bincount(arcs.targets, minlength=NODES) > 0
    np.testing.assert_allclose(sums[has], 1, atol=1e-5)


@pytest.mark.parametrize("layer", [GATConv, GATv2Conv])
def test_attention_dropout_is_unbiased_and_decided_by_the_key(layer):
    arcs, _ = graph()
    gat, x = layer(WIDTH, 4, 2, key=KEY), features()
    run = eqx.filter_jit(lambda key: gat(x, arcs, rate=0.4, key=key))
    np.testing.assert_array_equal(run(jax.random.key(3)), run(jax.random.key(3)))
    assert not np.array_equal(run(jax.random.key(3)), run(jax.random.key(4)))
    mean = jnp.mean(jax.vmap(run)(jax.random.split(jax.random.key(5), 4000)), 0)
    np.testing.assert_allclose(mean, gat(x, arcs), atol=0.08)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GraphConv(0, 3, key=KEY), "GraphConv: inputs must be at least 1, got 0"),
        (lambda: GraphConv(3, 3, hops=0, key=KEY), "hops must be at least 1"),
        (lambda: SAGEConv(3, 3, how="median", key=KEY), "how must be one of mean, sum, max, got 'median'"),
        (lambda: GATConv(3, 3, 0, key=KEY), "heads must be at least 1"),
        (lambda: GATConv(3, 3, 2, join="sum", key=KEY), "join must be concatenate or mean, got 'sum'"),
        (lambda: GraphConv(4, 3, key=KEY)(features(), graph()[0]), r"shape \(7, 5\), expected \(7, 4\)"),
        (lambda: GATv2Conv(5, 3, key=KEY)(features()[:6], graph()[0]), r"shape \(6, 5\), expected \(7, 5\)"),
        (lambda: personalised_pagerank(features(), graph()[0], restart=0.0), r"restart must be in \(0, 1\]"),
    ],
)
def test_what_does_not_fit_is_named(make, words):
    with pytest.raises(UsageError, match=words):
        make()


class Bound(eqx.Module):
    """A layer with its graph, called on features alone."""

    layer: eqx.Module
    arcs: Arcs
    weight: jax.Array | None

    def __init__(self, layer, arcs, weight=None):
        self.layer, self.arcs, self.weight = layer, arcs, weight

    def __call__(self, x):
        if isinstance(self.layer, GATConv | GATv2Conv):
            return self.layer(x, self.arcs)
        return self.layer(x, self.arcs, self.weight)


class Square(eqx.Module):
    """`x^2 W`: a function with a weight, and no kink where finite differences would stumble."""

    weight: jax.Array

    def __call__(self, x):
        return x**2 @ self.weight
