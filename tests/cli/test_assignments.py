"""What is typed behind --set and --sweep, put into a recipe."""

import pytest

from populace.cli.assignments import changed, values
from populace.core.errors import UsageError
from populace.runs.recipe.parsing import parse
from populace.runs.recipe.recipe import Recipe
from populace.tuning import SuccessiveHalving

TEXT = """
[learner]
kind = "dqn"

[sweep]
learning_rate = [1e-3, 1e-4]
"exploration.decay" = [0.9, 0.99]
"""


def typed(*, set_: tuple[str, ...] = (), sweep: tuple[str, ...] = ()) -> Recipe:
    return changed(parse(TEXT, "recipe"), list(set_), list(sweep), {"steps": None})


@pytest.mark.parametrize(
    ("setting", "left"),
    [
        ("learning_rate=5e-4", {"exploration.decay"}),
        ("exploration.decay=0.5", {"learning_rate"}),
        ("exploration=linear", {"learning_rate"}),
        ("exploration.end=0.1", {"learning_rate", "exploration.decay"}),
        ("discount=0.9", {"learning_rate", "exploration.decay"}),
    ],
)
def test_what_is_set_ends_the_sweep_of_it_and_of_its_parts(setting, left):
    assert set(typed(set_=(setting,)).sweep) == left


def test_what_is_swept_takes_the_place_of_the_sweep_before():
    assert typed(sweep=("learning_rate=1,2",)).sweep["learning_rate"] == [1, 2]
    assert typed(set_=("run.steps=7", "discount=0.5")).options.steps == 7


def test_a_kind_is_set_before_its_parts_and_its_sweep_keeps_what_is_typed():
    found = typed(set_=("exploration.duration=7.0", "exploration=linear")).learner.exploration
    assert (found.kind, found.duration) == ("linear", 7.0)
    assert set(typed(sweep=("exploration=linear,exponential",)).sweep) == {"learning_rate", "exploration"}
    parts = ("exploration.end=0.1,0.2", "exploration=linear,exponential")
    assert set(typed(sweep=parts).sweep) == {"learning_rate", "exploration", "exploration.end"}
    with pytest.raises(UsageError, match=r"--set exploration.end would be lost"):
        typed(set_=("exploration.end=0.1",), sweep=("exploration=linear,exponential",))


def test_values_are_read_one_by_one():
    assert values("1, 2.5,true,linear") == [1, 2.5, True, "linear"]
    assert values("[8, 16]") == [8, 16]
    with pytest.raises(UsageError, match="a swept value is empty"):
        values("1,,2")


def test_how_a_run_is_tuned_is_named_and_set():
    recipe = parse(TEXT, "recipe")
    found = changed(recipe, ["tune.eta=2", "tune.min_steps=50"], [], {}, "halving").controller
    assert found == SuccessiveHalving(min_steps=50, eta=2)
    with pytest.raises(UsageError, match=r"how the run is tuned, and it is not; add --tune"):
        changed(recipe, ["tune.eta=2"], [], {})
    with pytest.raises(UsageError, match="halving"):
        changed(recipe, [], [], {}, "halfing")
