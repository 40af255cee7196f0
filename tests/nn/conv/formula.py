"""What the tests of convolutions share: the formula in loops, drawn arrays, and how close is equal."""

import itertools
import math
from typing import Any

import numpy as np

from populace.core import native

LOWERINGS = ("auto", "patches", "taps", "xla") + (() if native.missing() else ("native",))


def pads_of(sizes: Any, kernel: Any, stride: Any, dilation: Any, padding: Any) -> list[tuple[int, int]]:
    """Zeros before and after every axis, from what the names mean."""
    pads = []
    for i, (n, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation)):
        span = (k - 1) * d + 1
        if padding == "valid":
            pads.append((0, 0))
        elif padding == "causal":
            pads.append((span - 1, 0))
        elif padding == "same":
            total = max((math.ceil(n / s) - 1) * s + span - n, 0)
            pads.append((total // 2, total - total // 2))
        else:
            side = padding if isinstance(padding, int) else padding[i]
            pads.append((side, side) if isinstance(side, int) else side)
    return pads


def correlate(
    x: np.ndarray,
    w: np.ndarray,
    *,
    stride: Any = 1,
    dilation: Any = 1,
    groups: int = 1,
    padding: Any = "valid",
) -> np.ndarray:
    """y[i, o] = sum_k sum_c x[i stride + k dilation, c] w[k, c, o], in float64, by loops."""
    n = w.ndim - 2
    stride, dilation = ((v,) * n if isinstance(v, int) else v for v in (stride, dilation))
    pads = pads_of(x.shape, w.shape, stride, dilation, padding)[:n]
    x = np.pad(np.asarray(x, np.float64), [*pads, (0, 0)])
    ins, outs = w.shape[-2], w.shape[-1] // groups
    places = [(m - (k - 1) * d - 1) // s + 1 for m, k, s, d in zip(x.shape, w.shape, stride, dilation)][:n]
    y = np.zeros((*places, w.shape[-1]))
    for place in itertools.product(*map(range, places)):
        for taps in itertools.product(*map(range, w.shape[:n])):
            at = tuple(i * s + k * d for i, s, k, d in zip(place, stride, taps, dilation))
            for group in range(groups):
                seen = x[at][group * ins : (group + 1) * ins]
                y[place][group * outs : (group + 1) * outs] += seen @ w[taps][:, group * outs :][:, :outs]
    return y


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float32, other ones for another shape or seed."""
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(np.float32)


def assert_close(found: Any, expected: Any, what: object = "") -> None:
    """Equal but for the rounding of float32 sums, relative to the largest entry."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, what
    close = 2e-5 * max(np.max(np.abs(expected), initial=0.0), 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=close, err_msg=str(what))
