"""Options of a run: every one is checked, and told in one line."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populace.core.errors import UsageError
from populace.runs.recipe.options import Options, options


@pytest.mark.parametrize("key", Options.model_fields)
@pytest.mark.parametrize("value", [True, {"a": 1}, math.nan, -1, [0.5]])
def test_no_option_takes_what_it_is_not(key, value):
    with pytest.raises(UsageError) as refused:
        options({key: value})
    assert len(str(refused.value).splitlines()) == 1


def test_numbers_of_numpy_are_taken():
    found = options({"steps": np.int64(5), "seeds": np.arange(2), "checkpoint_every": np.float32(2)})
    assert (found.steps, found.seeds, found.checkpoint_every) == (5, [0, 1], 2.0)
    assert type(found.steps) is int


@pytest.mark.parametrize(("given", "name"), [(1, "1"), (np.int64(3), "3"), ([8, "map"], ["8", "map"])])
def test_a_strategy_may_be_a_number(given, name):
    assert options({"strategy": given}).strategy == name


def test_whole_numbers_are_taken_for_seconds():
    assert options({"checkpoint_every": 2}).checkpoint_every == 2.0


def test_checkpoints_may_wait_for_the_end():
    assert options({"checkpoint_every": math.inf}).checkpoint_every == math.inf


def test_an_unknown_option_gets_the_nearest_name():
    with pytest.raises(UsageError, match=r"'stratgy' in \[run\].*'strategy'"):
        options({"stratgy": "vmap"})


@given(st.integers(1, 10**7))
def test_windows_are_at_least_one_step(steps):
    chosen = Options(steps=steps)
    assert 1 <= chosen.window(10) <= steps
    assert 1 <= chosen.evaluation_window <= steps


def test_windows_are_a_share_of_the_steps():
    chosen = Options(steps=10_000)
    assert (chosen.window(10), chosen.evaluation_window) == (50, 500)


def test_windows_may_be_chosen():
    chosen = Options(steps=1000, log_every=7, evaluate_every=9)
    assert (chosen.window(10), chosen.evaluation_window) == (7, 9)
