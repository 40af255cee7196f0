"""Picks and puts along the axes of a window are those of their formulas, and adjoint to each other."""

import itertools

import jax
import numpy as np
import pytest

from populace.nn.conv.shifts import gather, picks, puts, spread
from populace.nn.conv.window import Window

CASES = [
    ((7,), {"size": 3}),
    ((7,), {"size": 3, "stride": 2, "dilation": 2, "padding": "same"}),
    ((6,), {"size": 2, "stride": 3, "padding": "causal"}),  # the last entries are read by no place
    ((8,), {"size": 1, "stride": 3, "padding": [(0, 0)]}),
    ((5, 4), {"size": (2, 3), "stride": (2, 1), "dilation": (1, 1), "padding": [(1, 0), (0, 2)]}),
]


@pytest.mark.parametrize(("sizes", "geometry"), CASES)
def test_taps_read_and_write_where_the_formula_says(sizes, geometry):
    window = Window.of("shifts", len(sizes), **geometry)
    draws = np.random.default_rng(0)
    outputs, channels = window.outputs(sizes), 2
    taps = list(itertools.product(*map(range, window.size)))
    x = draws.normal(size=(*sizes, channels)).astype(np.float32)
    y = draws.normal(size=(*outputs, len(taps) * channels)).astype(np.float32)

    @jax.jit
    def both(x, y):
        return gather(x, dict(enumerate(picks(window, sizes)))), spread(
            y, dict(enumerate(puts(window, sizes)))
        )

    picked, put = map(np.asarray, both(x, y))
    expected, written = np.zeros_like(y), np.zeros_like(x)
    for place in itertools.product(*map(range, outputs)):
        for number, tap in enumerate(taps):
            entry = tuple(
                i * s + t * d - low
                for i, s, t, d, (low, _) in zip(
                    place, window.stride, tap, window.dilation, window.pads(sizes)
                )
            )
            part = slice(number * channels, (number + 1) * channels)
            if all(0 <= e < n for e, n in zip(entry, sizes)):
                expected[place][part] = x[entry]
                written[entry] += y[place][part]
    np.testing.assert_array_equal(picked, expected)
    np.testing.assert_allclose(put, written, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.vdot(picked, y), np.vdot(x, put), rtol=1e-4)
