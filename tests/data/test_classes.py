"""Classes: labels to numbers and back."""

import numpy as np
import pandas as pd
import pytest

from populace.core.errors import UsageError
from populace.data.classes import Classes


def test_text_becomes_numbers_in_alphabetical_order_and_comes_back():
    found, codes = Classes.of("y", pd.Series(["dog", "cat", "owl", "cat"]), 4)
    assert (found.count, found.names, found.named) == (3, ("cat", "dog", "owl"), True)
    assert codes.dtype == np.int32
    assert codes.tolist() == [1, 0, 2, 0]
    assert found.labels(codes).tolist() == ["dog", "cat", "owl", "cat"]
    assert found.codes("test y", ["owl"], 1).tolist() == [2]


def test_names_say_the_order_and_may_name_classes_without_examples():
    found, codes = Classes.of("y", ["dog", "cat"], 2, names=["owl", "dog", "cat"])
    assert (found.count, codes.tolist()) == (3, [1, 2])
    assert found.labels(codes).tolist() == ["dog", "cat"]


def test_numbers_stay_numbers_and_names_only_name_them():
    found, codes = Classes.of("y", [1, 0, 1], 3, names=("no", "yes"))
    assert (found.count, found.named, found.labels(codes).tolist()) == (2, False, [1, 0, 1])
    assert found.codes("test y", ["yes"], 1).tolist() == [1]
    assert Classes.of("y", [True, False], 2)[0] == Classes(2)


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Classes.of("y", ["a", "b"], 3), "y has 2 rows; expected 3, one per example"),
    (lambda: Classes.of("y", [["a"], ["b"]], 2), r"y has shape \(2, 1\); expected \(2,\), one"),
    (lambda: Classes.of("y", ["a", "a"], 2), "y has only the class 'a'; a classification needs at least two"),
    (lambda: Classes.of("y", ["a", "b"], 2, ["a", "c"]), "unknown class 'b' in y, row 1; "),
    (lambda: Classes.of("y", ["a", "b"], 2, count=3), "y has 2 classes, and classes says 3; give the names"),
    (lambda: Classes.of("y", ["a", "b"], 2, ["a", "b", "a"]), "names has 'a' more than once"),
    (lambda: Classes.of("y", ["a", "b"], 2, "ab"), "names must be a list of text, one for each"),
    (lambda: Classes.of("y", [0, 1], 2, ["a", "b"], 3), "classes is 3, and names has 2; leave one"),
    (lambda: Classes.of("y", [0, 1], 2, count=2.5), "classes must be a whole number from 2 to 1,048,576"),
    (lambda: Classes.of("y", [0, 1], 2, count=10**9), "classes must be a whole number from 2 to 1,048,576"),
    (lambda: Classes.of("y", [0, 1], 2, count=-1), "classes must be a whole number from 2 .*, got -1"),
    (lambda: Classes.of("y", ["a", "b"], 2)[0].codes("test y", [0], 1), "test y holds numbers, and the"),
    (lambda: Classes(2).codes("test y", ["a"], 1), "test y holds text, 'a', and the labels of these"),
    (lambda: Classes.of("y", [0, np.nan], 2), "y has a missing value in row 1; remove or fill it"),
    (lambda: Classes.of("y", [0, np.inf], 2), r"y\[1\] is inf; a class label is a whole number from 0"),
    (lambda: Classes.of("y", np.array([0, 2**64 - 1], np.uint64), 2), r"y\[1\] is 18446744073709551615; a"),
])  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_labels_that_do_not_fit_get_one_clear_line(make, message):
    with pytest.raises(UsageError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
