"""Recipes: complete, and the same again after being written and read."""

import math
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populace import recipes
from populace.core import settings
from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.core.swept import LogUniform, Uniform
from populace.rl import DQN
from populace.rl.exploration.strategies import ExponentialDecay, LinearDecay
from populace.runs.launch import train
from populace.runs.recipe import Options, Recipe, learner_class, learners, of_population, options, parse
from tests.conftest import SMALL
from tests.learners import Quadratic

# -- there and back ------------------------------------------------------------------------------------

shares = st.floats(0, 1)
explorations = st.builds(LinearDecay, shares, shares, st.floats(1e-6, 1e9)) | st.builds(
    ExponentialDecay, shares, st.just(0.0), st.floats(1e-6, 1), st.sampled_from(["episode", "frame"])
)
agents = st.builds(
    DQN,
    learning_rate=st.floats(1e-300, 1e38),
    discount=shares,
    exploration=explorations,
    batch_size=st.integers(1, 64),
    double=st.booleans(),
    loss=st.sampled_from(["huber", "mse"]),
    hidden_sizes=st.lists(st.integers(1, 512), max_size=3).map(tuple),
)
axes = st.fixed_dictionaries(
    {},
    optional={
        "discount": st.lists(shares, min_size=1, max_size=3, unique_by=np.float32),
        "exploration.start": st.lists(shares, min_size=1, max_size=2, unique_by=np.float32),
        "hidden_sizes": st.lists(
            st.lists(st.integers(1, 64), min_size=1, max_size=2), min_size=1, max_size=2, unique_by=tuple
        ),
        "loss": st.just(["huber", "mse"]),
    },
)
chosen = st.builds(
    Options,
    steps=st.integers(1, 10**9),
    seeds=st.integers(1, 9) | st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 2**31 - 1),
    strategy=st.sampled_from(["auto", "vmap", "map", "3"]) | st.just(["vmap", "map"]),
    checkpoint_every=st.floats(1e-6, 1e6),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(categories=["L", "N"]), min_size=4, max_size=20).filter(
    lambda name: name[:3].upper() not in ("COM", "LPT")  # devices of Windows
)
made = st.builds(Recipe, names, agents, axes, st.just([]), chosen, texts)


@given(made)
def test_a_recipe_read_from_its_text_is_the_same(recipe):
    text = recipe.text()
    again = parse(text, "there and back")
    assert again.text() == text
    assert settings.to_dict(again.learner) == settings.to_dict(recipe.learner)
    assert again.options == recipe.options
    assert (again.name, again.about, again.sweep) == (recipe.name, recipe.about, recipe.sweep)


@given(made)
def test_a_recipe_read_from_its_text_trains_the_same_members(recipe):
    one, other = recipe.population(), parse(recipe.text(), "there and back").population()
    assert one.members == other.members
    assert one.settings == other.settings
    assert (one.seed, one.seeds) == (other.seed, other.seeds)
    for i in range(len(one.settings)):
        assert settings.to_dict(one.learner_of(i)) == settings.to_dict(other.learner_of(i))


@pytest.mark.parametrize("name", recipes.names())
def test_the_recipes_that_come_along_are_sound(name):
    recipe = parse(recipes.text(name), name)
    assert recipe.name == name
    assert recipe.about
    assert len(recipe.population()) > 0
    assert parse(recipe.text(), name).text() == recipe.text()
    if len(recipe.population().settings) > 1:
        assert recipe.options.confirm > 0, "a winner chosen among settings is confirmed"


def test_cartpole_is_sixty_four_members():
    population = parse(recipes.text("cartpole"), "cartpole").population()
    assert (len(population), len(population.settings), len(population.seeds)) == (64, 16, 4)
    assert population.axes == {
        "replay_capacity": [5000, 20000],
        "exploration.decay": [0.95, 0.99],
        "exploration.start": [1.0, 0.5],
        "learning_rate": [1e-3, 3e-4],
    }


def test_the_text_holds_every_setting_and_every_option():
    written = tomllib.loads(parse(SMALL, "small").text())
    for path, field, value in settings.walk(DQN()):
        if field.nested or value is None:
            continue
        table = written["learner"]
        for part in path.split("."):
            table = table[part]
    optional = {name for name, f in Options.model_fields.items() if f.default is None}
    assert written["run"].keys() == Options.model_fields.keys() - optional


