"""What a person is told who mistyped a name."""

import pytest

from populace.core.errors import unknown

SETTINGS = ["batch_size", "dropout_rate", "hidden_sizes", "learning_rate", "env", "num_envs", "warmup"]
RECIPES = ["cartpole", "cartpole-ppo", "cora-gat", "cora-gcn", "mnist"]


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("rate", SETTINGS, "did you mean 'dropout_rate' or 'learning_rate'?"),
        ("size", SETTINGS, "did you mean 'batch_size' or 'hidden_sizes'?"),
        ("envs", SETTINGS, "did you mean 'env' or 'num_envs'?"),
        ("lr", SETTINGS, "did you mean 'learning_rate'?"),
        ("bach_size", SETTINGS, "did you mean 'batch_size'?"),
        ("CORA", RECIPES, "did you mean 'cora-gat' or 'cora-gcn'?"),
        ("ppo-cartpole", RECIPES, "did you mean 'cartpole-ppo' or 'cartpole'?"),
        ("run1", ["run10", "run11", "run12"], "did you mean 'run10', 'run11' or 'run12'?"),
        ("zz", ["one", "two"], "known: one, two"),
        ("x", [], "there are none"),
    ],
)
def test_all_names_that_may_be_meant_are_suggested(name, known, advice):
    assert str(unknown("name", name, known)) == f"unknown name '{name}'; {advice}"


def test_suggestions_are_few_and_bear_the_path_of_their_owner():
    line = str(unknown("setting", "stat", [f"start{i}" for i in range(9)], owner="exploration."))
    assert line.startswith("unknown setting 'exploration.stat'; did you mean 'exploration.start0', 'explor")
    assert line.count("exploration.start") == 6
