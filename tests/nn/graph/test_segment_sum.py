"""Sums over edges: the kernels at every length of a row, and derivatives of every form."""

from typing import Any

import jax
import numpy as np
import pytest

from populace.nn.graph.aggregate import aggregate
from tests.nn.draws import weigh
from tests.nn.graph.formulas import BACKENDS, NATIVE, SQUARE, assert_close, check_derivatives, draw, some

LENGTHS = [1, 3, 4, 7, 8, 9, 16, 23, 31, 32, 40, 57, 64, 65, 90, 130, 1000]


@NATIVE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("members", [1, 2, 3, 7, 9])
def test_the_kernels_at_every_length_of_a_row(members: int, dtype: Any) -> None:
    """Rows are cut into vectors, and vectors into tiles: every remainder is another program."""
    edges = some(4, 60, (12, 15))
    with jax.enable_x64(dtype == np.float64):
        xs, w = [draw(members, 15, features) for features in LENGTHS], draw(members, edges.count, seed=1)

        @jax.jit
        def run(xs: Any, w: Any) -> Any:
            one = lambda x, w: aggregate(edges, x, "sum", w, "native")  # noqa: E731
            unweighted = [jax.vmap(lambda x: one(x, None))(x) for x in xs]
            shared = [jax.vmap(one, (0, None))(x, w[0]) for x in xs]
            return unweighted, shared, [jax.vmap(one)(x, w) for x in xs]

        found = run(xs, w)
    for ys, values in zip(found, (np.ones((1, edges.count)), w[:1], w)):
        dense = np.zeros((members, 12, 15))
        for matrix, value in zip(dense, np.broadcast_to(values, (members, edges.count))):
            np.add.at(matrix, (edges.targets, edges.sources), value)
        for x, y in zip(xs, ys):
            assert y.dtype == dtype
            assert_close(y, dense @ np.asarray(x, float))


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_are_those_of_finite_differences(backend: str) -> None:
    with jax.enable_x64(True):

        def loss(x: Any, w: Any) -> Any:
            calls = enumerate((("sum", w), ("mean", w), ("sum", None)), start=1)
            return sum(k * weigh(aggregate(SQUARE, x, *call, backend) ** 2) for k, call in calls)

        check_derivatives(loss, draw(9, 2, 3), draw(SQUARE.count, 2, seed=1))
