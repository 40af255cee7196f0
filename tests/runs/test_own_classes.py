"""Learners, kinds and environments in a module of the person's own, which lies in the current folder."""

import sys
import tomllib

import pytest

from populace.core.errors import UsageError
from populace.core.population import sweep
from populace.rl.environments import registry
from populace.runs.recipe.kinds import learner_class
from populace.runs.recipe.options import Options
from populace.runs.recipe.parsing import parse
from populace.runs.recipe.recipe import of_population

MODULE = """
from typing import ClassVar

from populace.optim.schedules import Constant
from populace.rl import DQN
from tests.rl.host_envs import Counting


class Mine(DQN):
    "A learner that is mine."


class Steady(Constant):
    kind: ClassVar[str] = "steady"


class World(Counting):
    pass
"""
KIND = '[learner]\nkind = "{0}:Mine"\n[learner.schedule]\nkind = "{0}:Steady"'


@pytest.fixture(params=["learner", "recipe", "show", "environment", "set"])
def module(request, tmp_path, monkeypatch):
    """A module that nobody has imported yet, in the current folder."""
    name = f"own_{request.param}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/nowhere")  # puts sys.path back afterwards
    yield name
    sys.modules.pop(name, None)


def test_a_module_in_the_current_folder_is_found_from_everywhere(module, cli, tmp_path):
    used = module.removeprefix("own_")
    if used == "learner":
        assert learner_class(f"{module}:Mine").__name__ == "Mine"
    if used == "recipe":
        recipe = parse(KIND.format(module), "own", trust=True)
        written = of_population("own", sweep(recipe.learner), Options()).text()
        table = tomllib.loads(written)["learner"]
        assert (table["kind"], table["schedule"]["kind"]) == (f"{module}:Mine", f"{module}:Steady")
        assert type(parse(written, "again", trust=True).learner) is type(recipe.learner)
    if used == "show":
        shown = cli("show", f"{module}:Mine")
        assert shown.code == 0
        assert "A learner that is mine." in shown.out
    if used == "environment":
        assert registry.make(f"{module}:World(max_episode_steps=5, workers=1)").actions == 3
    if used == "set":
        (tmp_path / "plain.toml").write_text('[learner]\nkind = "dqn"')
        line = cli("run", "plain.toml", "--set", f"schedule.kind={module}:Nothing").refused(2)
        assert f"cannot import kind '{module}:Nothing'" in line


def test_what_is_not_there_is_told_with_where_to_start():
    def own(path):
        return parse(f'[learner]\nkind = "{path}"', "own", trust=True)

    for find in (learner_class, registry.make, own):
        with pytest.raises(UsageError, match="No module named 'no_such'; start from the folder that holds"):
            find("no_such:Thing")
    with pytest.raises(UsageError, match="defined in a script; put it in a module"):
        learner_class("__main__:Thing")


def test_a_kind_of_another_setting_is_refused():
    with pytest.raises(UsageError, match=r"unknown kind 'populace.rl:DQN' of schedule"):
        parse('[learner]\nkind = "dqn"\n[learner.schedule]\nkind = "populace.rl:DQN"', "own")
