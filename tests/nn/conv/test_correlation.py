"""The primitive of convolution under JAX's transformations: maps, derivatives, meshes, and nothing at all."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from populace.nn.conv.convolution import convolve
from tests.nn.conv.formula import LOWERINGS, assert_close, draw

OPTIONS: dict[str, Any] = {"stride": (2, 1), "groups": 2, "padding": "same"}


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1)], ids=str)
def test_any_axis_of_any_operand_can_be_mapped(axes: tuple[int | None, int | None]) -> None:
    x, weight, cotangent = draw(5, 4, 4), draw(2, 3, 2, 6), draw(3, 4, 6, seed=2)
    xs = x if axes[0] is None else np.stack([x, -2 * x, x * x], axes[0])
    weights = weight if axes[1] is None else np.stack([weight, weight**2, -weight], axes[1])

    def both(x: jax.Array, weight: jax.Array) -> Any:
        y, adjoint = jax.vjp(lambda x, w: convolve(x, w, **OPTIONS), x, weight)
        return y, *adjoint(cotangent)

    @jax.jit
    def mapped_and_one_by_one(xs: jax.Array, weights: jax.Array) -> Any:
        pairs = [
            [a if axis is None else jnp.take(a, i, axis) for a, axis in zip((xs, weights), axes)]
            for i in range(3)
        ]
        return jax.vmap(both, axes)(xs, weights), [both(*pair) for pair in pairs]

    together, alone = mapped_and_one_by_one(xs, weights)
    for i in range(3):
        for mine, expected in zip(together, alone[i]):
            assert_close(mine[i], expected)


def test_nested_maps_and_gradients() -> None:
    """Members over batches, batches over members, and a gradient in between: what populations do."""

    def one(x: jax.Array, weight: jax.Array) -> jax.Array:
        return convolve(x, weight, **OPTIONS)

    def loss(weight: jax.Array, xs: jax.Array) -> jax.Array:
        return jnp.sum(jax.vmap(one, (0, None))(xs, weight) ** 3)

    @jax.jit
    def everything(xs: jax.Array, weights: jax.Array) -> dict[str, jax.Array]:
        return {
            "alone": jnp.stack([jnp.stack([one(x, w) for x in xs]) for w in weights]),
            "members over batches": jax.vmap(lambda w: jax.vmap(one, (0, None))(xs, w))(weights),
            "batches over members": jax.vmap(lambda x: jax.vmap(one, (None, 0))(x, weights))(xs),
            "gradients": jax.vmap(jax.grad(loss), (0, None))(weights, xs),
            "gradients alone": jnp.stack([jax.grad(loss)(w, xs) for w in weights]),
        }

    found = everything(draw(3, 5, 4, 4), draw(2, 2, 3, 2, 6))
    assert_close(found["members over batches"], found["alone"])
    assert_close(found["batches over members"], np.swapaxes(found["alone"], 0, 1))
    assert_close(found["gradients"], found["gradients alone"])


@pytest.mark.parametrize("groups", [1, 3])
def test_no_examples_have_no_results_and_gradients_of_zero(groups: int) -> None:
    weight = draw(3, 3, 3 // groups, 6)

    @jax.jit
    def everything(weight: jax.Array, empty: jax.Array, inner: jax.Array, outer: jax.Array) -> Any:
        found = {}
        for how in LOWERINGS:

            def one(x: jax.Array, weight: jax.Array, how: str = how) -> jax.Array:
                return convolve(x, weight, groups=groups, lowering=how)

            batch = jax.vmap(one, (0, None))
            nested = jax.vmap(jax.vmap(one, (-1, None)), (0, None))
            slope = jax.grad(lambda weight: batch(empty, weight).sum())(weight)  # noqa: B023
            found[how] = batch(empty, weight), nested(inner, weight), nested(outer, weight), slope
        return found

    shapes = (0, 5, 5, 3), (0, 5, 5, 3, 2), (2, 5, 5, 3, 0)
    for how, (*results, slope) in everything(weight, *(np.ones(s, np.float32) for s in shapes)).items():
        assert [y.shape for y in results] == [(0, 3, 3, 6), (0, 2, 3, 3, 6), (2, 0, 3, 3, 6)], how
        np.testing.assert_array_equal(slope, np.zeros_like(weight), err_msg=how)


def test_forward_mode_and_second_derivatives() -> None:
    def loss(x: jax.Array, weight: jax.Array, name: str) -> jax.Array:
        return jnp.sum(convolve(x, weight, lowering=name, **OPTIONS) ** 3)

    @jax.jit
    def everything(x: jax.Array, weight: jax.Array, along: jax.Array) -> dict[str, jax.Array]:
        found = {
            name: jax.jvp(jax.grad(lambda w, name=name: loss(x, w, name)), (weight,), (along,))[1]
            for name in ("auto", "xla")
        }
        linear = lambda x: convolve(x, weight, **OPTIONS)  # noqa: E731
        y, adjoint = jax.vjp(linear, x)
        return found | {"transposed": jax.linear_transpose(linear, x)(y)[0], "adjoint": adjoint(y)[0]}

    found = everything(draw(5, 4, 4), draw(2, 3, 2, 6), draw(2, 3, 2, 6, seed=3))
    assert_close(found["auto"], found["xla"])
    assert_close(found["transposed"], found["adjoint"])


def cubed(xs: jax.Array, weight: jax.Array) -> jax.Array:
    return jax.vmap(lambda x: convolve(x, weight, padding="same"))(xs) ** 3


@pytest.fixture(scope="module")
def undivided() -> Any:
    """Arguments of a loss, and its gradient by both."""
    arguments = draw(4, 5, 4, 2), draw(3, 3, 2, 3)
    return arguments, jax.jit(jax.grad(lambda x, w: jnp.sum(cubed(x, w)), (0, 1)))(*arguments)


@pytest.mark.parametrize("check", [True, False])
def test_gradients_add_up_over_a_mesh(check: bool, undivided: Any) -> None:
    """A kernel that all devices share gets the gradient of all their examples."""
    arguments, expected = undivided
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("data",))
    split, whole = PartitionSpec("data"), PartitionSpec()

    def spread(xs: jax.Array, weight: jax.Array) -> jax.Array:
        over = jax.shard_map(cubed, mesh=mesh, in_specs=(split, whole), out_specs=split, check_vma=check)
        return jnp.sum(over(xs, weight))

    found = jax.jit(jax.grad(spread, (0, 1)))(*arguments)
    for mine, alone in zip(found, expected):
        assert_close(mine, alone)


@pytest.mark.parametrize("check", [True, False])
def test_a_batch_shares_its_kernel_inside_a_mesh(check: bool) -> None:
    """The kernel of all examples is one, and so is its gradient: not one of each example, to be added up."""
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("members",))
    split = PartitionSpec("members")

    def gradient(xs: jax.Array, weights: jax.Array) -> jax.Array:
        def member(xs: jax.Array, weight: jax.Array) -> jax.Array:
            return jax.grad(lambda w: jnp.sum(cubed(xs, w)))(weight)

        return jax.vmap(member)(xs, weights)

    over = jax.shard_map(gradient, mesh=mesh, in_specs=split, out_specs=split, check_vma=check)
    program = str(jax.make_jaxpr(over)(draw(2, 7, 5, 4, 2), draw(2, 3, 3, 2, 3)))
    shapes = re.findall(r"f32(\[[\d,]+\])\S* = correlation", program)
    assert shapes == [
        "[1,7,5,4,3]",
        "[1,3,3,2,3]",
    ]  # of 1 member a device: results of 7 examples, one gradient


def test_a_person_may_disable_compilation() -> None:
    x, weight = draw(5, 4, 4), draw(2, 3, 2, 6)
    with jax.disable_jit():
        found = convolve(x, weight, **OPTIONS)
    assert_close(found, convolve(x, weight, **OPTIONS))
