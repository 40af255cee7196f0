"""Batches of graphs against graphs joined one by one, and readouts against loops."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.graphs import Graph
from populace.graphs.data.batch import BatchShape
from tests.graphs.data.problems import some_graphs


def offsets_of(sorted_ids: np.ndarray, count: int) -> np.ndarray:
    """How many are below each number, by a loop."""
    return np.array([sum(1 for i in sorted_ids if i < bound) for bound in range(count + 1)])


@pytest.mark.parametrize(
    ("indices", "compiled"),
    [
        ([0, 1, 2], True), ([5, 4, 3], True), ([2, -1, 5], True), ([-1, -1, -1], True), ([-1, 0, 3], True),
        ([2, -1, 5], False),
    ],
)  # fmt: skip
def test_a_batch_is_the_graphs_side_by_side(indices: list[int], compiled: bool) -> None:
    graphs = some_graphs()
    shape = graphs.batch_shape(3)
    assert shape == BatchShape(3, 4 + 5 + 6 + 1, 6 + 8 + 10)
    call = eqx.filter_jit(graphs.batch) if compiled else graphs.batch
    found = jax.tree.map(np.asarray, call(np.array(indices), shape))
    chosen = [graphs.graph(i) if i >= 0 else Graph.of([], [], 0, x=np.zeros((0, 3))) for i in indices]
    sizes = [g.nodes for g in chosen]
    nodes, edges, last = sum(sizes), sum(g.edges.count for g in chosen), shape.nodes - 1
    starts = np.cumsum([0, *sizes])
    sources, targets = (
        np.concatenate(
            [*(getattr(g.edges, e) + s for g, s in zip(chosen, starts)), np.full(shape.edges - edges, last)]
        )
        for e in ("sources", "targets")
    )
    np.testing.assert_array_equal(found.edges.sources, sources)
    np.testing.assert_array_equal(found.edges.targets, targets)
    np.testing.assert_array_equal(found.edges.rows.columns, sources)
    np.testing.assert_array_equal(found.edges.rows.offsets, offsets_of(targets, shape.nodes))
    np.testing.assert_array_equal(found.edges.back.offsets, offsets_of(np.sort(sources), shape.nodes))
    order = found.edges.back.order
    np.testing.assert_array_equal(np.sort(order), np.arange(shape.edges))
    np.testing.assert_array_equal(sources[order], np.sort(sources))
    np.testing.assert_array_equal(found.edges.back.columns, targets[order])
    np.testing.assert_array_equal(found.x[:nodes], np.concatenate([g.x for g in chosen]))
    assert not found.x[nodes:].any()
    np.testing.assert_array_equal(found.graph[:nodes], np.repeat(np.arange(3), sizes))
    assert (found.graph[nodes:] == 3).all()
    assert (found.node_mask.sum(), found.edge_mask.sum()) == (nodes, edges)
    np.testing.assert_array_equal(found.sizes, sizes)
    np.testing.assert_array_equal(found.present, np.array(indices) >= 0)
    np.testing.assert_array_equal(found.y, [graphs.y[i] if i >= 0 else 0 for i in indices])


def test_batches_over_members_are_those_of_a_loop() -> None:
    graphs = some_graphs()
    shape = graphs.batch_shape(2)
    indices = np.array([[0, 5], [3, 2], [4, -1]])
    one = lambda i: jax.tree.leaves(graphs.batch(i, shape))  # noqa: E731
    together, alone = jax.device_get(jax.jit(lambda i: (jax.vmap(one)(i), [one(row) for row in i]))(indices))
    for m in range(3):
        for a, b in zip(together, alone[m], strict=True):
            np.testing.assert_array_equal(a[m], b)


@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_readouts_are_those_of_a_loop(how: str) -> None:
    graphs = some_graphs()
    indices, shape = np.array([3, -1, 0, 5]), graphs.batch_shape(4)
    h = np.random.default_rng(1).normal(size=(shape.nodes, 2)).astype(np.float32) - 5

    @jax.jit
    def computed(h: Any) -> Any:
        batch = graphs.batch(indices, shape)
        gradient = jax.grad(lambda h: (batch.readout(h, how) ** 2).sum())(h)
        return batch.graph, batch.node_mask, batch.readout(h, how), gradient

    graph, mask, found, gradient = jax.device_get(computed(h))
    expected = [getattr(h[graph == b], how)(0) if b != 1 else np.zeros(2) for b in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[~mask].any()


def test_graphs_that_do_not_fit_are_nan_not_cut() -> None:
    graphs, twice = some_graphs(), np.array([5, 5])
    shapes = (graphs.batch_shape(2), graphs.batch_shape(2, distinct=False))
    cut, whole = jax.device_get(jax.jit(lambda i: [graphs.batch(i, shape).x for shape in shapes])(twice))
    assert np.isnan(cut).all()
    assert np.isfinite(whole).all()
    with pytest.raises(UsageError, match="a batch of some must have 1 to 6 graphs, got 7"):
        graphs.batch_shape(7)
    with pytest.raises(UsageError, match="unknown readout 'median'"):
        jax.eval_shape(lambda: graphs.batch(twice, shapes[0]).readout(jnp.zeros((7, 1)), "median"))
