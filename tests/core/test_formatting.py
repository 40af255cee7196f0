"""How values of settings are formatted."""

import pytest

from populace.core.formatting import format_value
from populace.rl.exploration.strategies import LinearDecay


@pytest.mark.parametrize(
    ("value", "called"),
    [
        (0.5, "0.5"),
        (1e-4, "0.0001"),
        (3, "3"),
        (True, "True"),
        ("mse", "mse"),
        ({"kind": "linear", "end": 0.25}, "linear end 0.25"),
        ({"kind": "a", "inner": {"kind": "b", "c": 1}}, "a inner b c 1"),
        ({}, ""),
        (LinearDecay(start=1.0, end=0.5, duration=10.0), "linear start 1 end 0.5 duration 10"),
    ],
)
def test_format_value(value, called):
    assert format_value(value) == called
