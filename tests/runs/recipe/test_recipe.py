"""Recipes: complete, and the same again after being written and read."""

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from populace import recipes
from populace.core import settings
from populace.core.population import sweep
from populace.core.swept import LogUniform, Uniform
from populace.rl import DQN
from populace.rl.exploration.strategies import ExponentialDecay, LinearDecay
from populace.runs.recipe.kinds import learner_class
from populace.runs.recipe.options import Options
from populace.runs.recipe.parsing import parse
from populace.runs.recipe.recipe import Recipe, of_population
from tests.conftest import SMALL

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


def test_a_setting_that_names_nothing_is_in_the_recipe_and_in_its_members():
    population = sweep(DQN(), [{}, {"learning_rate": 1e-4}], seeds=2)
    again = parse(of_population("two", population, Options()).text(), "two").population()
    assert len(again) == len(population) == 4
    assert [again.learner_of(i).learning_rate for i in range(2)] == [DQN().learning_rate, 1e-4]


# -- options -------------------------------------------------------------------------------------------
