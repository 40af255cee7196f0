"""The product of many rows with one matrix: the numbers under every map, and the layout."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from populace.nn.primitives.matmul import product
from tests.nn.harness import check_layer


def loops(x, W):
    y = np.zeros((*x.shape[:-1], W.shape[-1]))
    for i in np.ndindex(y.shape):
        for f in range(x.shape[-1]):
            y[i] += x[(*i[:-1], f)] * W[f, i[-1]]
    return y


def draw(*shapes):
    draws = np.random.default_rng(0)
    return [draws.normal(size=shape).astype(np.float32) for shape in shapes]


def test_it_is_the_matrix_product():
    check_layer(
        lambda W, *xs: tuple(product(x, W) for x in xs),
        tuple(draw((3, 5), (4, 3), (1, 3), (2, 4, 3), (3,))),
        lambda _, W, *xs: tuple(loops(x, W) for x in xs),
        eager=True,
    )


def assert_same(found: Any, expected: Any, what: object = "") -> None:
    """Equal but for the order in which float32 is summed, which is another on every processor."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.max(np.abs(b)), err_msg=str(what))


def test_mapped_over_any_axis_and_differentiated_it_is_still_the_matrix_product():
    x, W = draw((4, 3), (3, 5))
    ways = [(0, None), (1, None), (2, None), (None, 0), (None, 2), (0, 0), (2, 1)]
    batches = [
        [a if axis is None else np.stack([a, 2 * a], axis) for a, axis in zip((x, W), axes)] for axes in ways
    ]

    def gradients(multiply, axes, batch):
        def loss(x, W):
            y = jax.vmap(multiply, axes)(x, W)
            return jnp.sum(y * np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape))

        return jax.value_and_grad(loss, argnums=(0, 1))(*batch)

    @jax.jit
    def both(batches):
        return [
            (gradients(product, axes, batch), gradients(jnp.matmul, axes, batch))
            for axes, batch in zip(ways, batches)
        ]

    for axes, (found, expected) in zip(ways, both(batches)):
        assert_same(found, expected, axes)


def test_a_batch_is_one_product_and_the_gradient_keeps_the_order():
    """What it is there for: rows stay one behind the other, and the weights' gradient is x^T ct."""
    x, W = draw((2, 4, 3), (3, 5))
    loss = lambda W: jnp.sum(jax.vmap(lambda x: product(x, W))(x) ** 2)  # noqa: E731
    text = jax.jit(jax.grad(loss)).lower(W).as_text()
    assert "tensor<8x3xf32>, tensor<3x5xf32>" in text
    assert "tensor<3x8xf32>, tensor<8x5xf32>" in text


@pytest.mark.parametrize("check", [False, True])
def test_inside_a_shard_map(check):
    mesh = Mesh(np.asarray(jax.devices()[:1]), ("data",))
    rows, whole = PartitionSpec("data"), PartitionSpec()
    shared = jax.shard_map(product, mesh=mesh, in_specs=(rows, whole), out_specs=rows, check_vma=check)
    x, W = draw((4, 3), (3, 5))
    loss = lambda x, W: jnp.sum(shared(x, W) ** 2)  # noqa: E731
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(x, W)
    y = np.asarray(x, np.float64) @ W
    assert_same((value, *gradients), (np.sum(y**2), 2 * y @ W.T, 2 * x.T @ y))
