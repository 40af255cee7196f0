"""Graph attention against loops in NumPy; what it takes in is 1 in all, and dropout changes no mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.graph.graph_attention import GATConv, GATv2Conv
from tests.nn.draws import filled, quick_key
from tests.nn.graph.layers import NODES, WIDTH, Bound, edge_features, features, graph
from tests.nn.harness import check_layer

KINDS = pytest.mark.parametrize("kind", [GATConv, GATv2Conv])


@pytest.mark.parametrize(
    ("kind", "join", "whole", "width"),
    [
        (GATConv, "concatenate", True, 0),
        (GATConv, "mean", False, 0),
        (GATConv, "concatenate", True, 3),
        (GATv2Conv, "concatenate", False, 0),
        (GATv2Conv, "mean", True, 0),
        (GATv2Conv, "mean", True, 3),
    ],
)
def test_attention_is_its_formula(kind, join, whole, width):
    """The gradient of each kind with one way of joining heads, which both kinds do alike."""
    edges, _ = graph()
    heads, size = 3, 4
    second = kind is GATv2Conv
    layer = filled(lambda key: kind(WIDTH, size, heads, join=join, edge_inputs=width, key=key))

    def reference(layer, x, f=None):
        z = (x @ (layer.from_weight if second else layer.weight)).reshape(NODES, heads, size)
        own = (x @ layer.to_weight).reshape(NODES, heads, size) if second else z
        of_edges = (f @ layer.edge_weight if width else np.zeros((edges.count, 1))) + np.zeros(heads * size)
        of_edges = of_edges.reshape(-1, heads, size)
        y = np.zeros((NODES, heads, size))
        for i in range(NODES):
            here = edges.targets == i
            into = edges.sources[here]
            if not len(into):
                continue
            for h in range(heads):
                if second:
                    both = z[into, h] + own[i, h] + of_edges[here, h]
                    score = np.where(both > 0, both, 0.2 * both) @ layer.score[h]
                else:
                    score = z[i, h] @ layer.target[h] + z[into, h] @ layer.source[h]
                    score += of_edges[here, h] @ layer.edge[h] if width else 0
                    score = np.where(score > 0, score, 0.2 * score)
                share = np.exp(score - score.max())
                y[i, h] = share / share.sum() @ z[into, h]
        return (y.reshape(NODES, -1) if join == "concatenate" else y.mean(1)) + layer.bias

    check_layer(
        Bound(layer, edges),
        (features(), edge_features()) if width else (features(),),
        lambda n, *given: reference(n.layer, *given),
        differentiate=whole,
        eager=join == "concatenate" and not width,
    )


@KINDS
@pytest.mark.parametrize("width", [0, 3])
def test_attention_sums_to_one_over_the_edges_into_a_node(kind, width):
    edges, _ = graph()
    layer = filled(lambda key: kind(WIDTH, 4, 3, edge_inputs=width, key=key))
    share = jax.jit(lambda x, f: layer.attention(x, edges, f))(features(), edge_features())
    sums = np.zeros((NODES, 3))
    np.add.at(sums, edges.targets, np.asarray(share))
    has = np.bincount(edges.targets, minlength=NODES) > 0
    np.testing.assert_allclose(sums[has], 1, atol=1e-5)


@KINDS
def test_attention_dropout_is_unbiased_and_decided_by_the_key(kind):
    edges, _ = graph()
    layer = filled(lambda key: kind(WIDTH, 4, 2, key=key))

    @jax.jit
    def run(x):
        one = lambda key: layer(x, edges, rate=0.4, key=key)  # noqa: E731
        keys = jax.random.split(jax.random.key(5), 4000)
        some = jax.vmap(one)(jnp.stack([jax.random.key(3), jax.random.key(3), jax.random.key(4)]))
        return some, jnp.mean(jax.vmap(one)(keys), 0), layer(x, edges)

    (first, again, other), mean, expected = jax.tree.map(np.asarray, run(features()))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(mean, expected, atol=0.08)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda key: GATConv(3, 3, 0, key=key), "GATConv: heads must be at least 1"),
        (
            lambda key: GATConv(3, 3, 2, join="sum", key=key),
            "GATConv: join must be concatenate or mean, got 'sum'",
        ),
        (
            lambda key: GATv2Conv(5, 3, key=key)(features()[:6], graph()[0]),
            r"GATv2Conv: features have shape \(6, 5\), expected \(7, 5\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(UsageError, match=words):
        call(quick_key())
