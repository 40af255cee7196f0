"""Aggregation over edges: every kind and backend against loops in NumPy, with derivatives."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError
from populace.nn.graph.aggregate import (
    aggregate,
    at_sources,
    at_targets,
    attend,
    edge_softmax,
    softmax_sum,
    sum_at_targets,
)
from populace.nn.graph.edges import EdgeIndex
from tests.nn.draws import weigh
from tests.nn.graph.formulas import (
    BACKENDS,
    GRAPHS,
    SQUARE,
    assert_close,
    attention_loops,
    check_derivatives,
    draw,
    ends,
    loops,
)


def inputs_of(edges: Any) -> tuple[Any, ...]:
    """Return features of several shapes, weights, what targets hold, and the operands of attention."""
    xs = [draw(edges.size[1], *shape) for shape in ((5,), (2, 3), (0,))]
    weights = draw(edges.count, seed=1), draw(edges.count, 2, seed=2)
    operands = [ends(edges, *shape) for shape in ((2, 3), (1, 17), (19, 8))]
    return xs, weights, draw(edges.size[0], 4), operands


def by_kind(one: Any, x: Any, weights: Any) -> dict[str, Any]:
    """Return what comes of every kind of aggregation that fits the shape of x."""
    found = {kind: one(x, kind) for kind in ("sum", "mean", "max")}
    found |= {f"weighted {how}": one(x, how, weights[0]) for how in ("sum", "mean")}
    return found | ({"sum weighted by head": one(x, "sum", weights[1])} if x.ndim == 3 else {})


@cache
def everything(backend: str) -> Any:
    """The program is given the graph, so one serves all graphs of a size."""

    @jax.jit
    def run(edges: Any, xs: Any, weights: Any, at: Any, operands: Any) -> Any:
        one = lambda x, how, weight=None: aggregate(edges, x, how, weight, backend)  # noqa: E731
        attention = [attend(edges, *stx, slope=0.3, backend=backend) for stx in operands]
        ends = at_sources(edges, xs[1], backend), at_targets(edges, at, backend)
        return [by_kind(one, x, weights) for x in xs], ends, attention

    return run


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_what_the_formula_says(name: str, backend: str) -> None:
    edges = GRAPHS[name]
    xs, weights, at, operands = given = inputs_of(edges)
    found, (of_sources, of_targets), attention = everything(backend)(edges, *given)
    for x, kinds in zip(xs, found, strict=True):
        expected = by_kind(lambda x, how, weight=None: loops(edges, x, how, weight), x, weights)
        assert kinds.keys() == expected.keys()
        for kind, y in kinds.items():
            assert y.dtype == x.dtype, kind
            assert_close(y, expected[kind])
    assert_close(of_sources, xs[1][edges.sources])
    assert_close(of_targets, at[edges.targets])
    for stx, y in zip(operands, attention, strict=True):
        assert_close(y, attention_loops(edges, *stx, 0.3))


def test_eager_calls_give_what_compiled_ones_give() -> None:
    def run(x: Any, w: Any, s: Any) -> Any:
        sums = aggregate(SQUARE, x, "mean", w), aggregate(SQUARE, x, "max"), softmax_sum(SQUARE, w, x)
        return *sums, attend(SQUARE, s, s, x), sum_at_targets(SQUARE, w)

    given = draw(9, 2, 3), draw(SQUARE.count, 2, seed=1), draw(9, 2, seed=2)
    jax.tree.map(assert_close, run(*map(jnp.asarray, given)), jax.jit(run)(*given))


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_softmax_and_ends(backend: str) -> None:
    edges = GRAPHS["isolated"]
    with jax.enable_x64(True):

        def loss(scores: Any, x: Any) -> Any:
            a = softmax_sum(edges, scores, x, backend) ** 2
            b = at_sources(edges, x, backend) * jnp.sin(at_targets(edges, x[:9], backend))
            return weigh(a) + weigh(b) + weigh(sum_at_targets(edges, scores, backend) ** 3)

        check_derivatives(loss, 3 * draw(edges.count, 2), draw(11, 2, 3, seed=1))


@cache
def softmax(backend: str) -> Any:
    return jax.jit(lambda edges, scores: edge_softmax(edges, scores, backend))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GRAPHS)
def test_softmax_adds_up_to_one(name: str, backend: str) -> None:
    edges = GRAPHS[name]
    scores = 100 * draw(edges.count, 3)
    alpha = np.asarray(softmax(backend)(edges, scores))
    total = np.zeros((edges.size[0], 3))
    np.add.at(total, edges.targets, alpha)
    assert_close(
        total, np.broadcast_to(np.isin(np.arange(edges.size[0]), edges.targets)[:, None], total.shape)
    )
    assert_close(softmax(backend)(edges, scores + 1000), alpha, 1e-4)


def test_bad_input() -> None:
    edges = SQUARE
    x = draw(9, 2, 3)
    refused = {
        "aggregate: x has shape (8, 3), expected (9, F) or (9, H, F)": lambda: aggregate(edges, draw(8, 3)),
        "unknown aggregation 'maxx'; did you mean 'max'?": lambda: aggregate(edges, x, "maxx"),
        "unknown backend 'nativ'; did you mean 'native'?": lambda: aggregate(edges, x, backend="nativ"),
        "aggregate: weight has shape (3,), expected (30,) or (30, 2)": lambda: aggregate(
            edges, x, weight=draw(3)
        ),
        "aggregate: 'max' takes no weight; scale x, or use 'sum' or 'mean'": lambda: aggregate(
            edges, x, "max", draw(30)
        ),
        "attend: rate must be in [0, 1), got 1": lambda: attend(edges, x[..., 0], x[..., 0], x, rate=1),
        "attend: t has shape (9, 3), expected (9, 2)": lambda: attend(edges, x[..., 0], x[:, 0], x),
        "at_targets: x has shape (3,), expected (9, ...)": lambda: at_targets(edges, draw(3)),
    }
    for message, call in refused.items():
        with pytest.raises(UsageError) as error:
            call()
        assert str(error.value) == message


@pytest.mark.parametrize("backend", ["auto", "xla"])
def test_half_precision_is_added_up_in_float32(backend):
    """bfloat16 counts no further than 256: of 3,000 ones, forward and backward."""
    edges, _ = EdgeIndex.of(np.arange(3000), np.zeros(3000, int), (1, 3000))
    ones = jnp.ones((3000, 1), jnp.bfloat16)
    back, _ = EdgeIndex.of(np.zeros(3000, int), np.arange(3000), (3000, 1))

    @jax.jit
    def run(x):
        found = [aggregate(edges, x, how, backend=backend) for how in ("sum", "mean")]
        share = edge_softmax(edges, x[:, 0], backend)
        slope = jax.grad(lambda one: aggregate(back, one, backend=backend).astype(jnp.float32).sum())(x[:1])
        return [*found, share[:1].astype(jnp.float32) * 3000, slope]

    for found, expected in zip(run(ones), (3000, 1, 1, 3000)):
        np.testing.assert_allclose(np.asarray(found, np.float32).ravel(), expected, rtol=4e-3)
