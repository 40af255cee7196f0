"""The list of faults keeps up with the code: each can be planted, and names tests that there are."""

import dataclasses
import re

import pytest

from tests.faults import plant
from tests.places import ROOT


def test_every_fault_can_be_planted():
    faults = plant.faults([])
    assert len(faults) >= 80
    assert [f"{f.name}: {why}" for f in faults if (why := plant.stale(f, ROOT))] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"old": "no such text"}, "holds the text 0 times"),
        ({"old": "a"}, r"holds the text \d{2,} times"),
        ({"file": "src/populace/none.py"}, "holds the text 0 times"),
        ({"new": "and (meaning.above is None or number > meaning.above)"}, "it changes nothing"),
        ({"tests": ["tests/none.py"]}, "there is no 'tests/none.py'"),
        ({"tests": ["tests/core/test_settings.py::test_none"]}, "has no test 'test_none'"),
        ({"tests": []}, "it names no tests"),
    ],
)
def test_a_fault_that_cannot_be_planted_is_named(change, why):
    (fault,) = plant.faults(["setting-above-becomes-at-least"])
    assert re.search(why, plant.stale(dataclasses.replace(fault, **change), ROOT))
