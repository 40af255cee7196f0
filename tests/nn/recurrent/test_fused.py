"""LSTM and GRU by kernels: NumPy's loops at the edges of tiles, under every map, and all derivatives."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core import native
from populace.nn.recurrent import fused, scan
from tests.nn.recurrent.operands import (
    ACROSS,
    CELLS,
    SIZES,
    assert_close,
    draw,
    formula,
    layer,
    ours,
    theirs,
    with_gradients,
)  # fmt: skip

pytestmark = pytest.mark.skipif(not native.wide(), reason="no kernels for vectors")


@pytest.mark.parametrize(("cell", "reverse"), ACROSS)
def test_any_number_of_members_rows_and_units(cell: str, reverse: bool) -> None:
    params: Any = {"cell": cell, "reverse": reverse}
    drawn = [draw(cell, *sizes) for sizes in SIZES]
    found = jax.jit(lambda d: [with_gradients(ours, each, **params) for each in d])(drawn)
    plain = jax.jit(lambda d: [ours(*each[:6], **params) for each in d])(drawn)
    for sizes, each, (states, gradients), alone in zip(SIZES, drawn, found, plain, strict=True):
        *operands, by_h, by_last = (a.astype(np.float64) for a in each)
        expected = formula(*operands, **params)
        assert_close(states, expected, sizes)
        jax.tree.map(np.testing.assert_array_equal, alone, states)
        # The gradient against differences of NumPy's loop, along some direction of all operands at once.
        way = [np.random.default_rng(k).normal(size=a.shape) for k, a in enumerate(operands)]
        ahead, behind = (
            sum(
                np.sum(a * g, axis=tuple(range(1, a.ndim)))
                for a, g in zip(
                    formula(*(a + step * d for a, d in zip(operands, way)), **params),
                    (by_h, by_last, np.sin(expected[2])),
                )
            )
            for step in (1e-6, -1e-6)
        )
        slopes = sum(
            np.sum(np.asarray(g, np.float64) * d, axis=tuple(range(1, d.ndim)))
            for g, d in zip(gradients, way)
        )
        expected_slopes = (ahead - behind) / 2e-6
        size = np.sqrt(sum(np.sum(np.square(np.asarray(g, np.float64))) for g in gradients))
        np.testing.assert_allclose(
            slopes, expected_slopes, rtol=0, atol=1e-5 * (1 + size), err_msg=str(sizes)
        )


@pytest.mark.parametrize(("cell", "reverse"), ACROSS)
def test_every_gradient_is_that_of_the_loop(cell: str, reverse: bool) -> None:
    params: Any = {"cell": cell, "reverse": reverse}
    drawn = [draw(cell, *sizes) for sizes in SIZES[1:5]]
    found, expected = jax.jit(
        lambda d: [[with_gradients(f, each, **params)[1] for each in d] for f in (ours, theirs)]
    )(drawn)
    assert_close(found, expected, cell, 1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_only_what_is_asked_for(cell: str) -> None:
    """Gradients by inputs alone, by weights alone, of last states alone and of all states alone."""
    params: Any = {"cell": cell, "reverse": False}
    x, *rest = draw(cell, 2, 3, 4, 5, 6)[:6]

    def some(function: Any) -> Any:
        def weigh(a: jax.Array) -> jax.Array:
            return jnp.sum(a * jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape))

        by_x = jax.grad(lambda x: weigh(function(x, *rest, **params)[0]))(x)
        by_r = jax.grad(lambda r: weigh(function(x, rest[0], r, *rest[2:], **params)[1]))(rest[1])
        by_b = jax.grad(lambda b: weigh(function(x, *rest[:2], b, *rest[3:], **params)[2]))(rest[2])
        return by_x, by_r, by_b

    found, expected = jax.jit(lambda: [some(f) for f in (ours, theirs)])()
    assert_close(found, expected, cell, 1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_mapped_over_any_operand(cell: str) -> None:
    operands = [a[0, 0] if k in (0, 4, 5) else a[0] for k, a in enumerate(draw(cell, 1, 1, 4, 3, 5)[:6])]
    ways = [
        (0, None, None, None, None, None), (1, None, None, None, 0, 0), (None, 0, None, None, None, None),
        (None, None, 1, 0, None, None), (0, 0, 0, 0, 0, 0), (None, None, None, None, 0, None),
    ]  # fmt: skip
    batches = [
        [a if d is None else np.stack([a, a / 2, -a], d) for a, d in zip(operands, dims)] for dims in ways
    ]

    def all_of(function: Any) -> Any:
        def loss(dims: Any, given: Any) -> jax.Array:
            found = jax.vmap(function, dims)(*given)
            return sum(jnp.sum(a * jnp.cos(jnp.arange(a.size)).reshape(a.shape)) for a in found)

        return [jax.value_and_grad(lambda o, d=d: loss(d, o))(o) for d, o in zip(ways, batches)]

    def by_loop(x: Any, u: Any, r: Any, b: Any, h: Any, c: Any) -> Any:
        all_h, end = scan.by_loop(CELLS[cell], False, x, (u, r, b), (h, c)[: CELLS[cell].arrays], None)
        return all_h, end[0], (*end, c)[1]

    found, expected = jax.jit(
        lambda: (all_of(lambda *a: layer(*a, cell=cell, reverse=False)), all_of(by_loop))
    )()
    assert_close(found, expected, "maps", 1e-5)
    x, *rest = operands
    nothing = jax.vmap(lambda u: layer(x, u, *rest[1:], cell=cell, reverse=False)[0])(
        np.zeros((0, *rest[0].shape), np.float32)
    )
    assert nothing.shape == (0, 4, 5)


@pytest.mark.parametrize("cell", CELLS)
def test_directions_and_second_derivatives(cell: str) -> None:
    params: Any = {"cell": cell, "reverse": False}
    x, *rest = draw(cell, 2, 3, 4, 2, 5)[:6]

    def derivatives(function: Any) -> Any:
        def of(x: Any, r: Any) -> jax.Array:
            return jnp.sum(function(x, rest[0], r, *rest[2:], **params)[0] ** 2)

        def along(x: Any, r: Any) -> jax.Array:
            return jax.jvp(lambda x: of(x, r), (x,), (jnp.sin(x),))[1]

        squared = lambda r: jnp.sum(jax.grad(of)(x, r) ** 2)  # noqa: E731
        return (
            jax.jvp(lambda r: function(x, rest[0], r, *rest[2:], **params), (rest[1],), (rest[1] / 2,))[1],
            along(x, rest[1]), jax.grad(along, 1)(x, rest[1]), jax.grad(squared)(rest[1]),
            jax.jvp(lambda r: jax.grad(of)(x, r), (rest[1],), (rest[1] / 3,))[1],
        )  # fmt: skip

    found, expected = jax.jit(lambda: [derivatives(f) for f in (ours, theirs)])()
    assert_close(found, expected, cell, 1e-5)


def test_gates_over_the_whole_range() -> None:
    """Sigmoid and tanh of whatever float32 can be: read where the kernel keeps its gates."""
    with np.errstate(over="ignore"):
        x = np.concatenate([
            np.linspace(-20, 20, 4001), np.linspace(-120, 120, 1201), 10.0 ** np.arange(-46, 39),
            -(10.0 ** np.arange(-46, 39)), [0, -0.0, np.inf, -np.inf, np.nan, 3e38, -3e38],
        ]).astype(np.float32)  # fmt: skip
    # A member for each: its biases of the gates i and g, of a sequence of one step, one row and one unit.
    bias, one = x[:, None] * np.float32([1, 0, 1, 0]), np.zeros((1, 1, 1), np.float32)
    bias[:, 1::2] = 0
    operands = one[None], np.zeros((1, 1, 4), np.float32), np.zeros((1, 1, 4), np.float32), bias, one, one
    saved = jax.jit(
        lambda *a: fused.recur_p.bind(*a, backend="auto", cell="lstm", reverse=False, save=True)[3]
    )(*operands)
    i, _, g, *_ = np.asarray(saved)[:, 0, 0, :, 0].T
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        exact = 1 / (1 + np.exp(-wide))
    np.testing.assert_allclose(i, exact, rtol=6e-7, atol=2.2e-19)  # 0 below -43
    np.testing.assert_allclose(g, np.tanh(wide), rtol=6e-7, atol=1.3e-38)
    assert i[np.isinf(x)].tolist() == [1, 0]
    assert np.isnan(i[np.isnan(x)]).all()
    assert np.isnan(g[np.isnan(x)]).all()


def test_what_is_not_finite_stays_in_its_row() -> None:
    """A row with infinite inputs has the values and gradients of the loop; others know nothing of it."""
    each = draw("lstm", 1, 3, 4, 2, 5)
    each[0][0, 1, 2] = np.inf
    each[0][0, 2, 1] = np.nan
    found, expected = jax.jit(
        lambda d: [with_gradients(f, d, cell="lstm", reverse=False) for f in (ours, theirs)]
    )(each)
    (states, gradients), (states_too, gradients_too) = jax.tree.map(np.asarray, (found, expected))
    for a, b in zip((states[0], gradients[0]), (states_too[0], gradients_too[0])):
        np.testing.assert_allclose(a[0, :2], b[0, :2], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(np.isnan(a[0, 2]), np.isnan(b[0, 2]))
