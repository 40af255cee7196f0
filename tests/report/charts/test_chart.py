"""Axes and marks of charts."""

import math

from populace.report.charts.chart import decades_axis, mark


def test_an_axis_of_decades_is_logarithmic():
    assert decades_axis([1e-7, 1e-3, None, 1e-5, math.nan]) == {"type": "log", "dtick": 1}
    assert decades_axis([1e-12, 1e-12, 1e-6, 1.0]) == {"type": "log", "dtick": 3}
    for linear in ([1.0, 50.0], [0.0, 1e-7, 1.0], [-1.0, 1e-7], [], [None]):
        assert decades_axis(linear) is None
    # Of a line Plotly wants the value, of a text its logarithm.
    drawn = mark(1e-6, "solved", log=True)
    assert (drawn["shapes"][0]["y0"], drawn["annotations"][0]["y"]) == (1e-6, -6.0)
