"""How values of settings are formatted."""

import pytest

from populace.core.formatting import Overview, count, format_value, shortened
from populace.rl.exploration.strategies import LinearDecay


@pytest.mark.parametrize(
    ("value", "called"),
    [
        (0.5, "0.5"),
        (1e-4, "0.0001"),
        (3, "3"),
        (True, "true"),
        ((8, 16), "[8, 16]"),
        ((), "[]"),
        ("mse", "mse"),
        ({"kind": "linear", "end": 0.25}, "linear end 0.25"),
        ({"kind": "a", "inner": {"kind": "b", "c": 1}}, "a inner b c 1"),
        ({}, ""),
        (LinearDecay(start=1.0, end=0.5, duration=10.0), "linear start 1 end 0.5 duration 10"),
    ],
)
def test_format_value(value, called):
    assert format_value(value) == called


class Thing(Overview):
    def _overview(self):
        return "Thing <1>", {"size": 3, "nothing": None, "empty": "", "a longer name": "x & y"}


def test_an_overview_is_aligned_text_and_an_escaped_table():
    assert str(Thing()) == repr(Thing()) == "Thing <1>\n  size           3\n  a longer name  x & y"
    shown = Thing()._repr_html_()
    assert "<strong>Thing &lt;1&gt;</strong>" in shown
    assert ">x &amp; y</td>" in shown
    assert shown.count("<tr>") == 2


def test_long_lists_are_cut_short():
    assert shortened(map(str, range(3))) == "0, 1, 2"
    assert shortened(map(str, range(1000)), 2) == "0, 1 and 998 more"
    assert (count(1, "seed"), count(2000, "seed")) == ("1 seed", "2,000 seeds")
