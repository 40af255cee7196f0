"""Pooling: the maximum or the mean of each window, channel by channel.

Windows are separable: each axis is pooled in turn, over shifted slices, one per element of the window. XLA's
own `reduce_window` is not used, because its gradient is slow on CPU, and slower still inside a loop.
"""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from populace.core.errors import UsageError
from populace.nn.conv.shifts import picks
from populace.nn.conv.window import Padding, Window, check_input
from populace.nn.primitives.precision import as_given, at_least_float32

Size = int | Sequence[int]


def max_pool(x: jax.Array, size: Size, stride: Size | None = None, padding: Padding = "valid") -> jax.Array:
    """Return the maximum of every window: `y[i, c] = max_k x[i * stride + k, c]`.

    Padding is never the maximum. Of equal entries the first in row-major order receives the gradient.

    Args:
        x: (*spatial, C), one example.
        size: size of the window; one number, or one per axis.
        stride: distance between windows; by default `size`, so that they tile the input.
        padding: as in [`convolve`][populace.nn.convolve], less than `size` on every side.

    Returns:
        (*positions, C), with `floor((n + before + after - size) / stride) + 1` positions along an axis of n
        entries. Cost `O(n * sum(size) * C)`, n the entries of x.

    Raises:
        UsageError: invalid shapes, sizes or names.

    """
    return _largest_of(x, _window("max_pool", x.ndim - 1, size, stride, padding))


def average_pool(
    x: jax.Array, size: Size, stride: Size | None = None, padding: Padding = "valid"
) -> jax.Array:
    """Return the mean of every window: `y[i, c] = mean_k x[i * stride + k, c]`.

    Padding is not counted in the mean. Sums are accumulated in float32 at least; the result has the dtype of
    x, or float32 for integers. Arguments, shapes, cost and errors are
    those of [`max_pool`][populace.nn.max_pool].
    """
    return _mean_of(x, _window("average_pool", x.ndim - 1, size, stride, padding))


def global_max_pool(x: jax.Array) -> jax.Array:
    """Return the maximum of every channel: (*spatial, C) to (C,)."""
    check_input("global_max_pool", x.shape, max(1, x.ndim - 1))
    return jnp.max(x, axis=range(x.ndim - 1))


def global_average_pool(x: jax.Array) -> jax.Array:
    """Return the mean of every channel: (*spatial, C) to (C,)."""
    check_input("global_average_pool", x.shape, max(1, x.ndim - 1))
    return as_given(jnp.mean(at_least_float32(x), axis=range(x.ndim - 1)), x.dtype)


class MaxPool(eqx.Module):
    """[`max_pool`][populace.nn.max_pool] as a layer over `spatial` axes.

    Args:
        spatial: number of spatial axes.
        size: size of the window; one number, or one per axis.
        stride: distance between windows; by default `size`.
        padding: as in [`convolve`][populace.nn.convolve], less than `size` on every side.

    Raises:
        UsageError: invalid sizes, or an input that is not (*spatial, C).

    """

    window: Window = eqx.field(static=True)

    def __init__(
        self, spatial: int, size: Size, stride: Size | None = None, padding: Padding = "valid"
    ) -> None:
        self.window = _window(type(self).__name__, spatial, size, stride, padding)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (*spatial, C) to (*positions, C)."""
        return _largest_of(x, self.window)


class MaxPool1d(MaxPool):
    """[`MaxPool`][populace.nn.conv.pooling.MaxPool] over (length, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(1, *arguments, **options)


class MaxPool2d(MaxPool):
    """[`MaxPool`][populace.nn.conv.pooling.MaxPool] over (height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(2, *arguments, **options)


class MaxPool3d(MaxPool):
    """[`MaxPool`][populace.nn.conv.pooling.MaxPool] over (depth, height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(3, *arguments, **options)


class AveragePool(eqx.Module):
    """[`average_pool`][populace.nn.average_pool] as a layer over `spatial` axes.

    Arguments and errors are those of [`MaxPool`][populace.nn.conv.pooling.MaxPool].
    """

    window: Window = eqx.field(static=True)

    def __init__(
        self, spatial: int, size: Size, stride: Size | None = None, padding: Padding = "valid"
    ) -> None:
        self.window = _window(type(self).__name__, spatial, size, stride, padding)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map (*spatial, C) to (*positions, C)."""
        return _mean_of(x, self.window)


class AveragePool1d(AveragePool):
    """[`AveragePool`][populace.nn.conv.pooling.AveragePool] over (length, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(1, *arguments, **options)


class AveragePool2d(AveragePool):
    """[`AveragePool`][populace.nn.conv.pooling.AveragePool] over (height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(2, *arguments, **options)


class AveragePool3d(AveragePool):
    """[`AveragePool`][populace.nn.conv.pooling.AveragePool] over (depth, height, width, channels)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(3, *arguments, **options)


def _window(layer: str, spatial: int, size: Size, stride: Size | None, padding: Padding) -> Window:
    return Window.of(layer, spatial, size, size if stride is None else stride, 1, padding)


def _largest_of(x: jax.Array, window: Window) -> jax.Array:
    lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.iinfo(x.dtype).min
    return _pool(x, window, lowest, _largest)


def _mean_of(x: jax.Array, window: Window) -> jax.Array:
    total = _pool(at_least_float32(x), window, 0, _total)
    if window.padding == "valid":
        return as_given(total / math.prod(window.size), x.dtype)
    seen = _pool(jnp.ones((*x.shape[:-1], 1), total.dtype), window, 0, _total)
    return as_given(total / seen, x.dtype)


def _pool(
    x: jax.Array, window: Window, filling: Any, reduce: Callable[[list[jax.Array]], jax.Array]
) -> jax.Array:
    check_input(window.layer, x.shape, len(window.size))
    pads = window.pads(x.shape[:-1])
    if any(side >= k for pair, k in zip(pads, window.size) for side in pair):
        raise UsageError(f"{window.layer}: padding must be less than the window {window.size}, got {pads}")
    for axis, move in enumerate(picks(window, x.shape[:-1])):
        padded = move.pad(x, axis, filling)
        x = reduce([move.take(padded, axis, tap) for tap in range(window.size[axis])])
    return x


def _total(entries: list[jax.Array]) -> jax.Array:
    return functools.reduce(operator.add, entries)


@jax.custom_jvp
def _largest(entries: list[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.maximum, entries)


@_largest.defjvp
def _(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """Pass on the tangent of the first maximum: JAX's `maximum` would divide it between equal entries."""
    (entries,), (moved,) = primals, tangents
    largest = _largest(entries)
    found, tangent = jnp.zeros(largest.shape, bool), jnp.zeros(largest.shape, moved[0].dtype)
    for entry, change in zip(entries, moved):
        wins = (entry == largest) & ~found
        found |= wins
        tangent += jnp.where(wins, change, 0)
    return largest, tangent
