"""Recipes that somebody else wrote: nothing that they name runs unasked."""

import json
import shutil

import pytest

from populace.core.errors import UsageError
from populace.runs.integrity import record, sealed
from populace.runs.run import Run

LEARNER = """
from pathlib import Path
from tests.learners import Quadratic

Path({mark!r}).touch()


class Mine(Quadratic):
    pass
"""
RECIPE = """
[learner]
kind = "{kind}"
{more}
[run]
steps = 4
strategy = "map"
"""


@pytest.fixture
def mark(tmp_path):
    """The file that foreign code would make."""
    return tmp_path / "mark"


@pytest.fixture
def recipe(tmp_path, mark, monkeypatch):
    """A recipe of a learner that nobody has imported yet, beside its module."""
    import sys

    (tmp_path / "own_trusted.py").write_text(LEARNER.format(mark=str(mark)))
    file = tmp_path / "mine.toml"
    file.write_text(RECIPE.format(kind="own_trusted:Mine", more=""))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/nowhere")  # puts sys.path back afterwards
    yield file
    sys.modules.pop("own_trusted", None)


SHELL = "os:system(command='touch {mark}')"
HOSTILE = {
    "env": ("dqn", 'env = "' + SHELL + '"'),
    "held_out": ("dqn", 'held_out = "' + SHELL + '"'),
    "output of a process": ("dqn", "env = \"subprocess:check_output(args=['touch', '{mark}'])\""),
    "Gymnasium's module": ("dqn", 'env = "gymnasium:own_trusted:Maze-v0"'),
    "tabular env": ("q-learning", 'env = "' + SHELL + '"'),
    "learner": ("own_trusted:Mine", ""),
    "optimizer": ("dqn", '[learner.optimizer]\nkind = "own_trusted:Mine"'),
    "schedule": ("dqn", '[learner.schedule]\nkind = "own_trusted:Mine"'),
    "network": ("node-classifier", '[learner.network]\nkind = "own_trusted:Mine"'),
    "controller": ("dqn", '[controller]\nkind = "own_trusted:Mine"'),
    "sweep": ("dqn", '[sweep]\nenv = ["' + SHELL + '"]'),
    "swept kind": ("dqn", '[sweep]\nschedule = [{{kind = "own_trusted:Mine"}}]'),
    "listed settings": ("dqn", '[[settings]]\nenv = "' + SHELL + '"'),
}


@pytest.mark.parametrize(("kind", "more"), HOSTILE.values(), ids=HOSTILE)
def test_a_recipe_runs_nothing(cli, recipe, mark, kind, more):
    recipe.write_text(RECIPE.format(kind=kind, more=more.format(mark=mark)))
    shown = cli("show", recipe)
    assert shown.code == 0
    assert "names code outside populace, which is not run" in shown.out
    line = cli("run", recipe, "--out", recipe.parent / "out").refused(2)
    assert "names code outside populace" in line
    assert line.endswith("add --trust")
    assert not mark.exists()
    assert not (recipe.parent / "out").exists()


@pytest.mark.parametrize("words", [["resume", "--steps", 400], ["evaluate"], ["confirm"]])
def test_a_received_folder_runs_nothing(cli, finished_copy, mark, recipe, words):
    text = (finished_copy / "recipe.toml").read_text()
    changed = text.replace('env = "CartPole-v1"', f"env = \"os:system(command='touch {mark}')\"")
    assert changed != text
    (finished_copy / "recipe.toml").write_text(changed)
    assert cli("report", finished_copy, "--out", recipe.parent / "page.html").code == 0
    assert cli("list", "runs", "--in", finished_copy.parent).code == 0
    assert cli(words[0], finished_copy, *words[1:]).refused(2).endswith("add --trust")
    line = cli(words[0], finished_copy, *words[1:], "--trust").refused(2)
    assert "'os' is a part of Python" in line, "not even if it is trusted"
    assert not mark.exists()


def test_trust_is_remembered_with_the_recipe_and_by_this_person_alone(
    cli, recipe, mark, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    assert cli("run", recipe, "--out", out, "--no-report", "-q", "--trust").code == 0
    assert mark.exists()
    assert json.loads((out / record.FILE).read_text())["modules"] == ["own_trusted"]
    assert cli("resume", out, "--steps", 6, "--no-report", "-q").code == 0, "its own runs are trusted"
    assert Run.load(out).recipe.options.steps == 6, "and so is the recipe that asks for more"
    assert "--trust" in cli("run", recipe, "--out", tmp_path / "other").refused(2), "a file has no record"

    changed = shutil.copytree(out, tmp_path / "changed")
    with (changed / "recipe.toml").open("a") as file:
        file.write("\n# another recipe\n")
    with pytest.raises(UsageError, match="pass trust=True"):
        _ = Run.load(changed).recipe
    assert Run.load(changed, trust=True).recipe.options.steps == 6
    assert Run.load(changed).recipe.options.steps == 6, "remembered"

    # The same folder with somebody else: it brings its record along, which says nothing there.
    monkeypatch.setenv("POPULACE_CACHE", str(tmp_path / "elsewhere"))
    assert cli("resume", out).refused(2).endswith("add --trust")
    record.keep(tmp_path, "text", ["mine"])
    assert record.is_trusted(tmp_path, "text")
    assert ((tmp_path / "elsewhere" / "trust.key").stat().st_mode & 0o777) == 0o600


def test_a_record_that_is_none_says_nothing(tmp_path):
    record.keep(tmp_path, "text", ["mine"])
    good = sealed.opened((tmp_path / record.FILE).read_text())
    assert record.is_trusted(tmp_path, "text")
    changes = {"seal": None}, {"modules": ["other"]}, {"seal": "0" * 64}, {"recipe_sha256": []}
    for note in ([], {}, None, *(good | change for change in changes)):
        text = json.dumps(note, indent=1)
        (tmp_path / record.FILE).write_text(sealed.seal(text) if isinstance(note, dict) else text)
        assert not record.is_trusted(tmp_path, "text")
    (tmp_path / record.FILE).write_text("[" * 100_000)
    assert not record.is_trusted(tmp_path, "text")


def test_a_class_on_this_very_command_line_is_trusted(cli, tmp_path):
    file = tmp_path / "plain.toml"
    file.write_text(RECIPE.format(kind="dqn", more=""))
    line = cli("run", file, "--set", "env=no_such:Maze", "--out", tmp_path / "o").refused(2)
    assert "No module named 'no_such'" in line, "it was looked for"


def test_what_a_recipe_names_and_is_installed_makes_nothing_when_it_is_shown(cli, tmp_path, monkeypatch):
    from populace.rl.environments import registry

    def made(name):
        raise AssertionError(f"{name} was made")

    monkeypatch.setattr(registry, "make", made)
    (tmp_path / "r.toml").write_text(
        RECIPE.format(kind="dqn", more='env = "gymnasium:CartPole-v1"\n[sweep]\ndiscount = [0.9, 0.99]')
    )
    shown = cli("show", tmp_path / "r.toml")
    assert shown.code == 0
    assert "2 members" in shown.out
