"""Aggregation over arcs: every kind and backend against loops in NumPy, with all derivatives."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from populace.core.errors import UsageError
from populace.nn.graph.aggregate import (
    aggregate,
    at_sources,
    at_targets,
    attend,
    softmax_over_arcs,
    softmax_sum,
    sum_at_targets,
)
from populace.nn.graph.edge_attention import fused
from populace.nn.graph.edges import Arcs
from populace.nn.graph.segment_sum import indices
from populace.nn.primitives import native
from populace.nn.primitives.hashing import kept, seed_pair, uniform_bits

BACKENDS = [
    "xla",
    pytest.param("native", marks=pytest.mark.skipif(bool(native.missing()), reason="no kernels")),
]
NATIVE = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")


def graph(sources: Any, targets: Any, size: tuple[int, int]) -> Arcs:
    return Arcs.of(np.asarray(sources, int), np.asarray(targets, int), size)[0]


def some(seed: int, arcs: int, size: tuple[int, int]) -> Arcs:
    draws = np.random.default_rng(seed)
    return graph(draws.integers(0, size[1], arcs), draws.integers(0, size[0], arcs), size)


GRAPHS = {
    "square": some(0, 30, (9, 9)),
    "isolated": some(1, 8, (12, 12)),
    "wide": some(2, 40, (5, 11)),
    "hub": graph(list(range(20)), [3] * 20, (6, 20)),
    "duplicates": graph([1, 1, 1, 0], [0, 0, 2, 2], (3, 3)),
    "loops": graph([0, 1, 2, 1], [0, 1, 2, 0], (3, 3)),
    "one node": graph([0], [0], (1, 1)),
    "no arcs": graph([], [], (4, 3)),
    "no nodes": graph([], [], (0, 0)),
}


def draw(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.result_type(float))


def loops(arcs: Arcs, x: Any, how: str, weight: Any = None) -> np.ndarray:
    """The formula of `aggregate`, arc by arc."""
    x = np.asarray(x, np.float64)
    y = np.zeros((arcs.size[0], *x.shape[1:]))
    for i in range(arcs.size[0]):
        into = [e for e in range(arcs.count) if arcs.targets[e] == i]
        each = [x[arcs.sources[e]] for e in into]
        if weight is not None:
            w = np.asarray(weight, np.float64)
            each = [m * (w[e][..., None] if w.ndim == 2 else w[e]) for m, e in zip(each, into)]
        if each:
            y[i] = {"sum": np.sum, "mean": np.mean, "max": np.max}[how](each, axis=0)
    return y


def attention_loops(arcs: Arcs, s: Any, t: Any, x: Any, slope: float) -> np.ndarray:
    s, t, x = (np.asarray(a, np.float64) for a in (s, t, x))
    y = np.zeros((arcs.size[0], *x.shape[1:]))
    for i in range(arcs.size[0]):
        into = [e for e in range(arcs.count) if arcs.targets[e] == i]
        raw = np.array([s[arcs.sources[e]] + t[i] for e in into]).reshape(len(into), s.shape[1])
        power = np.exp(np.where(raw > 0, raw, slope * raw))
        for e, p in zip(into, power):
            y[i] += (p / power.sum(0))[:, None] * x[arcs.sources[e]]
    return y


def weigh(y: jax.Array) -> jax.Array:
    return jnp.sum(y * jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))


def assert_close(found: Any, expected: Any, tolerance: float = 2e-6) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = max(float(np.max(np.abs(expected), initial=0)), 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_what_the_formula_says(name: str, backend: str) -> None:
    arcs = GRAPHS[name]
    w, heads_w = draw(arcs.count, seed=1), draw(arcs.count, 2, seed=2)
    for shape in ((5,), (2, 3), (0,)):
        x = draw(arcs.size[1], *shape)
        cases = [("sum", None), ("mean", None), ("max", None), ("sum", w), ("mean", w)]
        for how, weight in cases + ([("sum", heads_w)] if len(shape) == 2 else []):
            y = aggregate(arcs, x, how, weight, backend)
            assert y.dtype == x.dtype
            assert_close(y, loops(arcs, x, how, weight))
    assert_close(at_sources(arcs, x, backend), np.asarray(x)[arcs.sources])
    at = draw(arcs.size[0], 4)
    assert_close(at_targets(arcs, at, backend), np.asarray(at)[arcs.targets])


@NATIVE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("features", [1, 3, 4, 7, 8, 9, 16, 23, 31, 32, 40, 57, 64, 65, 90, 130, 1000])
def test_the_kernels_at_every_length_of_a_row(features: int, dtype: Any) -> None:
    """Rows are cut into vectors, and vectors into tiles: every remainder is another program."""
    arcs = some(4, 60, (12, 15))
    with jax.enable_x64(dtype == np.float64):
        for members in (1, 2, 3, 7, 9):
            x, w = draw(members, 15, features), draw(members, arcs.count, seed=1)
            for axes, weight in ((None, None), (None, w[0]), (0, w)):
                run = jax.vmap(
                    lambda x, w: aggregate(arcs, x, "sum", w, "native"),
                    (0, axes if weight is not None else None),
                )
                y = run(x, weight)
                assert y.dtype == dtype
                dense = np.zeros((members, 12, 15))
                values = np.ones(arcs.count) if weight is None else np.asarray(weight, float)
                for m in range(members):
                    np.add.at(
                        dense[m], (arcs.targets, arcs.sources), values[m] if values.ndim == 2 else values
                    )
                assert_close(y, dense @ np.asarray(x, float))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("how", ["sum", "mean", "max"])
def test_gradients_are_those_of_finite_differences(how: str, backend: str) -> None:
    arcs = GRAPHS["square"]
    with jax.enable_x64(True):
        x, w = draw(9, 2, 3), None if how == "max" else draw(arcs.count, 2, seed=1)

        def loss(x: Any, w: Any) -> Any:
            return weigh(aggregate(arcs, x, how, w, backend) ** 2)

        of_x = lambda x: loss(x, None)  # noqa: E731
        whole, given = (of_x, (x,)) if w is None else (loss, (x, w))
        jax.test_util.check_grads(whole, given, order=2, atol=1e-5, rtol=1e-5, eps=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_softmax_and_ends(backend: str) -> None:
    arcs = GRAPHS["isolated"]
    with jax.enable_x64(True):
        scores, x = 3 * draw(arcs.count, 2), draw(12, 2, 3, seed=1)

        def loss(scores: Any, x: Any) -> Any:
            a = softmax_sum(arcs, scores, x, backend) ** 2
            b = at_sources(arcs, x, backend) * jnp.sin(at_targets(arcs, x, backend))
            return weigh(a) + weigh(b) + weigh(sum_at_targets(arcs, scores, backend) ** 3)

        jax.test_util.check_grads(loss, (scores, x), order=2, atol=1e-5, rtol=1e-5, eps=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GRAPHS)
def test_softmax_adds_up_to_one(name: str, backend: str) -> None:
    arcs = GRAPHS[name]
    scores = 100 * draw(arcs.count, 3)
    alpha = np.asarray(softmax_over_arcs(arcs, scores, backend))
    total = np.zeros((arcs.size[0], 3))
    np.add.at(total, arcs.targets, alpha)
    assert_close(total, np.broadcast_to(np.isin(np.arange(arcs.size[0]), arcs.targets)[:, None], total.shape))
    raised = softmax_over_arcs(arcs, scores + 1000, backend)
    assert_close(raised, alpha, 1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_equal_largest_ones_the_first_has_the_gradient(backend: str) -> None:
    arcs = graph([0, 1, 2], [0, 0, 0], (2, 3))
    x = jnp.asarray([[1.0], [2.0], [2.0]])
    found = jax.grad(lambda x: jnp.sum(aggregate(arcs, x, "max", backend=backend)))(x)
    np.testing.assert_array_equal(found, [[0.0], [1.0], [0.0]])
    assert np.isnan(aggregate(arcs, x.at[1].set(jnp.nan), "max", backend=backend)[0, 0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 1)], ids=str)
@pytest.mark.parametrize("heads", [1, 2])
def test_any_operand_can_be_mapped(axes: Any, heads: int, backend: str) -> None:
    """Members with weights of their own, features of their own, or both; with gradients, compiled."""
    arcs = GRAPHS["wide"]
    x, w = draw(11, heads, 3), draw(arcs.count, heads, seed=1)
    xs = x if axes[0] is None else jnp.stack([x, -2 * x, x * x], axes[0])
    ws = w if axes[1] is None else jnp.stack([w, w * w, -w], axes[1])

    def all_of_it(x: jax.Array, w: jax.Array) -> Any:
        y, adjoint = jax.vjp(lambda x, w: aggregate(arcs, x, "mean", w, backend), x, w)
        best = jax.grad(lambda x: weigh(aggregate(arcs, x, "max", backend=backend)))(x)
        return y, *adjoint(jnp.cos(y)), best, softmax_sum(arcs, w, x, backend)

    together = jax.jit(jax.vmap(all_of_it, axes))(xs, ws)
    for i in range(3):
        one = [a if axis is None else jnp.take(a, i, axis) for a, axis in zip((xs, ws), axes)]
        for mine, alone in zip(together, all_of_it(*one)):
            assert_close(mine[i], alone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_maps_in_maps_and_gradients_of_shared_operands(backend: str) -> None:
    arcs = GRAPHS["square"]
    xs, ws = draw(3, 9, 4), draw(2, arcs.count, seed=1)
    one = lambda x, w: aggregate(arcs, x, "sum", w, backend)  # noqa: E731
    found = jax.vmap(lambda w: jax.vmap(lambda x: one(x, w))(xs))(ws)
    assert_close(found, [[loops(arcs, x, "sum", w) for x in xs] for w in ws])

    def loss(w: jax.Array, x: jax.Array) -> jax.Array:
        both = jax.vmap(one, (0, None))(xs, w) + jax.vmap(one, (None, 0))(x, jnp.stack([w, -3 * w, w]))
        return jnp.sum(both**3)

    by_loops = jax.grad(
        lambda w, x: sum(jnp.sum((one(a, w) + one(x, c * w)) ** 3) for a, c in zip(xs, (1, -3, 1))), (0, 1)
    )
    for mine, alone in zip(jax.jit(jax.grad(loss, (0, 1)))(ws[0], xs[1]), by_loops(ws[0], xs[1])):
        assert_close(mine, alone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_graphs_themselves_can_be_mapped(backend: str) -> None:
    graphs = [some(seed, 20, (7, 7)) for seed in (5, 6)]
    stacked = jax.tree.map(lambda *a: jnp.stack(a), *graphs)
    x, w = draw(7, 3), draw(20, seed=1)
    run = lambda arcs, x: jax.value_and_grad(lambda x: weigh(aggregate(arcs, x, "sum", w, backend) ** 2))(x)  # noqa: E731
    value, gradient = jax.jit(jax.vmap(run, (0, None)))(stacked, x)
    for i, arcs in enumerate(graphs):
        alone = run(arcs, x)
        assert_close(value[i], alone[0])
        assert_close(gradient[i], alone[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_is_the_same_and_always_the_same(backend: str) -> None:
    arcs = some(7, 4000, (300, 300))
    x, w = draw(300, 200), draw(4000, seed=1)

    def run(x: jax.Array, w: jax.Array) -> Any:
        return jax.value_and_grad(lambda x, w: weigh(aggregate(arcs, x, "sum", w, backend) ** 2), (0, 1))(
            x, w
        )

    first, second = jax.jit(run)(x, w), jax.jit(run)(x, w)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), first, run(x, w))
    with jax.default_device(jax.devices()[-1]):
        jax.tree.map(np.testing.assert_array_equal, first, jax.jit(run)(x, w))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("check", [True, False])
def test_gradients_add_up_over_a_mesh(check: bool, backend: str) -> None:
    arcs = GRAPHS["square"]
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("members",))
    split, whole = PartitionSpec("members"), PartitionSpec()

    def loss_of(xs: jax.Array, w: jax.Array) -> jax.Array:
        def one(x: jax.Array) -> jax.Array:
            y = aggregate(arcs, x, "sum", w, backend) + aggregate(arcs, x, "max", backend=backend)
            return y + attend(arcs, x, x * w[0], x[..., None], backend=backend)[..., 0]

        return jax.vmap(one)(xs) ** 2

    def spread(xs: jax.Array, w: jax.Array) -> jax.Array:
        over = jax.shard_map(loss_of, mesh=mesh, in_specs=(split, whole), out_specs=split, check_vma=check)
        return jnp.sum(over(xs, w))

    xs, w = draw(4, 9, 2), draw(arcs.count, seed=1)
    found = jax.jit(jax.grad(spread, (0, 1)))(xs, w)
    for mine, alone in zip(found, jax.grad(lambda x, w: jnp.sum(loss_of(x, w)), (0, 1))(xs, w)):
        assert_close(mine, alone, 1e-5)


def inputs(arcs: Arcs, heads: int = 2, features: int = 3) -> tuple[jax.Array, ...]:
    targets, sources = arcs.size
    return draw(sources, heads), draw(targets, heads, seed=1), draw(sources, heads, features, seed=2)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GRAPHS)
def test_attention_is_what_the_formula_says(name: str, backend: str) -> None:
    arcs = GRAPHS[name]
    for heads, features in ((2, 3), (1, 17), (19, 8)):
        s, t, x = inputs(arcs, heads, features)
        assert_close(attend(arcs, s, t, x, slope=0.3, backend=backend), attention_loops(arcs, s, t, x, 0.3))


@NATIVE
@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_fused_attention_is_that_of_its_parts(rate: float, x64: bool) -> None:
    """With the same key the same arcs are dropped; members with keys, rates and slopes of their own."""
    arcs = GRAPHS["square"]
    with jax.enable_x64(x64):
        keys = jax.random.split(jax.random.key(3), 3)
        rates, slopes = jnp.asarray([rate, rate / 2, rate]), jnp.asarray([0.2, 0.1, -0.3])
        s, t, x = inputs(arcs, 3, 9)

        def run(backend: str) -> Any:
            def one(key: Any, rate: Any, slope: Any, x: Any) -> Any:
                def loss(s: Any, t: Any, x: Any) -> Any:
                    y = attend(arcs, s, t, x, slope=slope, rate=rate, key=key, backend=backend)
                    return weigh(y**2), y

                return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(s, t, x)

            shared = jax.jit(jax.vmap(one, (0, 0, 0, None)))(keys, rates, slopes, x)
            own = jax.jit(jax.vmap(one))(keys, rates, slopes, jnp.stack([x, 2 * x, -x]))
            return shared, own, one(keys[1], rates[1], slopes[1], 2 * x)

        fused, parts = run("native"), run("xla")
        jax.tree.map(lambda a, b: assert_close(a, b, 1e-12 if x64 else 1e-5), fused, parts)
        jax.tree.map(lambda a, b: assert_close(a[1], b, 1e-12 if x64 else 1e-5), fused[1], fused[2])


@NATIVE
@pytest.mark.parametrize(("heads", "features"), [(8, 8), (1, 7), (3, 5), (11, 2)])
def test_fused_attention_over_rows_of_any_length(heads: int, features: int) -> None:
    """Rows longer than a block of the kernel, blocks of many rows, and rows without arcs between them."""
    random = np.random.default_rng(4)
    nodes, hub = 900, 450
    sources = np.r_[np.arange(nodes), random.integers(0, nodes, 2_000)]
    targets = np.r_[np.full(nodes, hub), random.integers(0, hub, 2_000)]  # behind the hub nobody hears
    arcs = graph(sources, targets, (nodes, nodes))

    def run(backend: str, *operands: jax.Array) -> Any:
        y = attend(arcs, *operands, rate=0.4, key=jax.random.key(3), backend=backend)
        return weigh(y**2), y

    found, expected = (
        jax.jit(jax.value_and_grad(partial(run, backend), (0, 1, 2), has_aux=True))(
            *inputs(arcs, heads, features)
        )
        for backend in ("native", "xla")
    )
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found[0][1], expected[0][1])
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_attention_are_those_of_finite_differences(backend: str) -> None:
    arcs = GRAPHS["square"]
    with jax.enable_x64(True):
        key = jax.random.key(1)
        loss = lambda s, t, x: weigh(attend(arcs, s, t, x, rate=0.3, key=key, backend=backend) ** 2)  # noqa: E731
        jax.test_util.check_grads(loss, inputs(arcs), order=1, modes=["rev"], atol=1e-6, rtol=1e-6, eps=1e-6)


def test_attention_on_accelerators_has_a_program_of_its_own() -> None:
    arcs = GRAPHS["square"]
    run = jax.jit(jax.grad(lambda s, t, x: weigh(attend(arcs, s, t, x)), (0, 1, 2)))
    text = run.trace(*inputs(arcs)).lower(lowering_platforms=("cuda",)).as_text()
    assert "populace" not in text
    if not native.missing():
        assert "populace_attend_back" in run.lower(*inputs(arcs)).as_text()


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_fused_gradient_by_xla_is_that_of_its_parts(rate: float) -> None:
    """What accelerators get, run here."""
    arcs, key = GRAPHS["isolated"], jax.random.key(5)
    with jax.enable_x64(True):
        operands, settings = inputs(arcs), jnp.asarray([[0.2, rate]])

        def whole(*operands: Any) -> Any:
            pair = seed_pair(key)[None] if rate else jnp.zeros((1, 0), jnp.uint32)
            return weigh(fused("xla", indices(arcs), pair, settings, *(a[None] for a in operands))[0] ** 2)

        def parts(s: Any, t: Any, x: Any) -> Any:
            return weigh(attend(arcs, s, t, x, rate=rate, key=key, backend="xla") ** 2)

        found, expected = (jax.value_and_grad(f, (0, 1, 2))(*operands) for f in (whole, parts))
        jax.tree.map(lambda a, b: assert_close(a, b, 1e-12), found, expected)


def test_bits_are_uniform() -> None:
    """Chi-square of bytes, every bit one half, neighbours and seeds unrelated; bounds are 5 sigma."""
    n = 1 << 16
    seeds = [seed_pair(jax.random.key(k)) for k in (0, 1)]
    bits, others = (np.asarray(uniform_bits(s, n)) for s in seeds)
    for shift in (0, 8, 16, 24):
        counts = np.bincount((bits >> shift) & 255, minlength=256)
        chi = np.sum((counts - n / 256) ** 2) / (n / 256)
        assert abs(chi - 255) < 5 * np.sqrt(2 * 255)
    one = np.unpackbits(bits.view(np.uint8)).reshape(n, 32).astype(float) - 0.5
    two = np.unpackbits(others.view(np.uint8)).reshape(n, 32).astype(float) - 0.5
    bound = 5 * 0.25 / np.sqrt(n)
    assert np.max(np.abs(one.mean(0))) < 5 * 0.5 / np.sqrt(n)
    assert np.max(np.abs(one[1:].T @ one[:-1] / n)) < bound
    assert np.max(np.abs(one[8:].T @ one[:-8] / n)) < bound
    assert np.max(np.abs(one.T @ two / n)) < bound
    off = one.T @ one / n
    assert np.max(np.abs(off - np.diag(np.diag(off)))) < bound
    neighbour = np.asarray(uniform_bits(seeds[0] + jnp.asarray([0, 1], jnp.uint32), n)).view(np.uint8)
    next_seed = np.unpackbits(neighbour).reshape(n, 32).astype(float) - 0.5
    assert np.max(np.abs(one.T @ next_seed / n)) < bound
    rate = float(jnp.mean(kept(seeds[0], n, 0.3)))
    assert abs(rate - 0.7) < 5 * np.sqrt(0.21 / n)


def test_bad_input() -> None:
    arcs = GRAPHS["square"]
    x = draw(9, 2, 3)
    refused = {
        "aggregate: x has shape (8, 3), expected (9, F) or (9, H, F)": lambda: aggregate(arcs, draw(8, 3)),
        "unknown aggregation 'maxx'; did you mean 'max'?": lambda: aggregate(arcs, x, "maxx"),
        "unknown backend 'nativ'; did you mean 'native'?": lambda: aggregate(arcs, x, backend="nativ"),
        "aggregate: weight has shape (3,), expected (30,) or (30, 2)": lambda: aggregate(
            arcs, x, weight=draw(3)
        ),
        "aggregate: 'max' takes no weight; weigh x, or use 'sum' or 'mean'": lambda: aggregate(
            arcs, x, "max", draw(30)
        ),
        "attend: rate must be in [0, 1), got 1": lambda: attend(arcs, x[..., 0], x[..., 0], x, rate=1),
        "attend: t has shape (9, 3), expected (9, 2)": lambda: attend(arcs, x[..., 0], x[:, 0], x),
        "at_targets: x has shape (3,), expected (9, ...)": lambda: at_targets(arcs, draw(3)),
    }
    for message, call in refused.items():
        with pytest.raises(UsageError) as error:
            call()
        assert str(error.value) == message
