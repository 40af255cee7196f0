"""What every layer must be: exact, differentiable, and the same compiled, batched and over members.

Each distinct program costs a compilation, whatever its size. So a layer is compiled three times: for one
example, for a batch and a population, and in float64. All else is done in NumPy.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.core.errors import UsageError

Arrays = tuple[Any, ...]

COPIES = 3
"""How many examples, and how many members, are compared with a loop over them."""


def check_layer(
    layer: Any,
    inputs: Arrays,
    reference: Callable[..., Any],
    *,
    tolerance: float = 1e-5,
    differentiate: bool = True,
    eager: bool = False,
) -> None:
    """Check one unbatched layer on one example.

    Args:
        layer: an Equinox module (or a function with no arrays of its own), called as `layer(*inputs)`.
            Its arrays, and those of the inputs, may be NumPy's.
        inputs: the arguments; those that are float arrays are differentiated too.
        reference: NumPy in float64, written from the formula: `reference(layer64, *inputs64)`, where
            layer64 is the layer with NumPy float64 arrays; returns what the layer returns.
        tolerance: relative to the largest value of each output, in float32.
        differentiate: compare the gradient with finite differences, in float64.
        eager: call it outside of `jit` too. That compiles every operation by itself: ask for it in one small
            case of each layer.

    """
    weights, rest = eqx.partition(layer, eqx.is_inexact_array)
    examples = [jax.tree.map(lambda x, i=i: _vary(x, i), inputs) for i in range(COPIES)]
    members = [jax.tree.map(lambda w, i=i: _vary(w, i), weights) for i in range(COPIES)]

    def output(weights: Any, inputs: Arrays) -> Any:
        return eqx.combine(weights, rest)(*inputs)

    def with_gradient(weights: Any, inputs: Arrays) -> Any:
        def loss(weights: Any) -> tuple[jax.Array, Any]:
            out = output(weights, inputs)
            return _weighted_sum(out), out

        if not jax.tree.leaves(weights):
            return output(weights, inputs), weights
        gradient, out = jax.grad(loss, has_aux=True)(weights)
        return out, gradient

    @jax.jit
    def together(weights: Any, inputs: Arrays, members: Any, examples: Arrays) -> Any:
        batch = jax.vmap(output, (None, 0))(weights, examples)
        if not jax.tree.leaves(members):
            return batch, None
        return batch, jax.vmap(with_gradient, (0, None))(members, inputs)

    alone = jax.jit(with_gradient)
    out = alone(weights, inputs)[0]
    _assert_close(out, reference(*_as_double((layer, *inputs))), tolerance, "the formula")
    for leaf in jax.tree.leaves(out):
        assert leaf.dtype == jnp.float32, f"float32 in, {leaf.dtype} out"
    if eager:
        layer_here, *inputs_here = jax.tree.map(_on_device, (layer, *inputs))
        _assert_close(layer_here(*inputs_here), out, tolerance, "the same, compiled")

    batch, population = together(weights, inputs, _stack(members), _stack(examples))
    for i, example in enumerate(examples):
        _assert_close(_take(batch, i), alone(weights, example)[0], tolerance, f"example {i} alone")
    if population is not None:
        for i, member in enumerate(members):
            expected = alone(member, inputs)
            _assert_close(_take(population, i), expected, tolerance * 10, f"member {i} alone")
    if differentiate:
        check_gradient(layer, inputs)


def check_gradient(layer: Any, inputs: Arrays, *, step: float = 1e-6, tolerance: float = 1e-6) -> None:
    """The gradient agrees with central differences along random directions, in float64."""
    with jax.enable_x64(True):
        floats, rest = eqx.partition(jax.tree.map(_widen, (layer, *inputs)), eqx.is_inexact_array)

        @jax.jit
        @jax.value_and_grad
        def loss(floats: Any) -> jax.Array:
            layer, *inputs = eqx.combine(floats, rest)
            return _weighted_sum(layer(*inputs))

        gradient = jax.tree.map(np.asarray, loss(floats)[1])
        leaves, tree = jax.tree.flatten(floats)
        for seed in range(3):
            draws = np.random.default_rng(seed)
            direction = jax.tree.unflatten(tree, [draws.normal(size=x.shape) for x in leaves])
            ahead, behind = (
                float(loss(jax.tree.map(lambda x, d, h=h: x + h * d, floats, direction))[0])
                for h in (step, -step)
            )
            slope = sum(
                float(np.vdot(g, d)) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction))
            )
            np.testing.assert_allclose(
                slope, (ahead - behind) / (2 * step), rtol=tolerance * 100, atol=tolerance
            )


def check_refused(call: Callable[[], Any], message: str) -> None:
    """Calling this is an error of the caller's, told in these words; it is traced, and nothing compiled."""
    with pytest.raises(UsageError) as refused:
        jax.eval_shape(call)
    assert str(refused.value) == message


def _is_float(x: Any) -> bool:
    return isinstance(x, jax.ShapeDtypeStruct) and jnp.issubdtype(x.dtype, jnp.floating)


def _weighted_sum(out: Any) -> jax.Array:
    """Weigh every output differently, so that no gradient can hide in a symmetric sum."""
    total = jnp.zeros(())
    for leaf in jax.tree.leaves(out):
        total += jnp.sum(leaf * np.cos(np.arange(leaf.size)).astype(leaf.dtype).reshape(leaf.shape))
    return total


def _vary(x: Any, i: int) -> Any:
    return np.asarray(x) * np.asarray(1 + 0.25 * i, x.dtype) if eqx.is_inexact_array(x) else x


def _widen(x: Any) -> Any:
    return np.asarray(x, np.float64) if eqx.is_inexact_array(x) else x


def _on_device(x: Any) -> Any:
    return jnp.asarray(x) if eqx.is_array(x) else x


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *xs: np.stack(xs), *trees)


def _take(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda x: np.asarray(x)[i], tree)


def _as_double(tree: Any) -> Any:
    return jax.tree.map(lambda x: np.asarray(x) if eqx.is_array(x) else x, jax.tree.map(_widen, tree))


def _assert_close(found: Any, expected: Any, tolerance: float, what: str) -> None:
    a, b = ([np.asarray(x) for x in jax.tree.leaves(tree)] for tree in (found, expected))
    assert len(a) == len(b), f"{len(a)} outputs, expected {len(b)} of {what}"
    scales = [float(np.max(np.abs(y), initial=0.0)) for y in b]
    # A gradient that is zero by symmetry is nothing but rounding of the others, another on every processor.
    least = max(1e-3, *(0.01 * scale for scale in scales)) if scales else 0.0
    for x, y, scale in zip(a, b, scales):
        assert x.shape == y.shape, f"shape {x.shape}, expected {y.shape} of {what}"
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance * max(scale, least), err_msg=f"not {what}")
