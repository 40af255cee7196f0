"""What every layer must be: exact, differentiable, and the same compiled, batched and over members."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

Arrays = tuple[Any, ...]


def check_layer(
    layer: Any,
    inputs: Arrays,
    reference: Callable[..., Any],
    *,
    tolerance: float = 1e-5,
    differentiate: bool = True,
) -> None:
    """Check one unbatched layer on one example.

    Args:
        layer: an Equinox module (or a function with no arrays of its own), called as `layer(*inputs)`.
        inputs: the arguments; those that are float arrays are differentiated too.
        reference: NumPy in float64, written from the formula: `reference(layer64, *inputs64)`, where
            layer64 is the layer with NumPy float64 arrays; returns what the layer returns.
        tolerance: relative to the largest value of each output, in float32.
        differentiate: compare the gradient with finite differences, in float64.

    """
    out = layer(*inputs)
    expected = reference(*_as_double((layer, *inputs)))
    _assert_close(out, expected, tolerance)
    for leaf in jax.tree.leaves(out):
        assert leaf.dtype == jnp.float32, f"float32 in, {leaf.dtype} out"
    _assert_close(eqx.filter_jit(layer)(*inputs), out, tolerance)
    check_batched(layer, inputs, tolerance)
    check_members(layer, inputs, tolerance)
    if differentiate:
        check_gradient(layer, inputs)


def check_batched(layer: Any, inputs: Arrays, tolerance: float = 1e-5) -> None:
    """`vmap` over examples gives what a loop over them gives."""
    batch = [jax.tree.map(lambda x, i=i: _vary(x, i), inputs) for i in range(3)]
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *batch)
    together = jax.vmap(lambda xs: layer(*xs))(stacked)
    for i, alone in enumerate(batch):
        _assert_close(jax.tree.map(lambda x, i=i: x[i], together), layer(*alone), tolerance)


def check_members(layer: Any, inputs: Arrays, tolerance: float = 1e-5) -> None:
    """`vmap` over members (weights of their own, shared inputs) gives what a loop gives, gradient too."""
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)
    if not jax.tree.leaves(arrays):
        return
    members = [jax.tree.map(lambda x, i=i: _vary(x, i), arrays) for i in range(3)]
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), *members)

    def both(arrays: Any) -> Any:
        loss = lambda a: _weighted_sum(eqx.combine(a, rest)(*inputs))  # noqa: E731
        return eqx.combine(arrays, rest)(*inputs), jax.grad(loss)(arrays)

    together = jax.jit(jax.vmap(both))(stacked)
    for i, alone in enumerate(members):
        _assert_close(jax.tree.map(lambda x, i=i: x[i], together), both(alone), tolerance * 10)


def check_gradient(layer: Any, inputs: Arrays, *, step: float = 1e-6, tolerance: float = 1e-6) -> None:
    """The gradient agrees with central differences along random directions, in float64."""
    with jax.enable_x64(True):
        whole = jax.tree.map(_widen, (layer, *inputs))
        arrays, rest = eqx.partition(whole, eqx.is_inexact_array)

        def loss(arrays: Any) -> jax.Array:
            layer, *inputs = eqx.combine(arrays, rest)
            return _weighted_sum(layer(*inputs))

        gradient = jax.grad(loss)(arrays)
        leaves, tree = jax.tree.flatten(arrays)
        for seed in range(3):
            draws = np.random.default_rng(seed)
            direction = jax.tree.unflatten(tree, [jnp.asarray(draws.normal(size=x.shape)) for x in leaves])
            ahead = loss(jax.tree.map(lambda x, d: x + step * d, arrays, direction))
            behind = loss(jax.tree.map(lambda x, d: x - step * d, arrays, direction))
            slope = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))
            np.testing.assert_allclose(
                float(slope), float((ahead - behind) / (2 * step)), rtol=tolerance * 100, atol=tolerance
            )


def _weighted_sum(out: Any) -> jax.Array:
    """Weigh every output differently, so that no gradient can hide in a symmetric sum."""
    total = jnp.zeros(())
    for leaf in jax.tree.leaves(out):
        total += jnp.sum(leaf * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape))
    return total


def _vary(x: Any, i: int) -> Any:
    return x * (1 + 0.25 * i) if eqx.is_inexact_array(x) else x


def _widen(x: Any) -> Any:
    return jnp.asarray(np.asarray(x), jnp.float64) if eqx.is_inexact_array(x) else x


def _as_double(tree: Any) -> Any:
    return jax.tree.map(
        lambda x: (
            np.asarray(x, np.float64)
            if eqx.is_inexact_array(x)
            else (np.asarray(x) if eqx.is_array(x) else x)
        ),
        tree,
    )


def _assert_close(found: Any, expected: Any, tolerance: float) -> None:
    a, b = jax.tree.leaves(found), jax.tree.leaves(expected)
    assert len(a) == len(b), f"{len(a)} outputs, expected {len(b)}"
    for x, y in zip(a, b):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape, f"shape {x.shape}, expected {y.shape}"
        scale = max(float(np.max(np.abs(y), initial=0.0)), 1e-3)
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * scale)
