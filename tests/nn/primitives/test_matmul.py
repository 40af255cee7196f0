from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from populace.nn.primitives.matmul import product
from tests.nn.harness import check_layer


def loops(_, x, W):
    y = np.zeros((*x.shape[:-1], W.shape[-1]))
    for i in np.ndindex(y.shape):
        for f in range(x.shape[-1]):
            y[i] += x[(*i[:-1], f)] * W[f, i[-1]]
    return y


def draw(*shapes):
    return [jax.random.normal(jax.random.key(i), s) for i, s in enumerate(shapes)]


@pytest.mark.parametrize("shape", [(4, 3), (1, 3), (2, 4, 3), (3,)])
def test_it_is_the_matrix_product(shape):
    check_layer(product, tuple(draw(shape, (3, 5))), loops)


@pytest.mark.parametrize("axes", [(0, None), (1, None), (2, None), (None, 0), (None, 2), (0, 0), (2, 1)])
def test_batched_and_differentiated_it_is_still_the_matrix_product(axes):
    x, W = draw((4, 3), (3, 5))
    batch = [jnp.stack([a, 2 * a], axis) if axis is not None else a for a, axis in zip((x, W), axes)]

    def gradients(multiply):
        def loss(x, W):
            y = jax.vmap(multiply, axes)(x, W)
            return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(*batch)

    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), gradients(product), gradients(jnp.matmul))


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
    x, W = draw((4, 3), (3, 5))
    rows, whole = PartitionSpec("data"), PartitionSpec()
    shared = jax.shard_map(product, mesh=mesh, in_specs=(rows, whole), out_specs=rows, check_vma=check)

    def gradients(multiply):
        return jax.jit(jax.value_and_grad(lambda x, W: jnp.sum(multiply(x, W) ** 2), argnums=(0, 1)))(x, W)

    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), gradients(shared), gradients(jnp.matmul))
