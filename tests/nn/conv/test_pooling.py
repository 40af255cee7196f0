"""Pooling against loops over its formula."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populace.nn.conv.pooling import (
    AveragePool,
    AveragePool1d,
    MaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    average_pool,
    global_average_pool,
    global_max_pool,
    max_pool,
)
from tests.nn.conv.formula import assert_close, draw, pads_of
from tests.nn.harness import check_layer, check_refused

# sizes, window, options
CASES: list[tuple[Any, Any, dict[str, Any]]] = [
    ((6, 8), (2, 2), {}),  # tiles
    ((7, 5), (2, 2), {}),  # what does not fill a window is left out
    ((7, 6), (3, 2), {"stride": (2, 1), "padding": "same"}),
    ((9,), (4,), {"stride": 3, "padding": [(2, 1)]}),
    ((5,), (3,), {"stride": 1, "padding": "causal"}),
    ((4, 5, 3), (2, 3, 1), {"stride": 2}),
]


def windows(x: np.ndarray, size: Any, stride: Any = None, padding: Any = "valid") -> np.ndarray:
    """Every window as the last axis, NaN where there is padding, by loops."""
    n = len(size)
    stride = size if stride is None else (stride,) * n if isinstance(stride, int) else stride
    pads = pads_of(x.shape, size, stride, (1,) * n, padding)
    x = np.pad(np.asarray(x, np.float64), [*pads, (0, 0)], constant_values=np.nan)
    places = [(m - k) // s + 1 for m, k, s in zip(x.shape, size, stride)]
    seen = np.zeros((*places, x.shape[-1], int(np.prod(size))))
    for place in itertools.product(*map(range, places)):
        for i, taps in enumerate(itertools.product(*map(range, size))):
            seen[(*place, slice(None), i)] = x[tuple(p * s + t for p, s, t in zip(place, stride, taps))]
    return seen


@pytest.mark.parametrize(("sizes", "size", "options"), CASES, ids=str)
def test_layers(sizes: Any, size: Any, options: Any) -> None:
    highest, mean = MaxPool(len(sizes), size, **options), AveragePool(len(sizes), size, **options)

    def reference(both: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = windows(x, size, **options)
        return np.nanmax(seen, axis=-1), np.nanmean(seen, axis=-1)

    eager = options.get("padding") == "causal"
    check_layer(lambda x: (highest(x), mean(x)), (draw(*sizes, 2),), reference, eager=eager)


def test_global() -> None:
    check_layer(
        lambda x: (global_max_pool(x), global_average_pool(x)),
        (draw(3, 4, 5),),
        lambda both, x: (x.max((0, 1)), x.mean((0, 1))),
    )


def test_thin_layers() -> None:
    @jax.jit
    def pairs(x: jax.Array) -> list[tuple[jax.Array, jax.Array]]:
        return [
            (MaxPool3d(2)(x), max_pool(x, 2)),
            (MaxPool2d(2, 1)(x[0]), max_pool(x[0], (2, 2), (1, 1))),
            (MaxPool1d(3, 1, "same")(x[0, 0]), max_pool(x[0, 0], 3, 1, "same")),
            (AveragePool1d(4)(x[0, 0]), average_pool(x[0, 0], 4)),
        ]

    for layer, function in pairs(draw(4, 6, 8, 2)):
        np.testing.assert_array_equal(layer, function)


def test_one_of_those_that_tie_gets_the_gradient() -> None:
    x = np.asarray([[1, 3, 0, 0], [3, 3, 0, 0]], np.float32)[..., None]
    weights = np.asarray([5, 7], np.float32)[:, None]
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(max_pool(x, 2) * weights)))(x)
    np.testing.assert_array_equal(gradient[..., 0], [[0.0, 0.0, 7.0, 0.0], [5.0, 0.0, 0.0, 0.0]])


def test_padding_never_wins_and_is_not_counted() -> None:
    pools = jax.jit(lambda x: (max_pool(x, 2, 1, 1), average_pool(x, 2, 1, 1)))
    for pooled in pools(-np.ones((2, 1), np.float32)):
        np.testing.assert_array_equal(pooled, -np.ones((3, 1)))


def test_whole_numbers() -> None:
    pools = jax.jit(lambda x: (max_pool(x, 2, 2, [(0, 1)]), average_pool(x, 2, 1)))
    highest, mean = pools(np.asarray([[-3], [-5], [2]], np.int32))
    np.testing.assert_array_equal(highest, [[-3], [2]])
    np.testing.assert_array_equal(mean, [[-4.0], [-1.5]])


def test_members_and_batches() -> None:
    x = draw(2, 3, 4, 4, 2)
    together = jax.jit(jax.vmap(jax.vmap(lambda x: max_pool(x, 2))))(x)
    alone = jax.jit(lambda x: max_pool(x, 2))
    assert_close(together, [[alone(example) for example in member] for member in x])


def test_no_window_operations_on_cpu() -> None:
    """Their gradient is slow on CPU; slices and pads are not."""
    for pool in (max_pool, average_pool):
        loss = jax.grad(lambda x, pool=pool: jnp.sum(pool(x, 3, 2, "same") ** 2))
        program = jax.jit(loss).lower(draw(6, 6, 2)).as_text()
        for slow in ("reduce_window", "select_and_scatter", "gather", '"stablehlo.scatter"'):
            assert slow not in program


REFUSED = {
    "MaxPool2d: input has shape (4, 4), expected (height, width, channels)": lambda: MaxPool2d(2)(
        np.zeros((4, 4))
    ),
    "MaxPool2d: input of spatial size (4, 1) is smaller than its kernel (2, 2)": lambda: MaxPool2d(2)(
        np.zeros((4, 1, 3))
    ),
    "MaxPool2d: stride must be at least 1, got 0": lambda: MaxPool2d(2, 0),
    "MaxPool1d: kernel size must be at least 1, got 0": lambda: MaxPool1d(0),
    "MaxPool1d: padding must be less than the window (2,), got ((2, 0),)": lambda: MaxPool1d(2, 1, [(2, 0)])(
        np.zeros((4, 1))
    ),
    "average_pool: padding must be at least 0, got -1": lambda: average_pool(np.zeros((4, 1)), 2, 1, -1),
    "unknown padding 'full' of max_pool; known: causal, same, valid": lambda: max_pool(
        np.zeros((4, 1)), 2, 1, "full"
    ),
    "global_max_pool: input has shape (3,), expected (length, channels)": lambda: global_max_pool(
        np.zeros(3)
    ),
    "max_pool: expected at least 1 spatial axis, got 0": lambda: max_pool(np.zeros(3), 2),
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_input(message: str) -> None:
    check_refused(REFUSED[message], message)


def test_sums_run_over_in_no_type():
    """200 + 200 is beyond uint8, and 64 times 2,000 beyond float16."""
    byte, half = np.full((2, 2, 1), 200, np.uint8), np.full((8, 8, 1), 2000, np.float16)

    @jax.jit
    def means(byte, half):
        windows = average_pool(byte, 2), average_pool(half, 8)
        return list(zip(windows, (global_average_pool(byte), global_average_pool(half))))

    for found, mean, dtype in zip(means(byte, half), (200, 2000), (np.float32, np.float16)):
        for pooled in found:
            assert pooled.dtype == dtype
            np.testing.assert_array_equal(pooled, np.full(pooled.shape, mean))
