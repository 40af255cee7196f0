"""Recipes as they are read: defaults, kinds of nested settings, ranges, lists."""

from populace.core import settings
from populace.rl import DQN
from populace.rl.exploration.strategies import ExponentialDecay, LinearDecay
from populace.runs.recipe.options import Options
from populace.runs.recipe.parsing import parse
from tests.conftest import SMALL


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
    # What a run folder keeps are the settings themselves, so that a resumed run has those that were drawn.
    recipe = parse(text.replace("seed = 3", 'seed = 3\nsampling = "sobol"'), "spread")
    kept = parse(recipe.drawn().text(), "kept")
    assert (kept.options.samples, kept.options.sampling, kept.sweep) == (None, "random", {})
    assert kept.population().settings == recipe.population().settings != drawn


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
