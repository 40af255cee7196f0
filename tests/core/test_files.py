"""JSON that any reader takes."""

import json
import math

import pytest

from populace.core.files import to_json


def test_numbers_that_json_has_not_become_null():
    text = to_json({"a": [1.5, math.nan], "b": {"c": (math.inf, -math.inf)}, "d": "NaN"})
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found == {"a": [1.5, None], "b": {"c": [None, None]}, "d": "NaN"}
