"""Labels in little room."""

import pytest

from populace.report.charts import labels

LONG = [
    "epsilon-greedy exploration exponential per frame decay 0.999 end 0.01",
    "epsilon-greedy exploration exponential per frame decay 0.9995 end 0.01",
]


@pytest.mark.parametrize("length", [12, 20, 40])
def test_what_is_cut_is_not_what_differs(length):
    found = labels.distinct(LONG, length)
    assert len(set(found)) == 2
    assert all(len(label) <= length for label in found)
    if length >= 20:
        assert "0.999 " in found[0]
        assert "0.9995" in found[1]


def test_labels_that_fit_and_a_single_one_stay_whole():
    assert labels.distinct(["rate 1", "rate 2"], 6) == ["rate 1", "rate 2"]
    assert labels.distinct(["a" * 9], 5) == ["aa…aa"]


def test_a_label_in_the_middle_of_which_two_differ_is_numbered():
    found = labels.distinct(["a" * 20 + "x" + "b" * 20, "a" * 20 + "y" + "b" * 20], 12)
    assert [label[-2:] for label in found] == ["#1", "#2"]


def test_lines_are_wrapped_and_escaped():
    (label,) = labels.wrapped(["0.001 · 0.99 · <b>"], 10)
    assert label == "0.001\u00a0·<br>0.99\u00a0· &lt;b&gt;"
    assert labels.height(["0.001 · 0.99 · <b>", "x"], 10) == 2
