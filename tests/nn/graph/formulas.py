"""Graphs of every kind, what goes over their edges by plain NumPy loops, and derivatives by differences."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from populace.core import native
from populace.nn.graph.edges import EdgeIndex

NATIVE = pytest.mark.skipif(bool(native.missing()), reason="no native kernels")
BACKENDS = ["xla", pytest.param("native", marks=NATIVE)]


def graph(sources: Any, targets: Any, size: tuple[int, int]) -> EdgeIndex:
    return EdgeIndex.of(np.asarray(sources, int), np.asarray(targets, int), size)[0]


def some(seed: int, edges: int, size: tuple[int, int]) -> EdgeIndex:
    draws = np.random.default_rng(seed)
    return graph(draws.integers(0, size[1], edges), draws.integers(0, size[0], edges), size)


SIZE = (9, 11)
GRAPHS = {
    # Of one size, so that a program which is given the graph is compiled once for all of these.
    "random": some(0, 24, SIZE),
    "isolated": graph(np.arange(24) % 5 + 2, np.arange(24) * 7 % 4 + 3, SIZE),  # neither first nor last ones
    "hub": graph(np.arange(24) % 11, [3] * 24, SIZE),
    "duplicates": graph([1, 1, 1, 0] * 6, [0, 0, 2, 2] * 6, SIZE),
    "loops": graph([0, 1, 2, 1] * 2 + [8] * 16, [0, 1, 2, 0] * 2 + [8] * 16, SIZE),
    "one node": graph([0], [0], (1, 1)),
    "no edges": graph([], [], (4, 3)),
    "no nodes": graph([], [], (0, 0)),
}
SQUARE = some(0, 30, (9, 9))


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normal numbers in the floating-point type that JAX has now."""
    wide = jax.config.jax_enable_x64
    return np.random.default_rng(seed).normal(size=shape).astype(np.float64 if wide else np.float32)


def ends(edges: EdgeIndex, heads: int = 2, features: int = 3) -> tuple[np.ndarray, ...]:
    """Return what sources say, what targets say, and what sources hold, for `attend`."""
    targets, sources = edges.size
    return draw(sources, heads), draw(targets, heads, seed=1), draw(sources, heads, features, seed=2)


def loops(edges: EdgeIndex, x: Any, how: str, weight: Any = None) -> np.ndarray:
    """The formula of `aggregate`, edge by edge."""
    x = np.asarray(x, np.float64)
    y = np.zeros((edges.size[0], *x.shape[1:]))
    for i in range(edges.size[0]):
        into = [e for e in range(edges.count) if edges.targets[e] == i]
        each = [x[edges.sources[e]] for e in into]
        if weight is not None:
            w = np.asarray(weight, np.float64)
            each = [m * (w[e][..., None] if w.ndim == 2 else w[e]) for m, e in zip(each, into)]
        if each:
            y[i] = {"sum": np.sum, "mean": np.mean, "max": np.max}[how](each, axis=0)
    return y


def attention_loops(edges: EdgeIndex, s: Any, t: Any, x: Any, slope: float) -> np.ndarray:
    s, t, x = (np.asarray(a, np.float64) for a in (s, t, x))
    y = np.zeros((edges.size[0], *x.shape[1:]))
    for i in range(edges.size[0]):
        into = [e for e in range(edges.count) if edges.targets[e] == i]
        raw = np.array([s[edges.sources[e]] + t[i] for e in into]).reshape(len(into), s.shape[1])
        power = np.exp(np.where(raw > 0, raw, slope * raw))
        for e, p in zip(into, power):
            y[i] += (p / power.sum(0))[:, None] * x[edges.sources[e]]
    return y


def assert_close(found: Any, expected: Any, tolerance: float = 2e-6) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = max(float(np.max(np.abs(expected), initial=0)), 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def check_derivatives(loss: Callable[..., Any], *given: np.ndarray) -> None:
    """First and second derivatives, in every mixture of modes, agree with differences; call it in float64."""
    draws = np.random.default_rng(9)
    direction = tuple(draws.normal(size=a.shape) for a in given)
    every = tuple(range(len(given)))

    @jax.jit
    def derivatives(given: Any) -> Any:
        gradient = jax.grad(loss, every)

        def slope(*given: Any) -> Any:
            return jax.jvp(loss, given, direction)[1]

        def slope_in_reverse(*given: Any) -> Any:
            return sum((g * d).sum() for g, d in zip(gradient(*given), direction))

        curves = {
            "forward over reverse": jax.jvp(gradient, given, direction)[1],
            "reverse over forward": jax.grad(slope, every)(*given),
            "reverse over reverse": jax.grad(slope_in_reverse, every)(*given),
        }
        curve = jax.jvp(slope, given, direction)[1]
        return loss(*given), slope(*given), gradient(*given), curve, curves

    step = 1e-5
    move = lambda by: tuple(a + by * step * d for a, d in zip(given, direction))  # noqa: E731
    _, slope, gradient, curve, curves = jax.tree.map(np.asarray, derivatives(given))
    ahead, behind = (jax.tree.map(np.asarray, derivatives(move(by))) for by in (1, -1))
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(slope, (ahead[0] - behind[0]) / (2 * step), **close)
    np.testing.assert_allclose(sum(np.vdot(g, d) for g, d in zip(gradient, direction)), slope, **close)
    for mode, found in curves.items():
        for one, after, before in zip(found, ahead[2], behind[2]):
            np.testing.assert_allclose(one, (after - before) / (2 * step), err_msg=mode, **close)
    along = sum(np.vdot(c, d) for c, d in zip(curves["forward over reverse"], direction))
    np.testing.assert_allclose(curve, along, **close)
