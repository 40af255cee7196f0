"""Strings that name code: found wherever they stand, and resolved to what they may be only."""

import sys

import gymnasium
import pytest

from populace.core.errors import UsageError
from populace.core.imports import by_path, trust
from populace.core.imports.registered import import_kinds
from populace.rl.environments import registry
from populace.rl.vector_env.process.making import Spec

NAMED = {
    "a kind": ({"kind": "mine:Net"}, {"mine"}),
    "an environment": ({"env": "os:system(command='touch X')"}, {"os"}),
    "Gymnasium's own syntax": (["gymnasium:mine.worlds:Maze-v0"], {"mine.worlds"}),
    "spaces around": ("  gymnasium: mine :Maze-v0", {"mine"}),
    "PettingZoo's": (["pettingzoo:mine.worlds(max_cycles=9)", "pettingzoo: mine"], {"mine.worlds", "mine"}),
    "JaxMARL's": (["jaxmarl:mine.worlds:Maze(size=3)", "jaxmarl:MPE_simple_spread_v3"], {"mine.worlds"}),
    "an argument": ("gymnasium:GymV26Environment-v0(env_id='mine:Maze-v0')", {"mine"}),
    "a nested argument": ("Braking-v0(friction=[{'a': ('mine:f(x=1)',)}])", {"mine"}),
    "deep in a list": ({"a": [{"b": [[{"c": "mine:X"}]]}]}, {"mine"}),
    "several": (["one:A", {"x": "two:B"}], {"one", "two"}),
    "populace's": ("populace.rl.agents.dqn:DQN", set()),
    "registered": (["gymnasium:CartPole-v1(sutton_barto_reward=True)", "CartPole-v1", "dqn"], set()),
    "no module": (["https://x.org/a:b", "a label: with words", "C:\\data", "12:30", ":DQN"], set()),
    "no arguments": ("Maze(f(", set()),
}


@pytest.mark.parametrize(("value", "modules"), NAMED.values(), ids=NAMED)
def test_every_module_that_a_table_names_is_found(value, modules):
    assert {*trust.foreign(value)} == modules


def test_a_module_is_told_with_the_string_that_names_it_and_what_to_do():
    with pytest.raises(UsageError) as told:
        trust.check({"env": "mine:Maze(size=5)"}, "r.toml")
    assert "r.toml names code outside populace: module 'mine' ('mine:Maze(size=5)')" in str(told.value)
    assert str(told.value).endswith("if you trust it, pass trust=True")
    assert told.value.command_line.endswith("if you trust it, add --trust")


def test_packages_that_registered_environments_are_known(monkeypatch):
    class Entry:
        module = "ale_py.registration"

    monkeypatch.setattr(trust, "entry_points", lambda group: [Entry] if group == "gymnasium.envs" else [])
    trust._installed.cache_clear()
    try:
        assert not trust.foreign("gymnasium:ale_py:ALE/Pong-v5")
        assert trust.foreign("gymnasium:ale_py.other:ALE/Pong-v5")
    finally:
        trust._installed.cache_clear()


PYTHONS = ["os:system", "subprocess:check_output", "builtins:eval", "populace.core.files:os.system"]


@pytest.mark.parametrize("path", PYTHONS)
def test_what_is_python_s_own_is_no_environment_whoever_names_it(path, tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(UsageError, match=r"a part of Python|is not looked for in what is no class"):
        registry.make(f"{path}(command='touch {mark}')")
    with pytest.raises((ImportError, AttributeError, TypeError)):
        Spec(registered=False, identifier=path, arguments={"command": f"touch {mark}"}).make()
    assert not mark.exists()


def test_gymnasium_imports_no_module_of_python_either():
    with pytest.raises(UsageError, match="'antigravity' is a part of Python"):
        registry.make("gymnasium:antigravity:Maze-v0")
    assert "antigravity" not in sys.modules


def test_only_functions_of_a_person_make_environments():
    base = gymnasium.Env
    assert by_path.find_class_or_factory("tests.rl.host_envs:Counting", "environment", base)
    with pytest.raises(UsageError, match="a function of your own"):
        by_path.find_class_or_factory("populace.core.files:write", "environment", base)
    with pytest.raises(UsageError, match="not a subclass of Env"):
        by_path.find_class_or_factory("populace.rl.agents.dqn:DQN", "environment", base)
    with pytest.raises(TypeError, match=r"not a subclass of gymnasium.Env"):
        Spec(registered=False, identifier="populace.core.errors:Advice", arguments={}).make()


@pytest.mark.parametrize("path", ["../mine:X", "mine:X.", "mine:", "mi ne:X", "mine:X;y", "mine.:X"])
def test_what_is_no_path_is_not_imported(path):
    with pytest.raises(UsageError, match="is no import path"):
        by_path.find(path, "learner")


def test_a_kind_is_a_class_of_settings():
    with pytest.raises(UsageError, match=r"'populace.core.errors:Advice' is no kind of setting"):
        import_kinds([{"kind": "populace.core.errors:Advice"}])
