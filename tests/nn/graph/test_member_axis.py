"""Operations over edges under `vmap`, over a mesh, and compiled again: always those of one member alone."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from populace.nn.graph.aggregate import aggregate, attend, softmax_sum
from tests.nn.draws import weigh
from tests.nn.graph.formulas import BACKENDS, SQUARE, assert_close, draw, loops, some

WIDE = some(2, 40, (5, 11))


@cache
def all_of_it(backend: str) -> Any:
    """Sums and maxima with their gradients, and a softmax."""

    @jax.jit
    def run(x: Any, w: Any) -> Any:
        y, adjoint = jax.vjp(lambda x, w: aggregate(WIDE, x, "mean", w, backend), x, w)
        best = jax.grad(lambda x: weigh(aggregate(WIDE, x, "max", backend=backend)))(x)
        return y, *adjoint(jnp.cos(y)), best, softmax_sum(WIDE, w, x, backend)

    return run


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("axes", "heads"), [((0, None), 2), ((None, 0), 2), ((0, 0), 1), ((2, 1), 2)], ids=str
)
def test_any_operand_can_be_mapped(axes: Any, heads: int, backend: str) -> None:
    """Members with weights of their own, features of their own, or both; with gradients, compiled."""
    x, w = draw(11, heads, 3), draw(WIDE.count, heads, seed=1)
    xs = x if axes[0] is None else np.stack([x, -2 * x, x * x], axes[0])
    ws = w if axes[1] is None else np.stack([w, w * w, -w], axes[1])
    alone = all_of_it(backend)
    together = jax.jit(jax.vmap(alone, axes))(xs, ws)
    for i in range(3):
        one = [a if axis is None else np.take(a, i, axis) for a, axis in zip((xs, ws), axes)]
        for mine, expected in zip(together, alone(*one), strict=True):
            assert_close(np.asarray(mine)[i], expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_maps_in_maps_and_gradients_of_shared_operands(backend: str) -> None:
    edges = SQUARE
    xs, ws = draw(3, 9, 4), draw(2, edges.count, seed=1)
    one = lambda x, w: aggregate(edges, x, "sum", w, backend)  # noqa: E731

    def by_maps(w: Any, x: Any) -> Any:
        both = jax.vmap(one, (0, None))(xs, w) + jax.vmap(one, (None, 0))(x, jnp.stack([w, -3 * w, w]))
        return jnp.sum(both**3)

    def by_loops(w: Any, x: Any) -> Any:
        return sum(jnp.sum((one(a, w) + one(x, c * w)) ** 3) for a, c in zip(xs, (1, -3, 1)))

    @jax.jit
    def run(xs: Any, ws: Any) -> Any:
        nested = jax.vmap(lambda w: jax.vmap(lambda x: one(x, w))(xs))(ws)
        return nested, *(jax.grad(f, (0, 1))(ws[0], xs[1]) for f in (by_maps, by_loops))

    nested, found, expected = run(xs, ws)
    assert_close(nested, [[loops(edges, x, "sum", w) for x in xs] for w in ws])
    for mine, alone in zip(found, expected, strict=True):
        assert_close(mine, alone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_graphs_themselves_can_be_mapped(backend: str) -> None:
    graphs = [some(seed, 20, (7, 7)) for seed in (5, 6)]
    x, w = draw(7, 3), draw(20, seed=1)

    @jax.jit
    def run(edges: Any, x: Any) -> Any:
        return jax.value_and_grad(lambda x: weigh(aggregate(edges, x, "sum", w, backend) ** 2))(x)

    stacked = jax.tree.map(lambda *a: np.stack(a, axis=1), *graphs)  # members behind, not in front
    together = jax.jit(jax.vmap(run, (1, None)))(stacked, x)
    for i, edges in enumerate(graphs):
        for mine, alone in zip(together, run(edges, x), strict=True):
            assert_close(np.asarray(mine)[i], alone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_is_the_same_and_always_the_same(backend: str) -> None:
    edges = some(7, 4000, (300, 300))
    x, w = draw(300, 200), draw(4000, seed=1)

    def run(x: Any, w: Any) -> Any:
        loss = lambda x, w: weigh(aggregate(edges, x, "sum", w, backend) ** 2)  # noqa: E731
        return jax.value_and_grad(loss, (0, 1))(x, w)

    compiled = jax.jit(run)
    first, second = compiled(x, w), compiled(x, w)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), first, run(x, w))
    with jax.default_device(jax.devices()[-1]):
        jax.tree.map(np.testing.assert_array_equal, first, compiled(x, w))


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_add_up_over_a_mesh(backend: str) -> None:
    """Whether or not `shard_map` checks which values vary over the mesh."""
    edges = SQUARE
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("members",))
    split, whole = PartitionSpec("members"), PartitionSpec()

    def loss_of(xs: Any, w: Any) -> Any:
        def one(x: Any) -> Any:
            y = aggregate(edges, x, "sum", w, backend) + aggregate(edges, x, "max", backend=backend)
            return y + attend(edges, x, x * w[0], x[..., None], backend=backend)[..., 0]

        return jax.vmap(one)(xs) ** 2

    def spread(check: bool) -> Any:
        over = jax.shard_map(loss_of, mesh=mesh, in_specs=(split, whole), out_specs=split, check_vma=check)
        return jax.jit(jax.grad(lambda xs, w: jnp.sum(over(xs, w)), (0, 1)))

    xs, w = draw(4, 9, 2), draw(edges.count, seed=1)
    expected = jax.jit(jax.grad(lambda xs, w: jnp.sum(loss_of(xs, w)), (0, 1)))(xs, w)
    for check in (True, False):
        for mine, alone in zip(spread(check)(xs, w), expected, strict=True):
            assert_close(mine, alone, 1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_members_have_no_results(backend: str) -> None:
    """A mapped axis of length 0, also beside operands that all members share."""
    x, w = np.zeros((0, 9, 3), np.float32), draw(SQUARE.count, seed=1)
    for how in ("sum", "mean", "max"):
        weight = None if how == "max" else w

        def total(x: Any, how: str = how, weight: Any = weight) -> Any:
            return jnp.sum(jax.vmap(lambda x: aggregate(SQUARE, x, how, weight, backend))(x))

        value, gradient = jax.jit(jax.value_and_grad(total))(x)
        assert (value, gradient.shape) == (0, (0, 9, 3))


def test_a_person_may_disable_compilation() -> None:
    x = draw(9, 3)
    with jax.disable_jit():
        found = [aggregate(SQUARE, x, how) for how in ("sum", "max")]
    for how, one in zip(("sum", "max"), found):
        assert_close(one, aggregate(SQUARE, x, how))
