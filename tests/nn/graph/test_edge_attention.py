"""Attention over edges as one operation against its parts: kernels and XLA, gradients, dropout, any row."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core import native
from populace.nn.graph.aggregate import attend
from populace.nn.graph.edge_attention import fused
from populace.nn.graph.segment_sum import indices
from populace.nn.primitives.hashing import seed_pair
from tests.nn.draws import weigh
from tests.nn.graph.formulas import BACKENDS, GRAPHS, NATIVE, SQUARE, assert_close, ends, graph


@NATIVE
@pytest.mark.parametrize("x64", [False, True])
def test_fused_attention_is_that_of_its_parts(x64: bool) -> None:
    """With the same key the same edges are dropped; members with keys, rates and slopes of their own."""
    tolerance = 1e-12 if x64 else 1e-5
    with jax.enable_x64(x64):
        s, t, x = ends(SQUARE, 3, 9)

        @partial(jax.jit, static_argnums=0)
        def run(backend: str, rates: Any) -> Any:
            keys, slopes = jax.random.split(jax.random.key(3), 3), jnp.asarray([0.2, 0.1, -0.3])

            def one(key: Any, rate: Any, slope: Any, x: Any) -> Any:
                def loss(s: Any, t: Any, x: Any) -> Any:
                    y = attend(SQUARE, s, t, x, slope=slope, rate=rate, key=key, backend=backend)
                    return weigh(y**2), y

                return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(s, t, x)

            shared = jax.vmap(one, (0, 0, 0, None))(keys, rates, slopes, x)
            own = jax.vmap(one)(keys, rates, slopes, jnp.stack([x, 2 * x, -x]))
            return shared, own, one(keys[1], rates[1], slopes[1], 2 * x)

        for rate in (0.0, 0.4):
            rates = np.asarray([rate, rate / 2, rate], x.dtype)
            found, parts = (jax.tree.map(np.asarray, run(backend, rates)) for backend in ("native", "xla"))
            jax.tree.map(lambda a, b: assert_close(a, b, tolerance), found, parts)
            jax.tree.map(lambda a, b: assert_close(a[1], b, tolerance), found[1], found[2])


@NATIVE
@pytest.mark.parametrize(("heads", "features"), [(8, 8), (1, 7), (3, 5), (11, 2)])
def test_fused_attention_over_rows_of_any_length(heads: int, features: int) -> None:
    """Rows longer than a block of the kernel, blocks of many rows, and rows without edges between them."""
    random = np.random.default_rng(4)
    nodes, hub = 900, 450
    sources = np.r_[np.arange(nodes), random.integers(0, nodes, 2_000)]
    targets = np.r_[np.full(nodes, hub), random.integers(0, hub, 2_000)]  # behind the hub nobody hears
    edges = graph(sources, targets, (nodes, nodes))

    @jax.jit
    def run(*operands: Any) -> Any:
        def loss(backend: str, *operands: Any) -> Any:
            y = attend(edges, *operands, rate=0.4, key=jax.random.key(3), backend=backend)
            return weigh(y**2), y

        return [
            jax.value_and_grad(partial(loss, backend), (0, 1, 2), has_aux=True)(*operands)
            for backend in ("native", "xla")
        ]

    found, expected = run(*ends(edges, heads, features))
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-5), found[0][1], expected[0][1])
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-4), found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_attention_are_those_of_finite_differences(backend: str) -> None:
    with jax.enable_x64(True):
        operands = ends(SQUARE)

        @jax.jit
        @partial(jax.value_and_grad, argnums=(0, 1, 2))
        def loss(s: Any, t: Any, x: Any) -> Any:
            key = jax.random.key(1)
            return weigh(attend(SQUARE, s, t, x, rate=0.3, key=key, backend=backend) ** 2)

        gradient, step = loss(*operands)[1], 1e-6
        for seed in range(3):
            draws = np.random.default_rng(seed)
            direction = [draws.normal(size=a.shape) for a in operands]
            ahead, behind = (
                float(loss(*(a + by * step * d for a, d in zip(operands, direction)))[0]) for by in (1, -1)
            )
            slope = sum(np.vdot(g, d) for g, d in zip(gradient, direction))
            np.testing.assert_allclose(slope, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-6)


def test_attention_on_accelerators_has_a_program_of_its_own() -> None:
    run = jax.jit(jax.grad(lambda s, t, x: weigh(attend(SQUARE, s, t, x)), (0, 1, 2)))
    text = run.trace(*ends(SQUARE)).lower(lowering_platforms=("cuda",)).as_text()
    assert "populace" not in text
    if not native.missing():
        assert "populace_attend_back" in run.lower(*ends(SQUARE)).as_text()


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_fused_gradient_by_xla_is_that_of_its_parts(rate: float) -> None:
    """What accelerators get, run here."""
    edges = GRAPHS["isolated"]
    with jax.enable_x64(True):

        def whole(*operands: Any) -> Any:
            pair = seed_pair(jax.random.key(5))[None] if rate else jnp.zeros((1, 0), jnp.uint32)
            settings = jnp.asarray([[0.2, rate]])
            return weigh(fused("xla", indices(edges), pair, settings, *(a[None] for a in operands))[0] ** 2)

        def parts(s: Any, t: Any, x: Any) -> Any:
            return weigh(attend(edges, s, t, x, rate=rate, key=jax.random.key(5), backend="xla") ** 2)

        both = jax.jit(
            lambda *operands: [jax.value_and_grad(f, (0, 1, 2))(*operands) for f in (whole, parts)]
        )
        found, expected = both(*ends(edges))
        jax.tree.map(lambda a, b: assert_close(a, b, 1e-12), found, expected)


@pytest.mark.parametrize("backend", ["native", "xla"])
def test_directions_and_second_derivatives_are_those_of_its_parts(backend: str) -> None:
    """Forward mode, and forward over reverse: a Hessian times a vector, of members at once."""
    if backend == "native" and native.missing():
        pytest.skip(native.missing())
    with jax.enable_x64(True):
        operands = ends(SQUARE, 2, 3)
        draws = np.random.default_rng(7)
        direction = tuple(draws.normal(size=(2, *a.shape)) for a in operands)
        key = jax.random.key(5)

        def whole(*operands: Any) -> Any:
            pair, settings = seed_pair(key)[None], jnp.asarray([[0.2, 0.3]])
            given = (a[None] for a in operands)
            return weigh(jnp.sin(fused(backend, indices(SQUARE), pair, settings, *given)[0]))

        def parts(s: Any, t: Any, x: Any) -> Any:
            return weigh(jnp.sin(attend(SQUARE, s, t, x, rate=0.3, key=key, backend="xla")))

        def of(f: Any, direction: Any) -> Any:
            return jax.jvp(jax.value_and_grad(f, (0, 1, 2)), operands, direction)[1]

        both = jax.jit(lambda d: [jax.vmap(partial(of, f))(d) for f in (whole, parts)])
        found, expected = both(direction)
        jax.tree.map(lambda a, b: assert_close(a, b, 1e-11), found, expected)


@NATIVE
@pytest.mark.parametrize("size", [1e3, 1e6])
def test_large_scores_have_the_gradients_of_small_ones(size: float) -> None:
    """Beside a score of 1e6 the logarithm of a sum of exponentials is lost in rounding."""
    s, t, x = (np.float32(a) for a in ends(SQUARE, 3, 5))
    # Exact in float32 and above 0, where LeakyReLU changes nothing: only the softmax can differ.
    s = np.round(4 * np.abs(s)) / 4 + np.float32(size)

    @jax.jit
    def run(*operands: Any) -> Any:
        loss = lambda b, s, x: weigh(attend(SQUARE, s, 0 * t, x, backend=b) ** 2)  # noqa: E731
        return [jax.grad(partial(loss, b), (0, 1))(*operands) for b in ("native", "xla")]

    found, expected = run(s, x)
    jax.tree.map(lambda a, b: assert_close(a, b, 2e-6), found, expected)
    jax.tree.map(lambda a, b: assert_close(a, b, 2e-5), found, run(s - np.float32(size), x)[0])