def test_the_text_names_the_learner_by_its_import_path():
    """A short name is another package's to take; the path is not."""
    kind = tomllib.loads(parse(SMALL, "small").text())["learner"]["kind"]
    assert learner_class(kind) is DQN


def test_a_population_made_in_python_has_a_recipe_of_the_same_members():
    draws = {"learning_rate": LogUniform(1e-4, 1e-2), "discount": Uniform(0.9, 1.0)}
    population = sweep(DQN(hidden_sizes=(8,)), draws, seeds=[3, 5], samples=4, seed=7)
    recipe = of_population("drawn", population, Options(steps=10))
    again = parse(recipe.text(), "drawn").population()
    assert again.settings == population.settings
    assert again.members == population.members
    assert again.seed == 7


def test_a_population_of_one_setting_has_a_recipe():
    population = sweep(DQN(), seeds=2)
    again = parse(of_population("plain", population, Options()).text(), "plain").population()
    assert again.members == population.members
    assert again.settings == ({},)


# -- reading -------------------------------------------------------------------------------------------


def test_a_short_recipe_takes_the_defaults():
    recipe = parse('[learner]\nkind = "dqn"', "short")
    assert settings.to_dict(recipe.learner) == settings.to_dict(DQN())
    assert recipe.options == Options()
    assert len(recipe.population()) == 1


def test_kinds_of_nested_settings_are_read():
    text = '[learner]\nkind = "dqn"\n[learner.exploration]\nkind = "linear"\nduration = 5'
    exploration = parse(text, "nested").learner.exploration
    assert isinstance(exploration, LinearDecay)
    assert exploration.duration == 5.0


def test_kinds_of_nested_settings_may_be_swept():
    text = '[learner]\nkind = "dqn"\n[sweep]\nexploration = ["linear", "exponential"]'
    population = parse(text, "kinds").population()
    kinds = [type(population.learner_of(i).exploration) for i in range(2)]
    assert kinds == [LinearDecay, ExponentialDecay]
    assert len(population.groups) == 2


def test_ranges_are_drawn_from():
    text = (
        '[learner]\nkind = "dqn"\n[run]\nsamples = 20\nseed = 3\n'
        "[sweep]\nlearning_rate = {log_uniform = [1e-5, 1e-1]}\ndiscount = {uniform = [0.5, 1]}"
    )
    drawn = parse(text, "drawn").population().settings
    assert len(drawn) == 20
    assert len({s["learning_rate"] for s in drawn}) == 20
    assert all(1e-5 <= s["learning_rate"] <= 1e-1 and 0.5 <= s["discount"] <= 1 for s in drawn)
    # Each decade is as likely as the next: a plain draw puts next to none below a hundredth.
    assert 4 <= sum(s["learning_rate"] < 1e-3 for s in drawn) <= 16
    assert parse(text, "drawn").population().settings == drawn
    other = parse(text.replace("seed = 3", "seed = 4"), "drawn").population().settings
    assert other != drawn


def test_a_setting_that_names_nothing_is_in_the_recipe_and_in_its_members():
    population = sweep(DQN(), [{}, {"learning_rate": 1e-4}], seeds=2)
    again = parse(of_population("two", population, Options()).text(), "two").population()
    assert len(again) == len(population) == 4
    assert [again.learner_of(i).learning_rate for i in range(2)] == [DQN().learning_rate, 1e-4]


def test_listed_settings_are_taken_as_they_come():
    text = '[learner]\nkind = "dqn"\n[[settings]]\ndiscount = 0.9\n[[settings]]\n"exploration.end" = 0.1'
    population = parse(text, "listed").population()
    end = DQN().exploration.end  # pyright: ignore[reportAttributeAccessIssue]
    assert population.settings == (
        {"discount": 0.9, "exploration.end": end},
        {"discount": DQN().discount, "exploration.end": 0.1},
    )
    assert population.learner_of(0).discount == 0.9
    assert population.learner_of(1).discount == DQN().discount


def test_a_learner_that_is_given_takes_the_place_of_the_table():
    own = DQN(discount=0.5)
    assert parse(SMALL, "small", own).learner is own


def test_every_short_name_is_a_learner():
    assert "dqn" in learners()
    for name in learners():
        assert learner_class(name) is not None


# -- options -------------------------------------------------------------------------------------------


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


def test_training_takes_a_population():
    with pytest.raises(UsageError, match=r"takes a population, got Quadratic; make one with populace.sweep"):
        train(Quadratic(), steps=5)


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
