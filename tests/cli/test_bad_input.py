"""What a person mistypes: one line on standard error, exit code 2, and advice in it."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import SMALL

# Words behind `populace run RECIPE`, and what the line must hold: what was wrong, and the way out.
SETTINGS = {
    "unknown setting of a kind": (
        ["--set", "exploration.vale=1"],
        ["unknown setting 'exploration.vale' of kind exponential", "known: exploration.decay"],
    ),
    "setting of a kind that has none": (
        ["--set", "distribution.v_min=1"],
        ["distribution is of kind expected, which has no settings", "another kind first"],
    ),
    "unknown setting": (["--set", "learning_rat=1e-3"], ["learning_rat", "'learning_rate'"]),
    "unknown nested": (["--set", "exploration.stat=1.0"], ["'exploration.start'"]),
    "setting without parts": (["--set", "discount.start=1.0"], ["discount", "has no parts"]),
    "unknown swept setting": (["--sweep", "discont=0.9,0.99"], ["discont", "'discount'"]),
    "unknown key of run": (["--set", "run.step=5"], ["'step'", "'steps'", "[run]"]),
    "no equals sign": (["--set", "discount"], ["KEY=VALUE", "'discount'"]),
    "no key": (["--set", "=3"], ["KEY=VALUE"]),
    "text for a float": (["--set", "learning_rate=fast"], ["learning_rate", "a float", "'fast'"]),
    "bool for a float": (["--set", "discount=true"], ["discount", "a float", "True"]),
    "float for an int": (["--set", "batch_size=1.5"], ["batch_size", "an int", "1.5"]),
    "bool for an int": (["--set", "batch_size=true"], ["batch_size", "an int", "True"]),
    "number for a bool": (["--set", "double=1"], ["double", "a bool", "1"]),
    "number for a text": (["--set", "env=1"], ["env", "a str", "1"]),
    "number for a list": (["--set", "hidden_sizes=64"], ["hidden_sizes", "list of int", "64"]),
    "text in a list": (["--set", 'hidden_sizes=["a"]'], ["hidden_sizes", "list of int"]),
    "discount above 1": (["--set", "discount=1.5"], ["discount", "[0, 1]", "1.5"]),
    "epsilon below 0": (
        ["--set", "exploration.start=-0.1"],
        ["exploration.start", "[0, 1]", "-0.1"],
    ),
    "learning rate nan": (["--set", "learning_rate=nan"], ["learning_rate", "> 0", "nan"]),
    "learning rate inf": (["--set", "learning_rate=inf"], ["learning_rate", "> 0", "inf"]),
    "learning rate 0": (["--set", "learning_rate=0"], ["learning_rate", "> 0"]),
    "batch 0": (["--set", "batch_size=0"], ["batch_size", ">= 1", "0"]),
    "a layer of 0": (["--set", "hidden_sizes=[8, 0]"], ["hidden_sizes", ">= 1", "0"]),
    "not a choice": (["--set", "loss=hubr"], ["loss", "huber", "mse", "'hubr'"]),
    "unknown kind": (["--set", "exploration=linar"], ["linar", "exploration", "'linear'"]),
    "kind of a wrong type": (["--set", "exploration=3"], ["exploration", "exponential", "linear"]),
    "swept value out of range": (["--sweep", "discount=0.9,1.5"], ["discount", "[0, 1]", "1.5"]),
    "swept value of a wrong type": (
        ["--sweep", "discount=0.9,high"],
        ["discount", "a float", "'high'"],
    ),
    "unknown environment": (["--set", "env=CartPol-v1"], ["CartPol-v1", "'CartPole-v1'"]),
    "swept unknown environment": (["--sweep", "env=CartPol-v1"], ["CartPol-v1", "'CartPole-v1'"]),
    "continuous actions": (["--set", "env=Pendulum-v1"], ["Pendulum-v1", "continuous"]),
    "empty sweep": (["--sweep", "discount="], ["discount", "empty"]),
    "empty sweep, as a list": (["--sweep", "discount=[]"], ["discount", "empty"]),
    "an empty value among others": (["--sweep", "discount=0.9,,0.99"], ["empty", "'0.9,,0.99'"]),
    "an empty value at the end": (["--sweep", "discount=0.9,"], ["empty", "'0.9,'"]),
    "epsilon that decays upward": (
        ["--set", "exploration.start=0.1", "--set", "exploration.end=0.5"],
        ["'exponential'", "end 0.5", "start 0.1"],
    ),
    "swept epsilon that decays upward": (
        ["--sweep", "exploration.end=0.1,1.0", "--set", "exploration.start=0.5"],
        ["end 1", "start 0.5"],
    ),
    "a wave upside down": (
        ["--set", "exploration={kind='sinusoidal', low=0.9, high=0.1}"],
        ["'sinusoidal'", "low 0.9", "high 0.1"],
    ),
    "temperature that falls upward": (
        ["--set", "exploration={kind='boltzmann', temperature=0.1, end=0.2}"],
        ["end 0.2", "temperature 0.1"],
    ),
    "range without samples": (
        ["--sweep", "learning_rate={log_uniform = [1e-4, 1e-2]}"],
        ["learning_rate", "samples"],
    ),
    "unknown range": (
        ["--sweep", "learning_rate={normal = [0, 1]}", "--set", "run.samples=2"],
        ["learning_rate", "log_uniform"],
    ),
    "range with one bound": (
        ["--sweep", "learning_rate={uniform = [1]}", "--set", "run.samples=2"],
        ["learning_rate", "[low, high]"],
    ),
    "range with bounds of text": (
        ["--sweep", "learning_rate={uniform = ['a', 'b']}", "--set", "run.samples=2"],
        ["learning_rate", "'a'"],
    ),
    "range upside down": (
        ["--sweep", "learning_rate={uniform = [2, 1]}", "--set", "run.samples=2"],
        ["low < high"],
    ),
    "log range from 0": (
        ["--sweep", "learning_rate={log_uniform = [0, 1]}", "--set", "run.samples=2"],
        ["low > 0"],
    ),
    "samples 0": (["--set", "run.samples=0"], ["samples", "0"]),
    "zero seeds": (["--seeds", "0"], ["seeds", "at least 1", "0"]),
    "zero seeds as a key": (["--set", "run.seeds=0"], ["seeds", "0"]),
    "no seeds": (["--set", "run.seeds=[]"], ["seeds", "at least 1"]),
    "the same seed twice": (["--set", "run.seeds=[1, 1]"], ["seeds", "differ"]),
    "a seed below 0": (["--set", "run.seeds=[-1]"], ["seed", "-1"]),
    "seeds of text": (["--set", "run.seeds=many"], ["seeds", "many"]),
    "root seed below 0": (["--set", "run.seed=-1"], ["seed", "-1"]),
    "zero steps": (["--steps", "0"], ["steps", "0"]),
    "steps below 0": (["--steps", "-5"], ["steps", "-5"]),
    "unknown strategy": (["--strategy", "vmpa"], ["vmap", "map", "'vmpa'"]),
    "strategy 0": (["--strategy", "0"], ["strategy", "'0'"]),
    "strategy as a key": (["--set", "run.strategy=vmpa"], ["vmap", "'vmpa'"]),
    "checkpoints every nan": (["--set", "run.checkpoint_every=nan"], ["checkpoint_every", "nan"]),
    "checkpoints every 0 s": (["--set", "run.checkpoint_every=0"], ["checkpoint_every", "0"]),
    "no checkpoint kept": (["--set", "run.checkpoints_kept=0"], ["checkpoints_kept", "0"]),
    "episodes of text": (["--set", "run.final_evaluation_size=all"], ["final_evaluation_size", "all"]),
    "capacity over storage": (
        ["--set", "replay_capacity=1e6"],
        ["replay_capacity", "replay_storage", "512"],
    ),
    "capacity below a batch": (["--set", "replay_capacity=8"], ["replay_capacity", "batch_size"]),
    "warm-up over capacity": (["--set", "warmup=513"], ["warmup", "replay_capacity"]),
    "swept capacity over storage": (
        ["--sweep", "replay_capacity=100,600"],
        ["replay_capacity", "replay_storage"],
    ),
}


@pytest.mark.parametrize(("words", "parts"), SETTINGS.values(), ids=SETTINGS)
def test_a_wrong_setting_is_refused(cli, small, tmp_path, words, parts):
    out = tmp_path / "out"
    line = cli("run", small, "--out", out, *words).refused(2)
    for part in parts:
        assert part in line
    assert not out.exists(), "a refused run leaves no folder behind"


# What is done to the small recipe, and what the line must hold.
RECIPES = {
    "not TOML": (lambda text: text + "\nseeds = = 2", ["not TOML", "line"]),
    "unknown top-level key": (lambda text: 'lerner = "dqn"\n' + text, ["'lerner'", "'learner'"]),
    "unknown key of run": (lambda text: text.replace("steps =", "step ="), ["'step'", "'steps'"]),
    "unknown key of learner": (
        lambda text: text.replace("batch_size =", "bach_size ="),
        ["'bach_size'", "'batch_size'"],
    ),
    "unknown key of a nested table": (
        lambda text: text + '\n[learner.exploration]\nkind = "linear"\ndecay = 0.9',
        ["'decay'", "exploration"],
    ),
    "unknown kind of a nested table": (
        lambda text: text + '\n[learner.exploration]\nkind = "expo"',
        ["'expo'", "exponential"],
    ),
    "kind of a nested table is no text": (
        lambda text: text + "\n[learner.exploration]\nkind = [1]",
        ["exploration", "exponential"],
    ),
    "unknown swept setting": (lambda text: text + "\ndiscont = [0.9]", ["'discont'", "'discount'"]),
    "no learner": (
        lambda text: text[: text.index("[learner]")] + text[text.index("[sweep]") :],
        ["[learner]", "kind"],
    ),
    "learner without a kind": (
        lambda text: text.replace('kind = "dqn"', ""),
        ["[learner]", "kind"],
    ),
    "unknown learner": (lambda text: text.replace('"dqn"', '"dqm"'), ["'dqm'", "'dqn'"]),
    "learner of no module": (
        lambda text: text.replace('"dqn"', '"no.where:DQN"'),
        ["module 'no.where' ('no.where:DQN')", "--trust"],
    ),
    "learner of no class": (lambda text: text.replace('"dqn"', '"populace.rl.agents.dqn:DQM"'), ["DQM"]),
    "learner without a module": (lambda text: text.replace('"dqn"', '":DQN"'), [":DQN"]),
    "not a Learner": (
        lambda text: text.replace('"dqn"', '"json:JSONDecoder"'),
        ["json:JSONDecoder", "outside populace"],
    ),
    "a Learner that is abstract": (
        lambda text: text.replace('"dqn"', '"populace.core.learner:Learner"'),
        ["Learner"],
    ),
    "a function": (lambda text: text.replace('"dqn"', '"populace.core.files:write"'), ["not a Learner"]),
    "run is no table": (lambda text: "run = 3\n" + text.replace("[run]", "[learner.x]"), ["run"]),
    "sweep is no table": (
        lambda text: "sweep = [1]\n" + text[: text.index("[sweep]")],
        ["sweep", "[sweep]"],
    ),
    "sweep of one value": (lambda text: text + "\ndiscount = 0.9", ["discount", "a list"]),
    "sweep of a text": (lambda text: text + '\nenv = "CartPole-v1"', ["env", "a list"]),
    "empty sweep": (lambda text: text + "\ndiscount = []", ["discount", "empty"]),
    "settings and sweep": (
        lambda text: text + "\n[[settings]]\ndiscount = 0.9",
        ["settings", "sweep"],
    ),
    "unknown setting in a list": (
        lambda text: text.replace("[sweep]", "[[settings]]").replace("learning_rate =", "learnin_rate ="),
        ["'learnin_rate'", "'learning_rate'"],
    ),
    "listed setting of a wrong type": (
        lambda text: text.replace("[sweep]", "[[settings]]"),
        ["learning_rate", "a float"],
    ),
    "settings is a table": (
        lambda text: text.replace("[sweep]", "[settings]"),
        ["settings", "[[settings]]"],
    ),
    "settings is a list of numbers": (
        lambda text: "settings = [1, 2]\n" + text[: text.index("[sweep]")],
        ["settings"],
    ),
    "zero seeds": (lambda text: text.replace("seeds = 2", "seeds = 0"), ["seeds", "0"]),
    "text for a number": (
        lambda text: text.replace("steps = 300", 'steps = "300"'),
        ["steps", "'300'"],
    ),
    "wrong type in learner": (
        lambda text: text.replace("batch_size = 16", 'batch_size = "16"'),
        ["batch_size", "'16'"],
    ),
}


@pytest.mark.parametrize(("change", "parts"), RECIPES.values(), ids=RECIPES)
def test_a_wrong_recipe_file_is_refused(cli, tmp_path, change, parts):
    file, out = tmp_path / "wrong.toml", tmp_path / "out"
    changed = change(SMALL)
    assert changed != SMALL
    file.write_text(changed)
    line = cli("run", file, "--out", out).refused(2)
    for part in parts:
        assert part in line
    assert not out.exists()


def test_a_recipe_file_that_is_not_text_is_refused(cli, tmp_path):
    file = tmp_path / "picture.toml"
    file.write_bytes(b"\x89PNG\xff\xfe\x00")
    assert "picture.toml" in cli("run", file, "--out", tmp_path / "out").refused(2)


def test_an_unknown_recipe_is_refused_with_the_nearest(cli):
    line = cli("run", "cartpol").refused(2)
    assert "'cartpol'" in line
    assert "'cartpole'" in line


@pytest.mark.parametrize("command", ["run", "show"])
def test_a_recipe_file_that_is_missing_is_refused(cli, tmp_path, command):
    assert "none.toml" in cli(command, tmp_path / "none.toml").refused(2)


def test_what_show_does_not_know_is_listed_once(cli):
    line = cli("show", "fit-kernal").refused(2)
    assert line.count("fit-kernel") == 1, "a recipe, and a learner"


def test_a_folder_is_no_recipe(cli, tmp_path):
    assert str(tmp_path) in cli("run", tmp_path).refused(2)


def test_a_folder_does_not_hide_a_recipe_of_its_name(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line-world").mkdir()
    assert "no_such" in cli("run", "line-world", "--set", "no_such=1").refused(2)


def test_a_sweep_over_listed_settings_is_refused(cli, tmp_path):
    file = tmp_path / "listed.toml"
    file.write_text(SMALL.replace("[sweep]", "[[settings]]").replace("[1e-3, 3e-4]", "1e-3"))
    line = cli("run", file, "--sweep", "discount=0.9,0.99", "--out", tmp_path / "out").refused(2)
    assert "[[settings]]" in line


# -- the output folder ---------------------------------------------------------------------------------


def test_an_output_folder_that_exists_is_refused_and_kept(cli, small, finished):
    before = (finished / "results.json").read_bytes()
    line = cli("run", small, "--out", finished).refused(2)
    assert f"populace resume {finished}" in line
    assert "--overwrite" in line
    assert (finished / "results.json").read_bytes() == before


def test_an_output_folder_that_is_a_file_is_refused(cli, small, tmp_path):
    file = tmp_path / "out"
    file.write_text("mine")
    for more in ([], ["--overwrite"]):
        assert "is a file" in cli("run", small, "--out", file, *more).refused(2)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("name", ["file/out", "file/deep/out"])
def test_an_output_folder_that_cannot_be_made_fails(cli, small, tmp_path, name):
    (tmp_path / "file").write_text("")
    line = cli("run", small, "--out", tmp_path / name).refused(1)
    assert "cannot write" in line
    assert name in line


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc, where nobody can write")
def test_an_output_folder_that_cannot_be_written_fails(cli, small):
    line = cli("run", small, "--out", "/proc/populace").refused(1)
    assert "cannot write" in line
    assert "/proc/populace" in line


def test_overwrite_spares_what_no_run_made(cli, small, finished_copy):
    (finished_copy / "thesis.tex").write_text("mine")
    line = cli("run", small, "--out", finished_copy, "--overwrite").refused(2)
    assert "thesis.tex" in line
    assert (finished_copy / "thesis.tex").read_text() == "mine"
    assert (finished_copy / "results.json").is_file()


def test_overwrite_spares_hidden_files_that_no_run_made(cli, small, tmp_path):
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: main")
    line = cli("run", small, "--out", folder, "--overwrite").refused(2)
    assert ".git" in line
    assert (folder / ".git" / "HEAD").is_file()


def test_overwrite_spares_a_folder_that_only_looks_like_a_run(cli, small, tmp_path):
    """Folders called `media` and `metrics` are common; without a recipe they are no run."""
    folder = tmp_path / "album"
    (folder / "media").mkdir(parents=True)
    (folder / "media" / "wedding.jpg").write_text("mine")
    cli("run", small, "--out", folder, "--overwrite").refused(2)
    assert (folder / "media" / "wedding.jpg").is_file()


# -- run folders ---------------------------------------------------------------------------------------

ON_RUNS = [["resume"], ["evaluate"], ["evaluate", "--backend", "gymnasium"], ["report"]]


@pytest.mark.parametrize("length", [300, 5000])
def test_a_path_that_the_system_does_not_take_is_one_line(cli, length):
    path = "x" * length
    taking = ("show", "run", "resume", "report", "evaluate", "verify", "confirm", "forecast", "generate")
    for words in (*([word, path] for word in taking), ["run", "line-world", "--out", path, "-q"]):
        line = cli(*words).refused(1)
        assert "cannot use 'xxx" in line, words
        assert line.endswith(": file name too long"), words
        assert len(line) < 400, words


@pytest.mark.parametrize("words", ON_RUNS, ids=" ".join)
def test_a_folder_that_is_not_a_run_is_refused(cli, tmp_path, words):
    (tmp_path / "notes.txt").write_text("")
    line = cli(*words, tmp_path).refused(2)
    assert str(tmp_path) in line
    assert "not a run" in line
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"], "nothing is left in it"


@pytest.mark.parametrize("words", ON_RUNS, ids=" ".join)
def test_a_run_that_is_missing_is_refused(cli, tmp_path, words):
    assert "no such folder" in cli(*words, tmp_path / "none").refused(2)


@pytest.mark.parametrize("words", ON_RUNS, ids=" ".join)
def test_a_file_is_no_run(cli, tmp_path, words):
    file = tmp_path / "file"
    file.write_text("")
    assert "not a run" in cli(*words, file).refused(2)


def test_a_report_of_a_run_and_something_else_is_refused(cli, finished, tmp_path):
    page = tmp_path / "page.html"
    line = cli("report", finished, tmp_path / "none", "--out", page).refused(2)
    assert "none" in line
    assert not page.exists()


def test_a_report_of_a_run_without_results_fails_with_advice(cli, finished_copy):
    (finished_copy / "results.json").unlink()
    line = cli("report", finished_copy).refused(1)
    assert "results.json" in line
    assert f"populace resume {finished_copy}" in line


def test_results_that_are_damaged_fail_with_their_name(cli, finished_copy):
    whole = (finished_copy / "results.json").read_text()
    (finished_copy / "results.json").write_text(whole[: len(whole) // 2])
    assert "results.json" in cli("report", finished_copy).refused(1)


def test_an_evaluation_of_a_run_without_checkpoints_fails_with_advice(cli, finished_copy):
    shutil.rmtree(finished_copy / "checkpoints")
    line = cli("evaluate", finished_copy, "--size", 2).refused(1)
    assert "no checkpoint" in line
    assert f"populace resume {finished_copy}" in line


def test_an_unknown_backend_is_refused(cli, finished):
    line = cli("evaluate", finished, "--backend", "nonsense", "--size", 2).refused(2)
    assert "'nonsense'" in line
    assert "native" in line
    assert "gymnasium" in line


# -- the other commands, and what the parser itself refuses ----------------------------------------------

MISUSE = {
    "list nonsense": (["list", "nonsense"], ["'nonsense'", "recipes", "learners", "environments"]),
    "list nearly": (["list", "recipe"], ["'recipe'", "'recipes'"]),
    "show nonsense": (["show", "nonsense"], ["'nonsense'"]),
    "show nearly": (["show", "cartpol"], ["'cartpol'", "'cartpole'"]),
    "unknown command": (["trian"], ["trian"]),
    "unknown option": (["run", "cartpole", "--stepz", "5"], ["--stepz", "--steps"]),
    "option without its value": (["run", "cartpole", "--seeds"], ["--seeds"]),
    "option of a wrong type": (["run", "cartpole", "--seeds", "many"], ["--seeds", "'many'"]),
    "no recipe": (["run"], ["RECIPE"]),
    "no run": (["resume"], ["RUN"]),
    "zero episodes": (["evaluate", "somewhere", "--size", "0"], ["--size", "1"]),
    "seed below 0": (["evaluate", "somewhere", "--seed", "-1"], ["--seed", "0"]),
}


@pytest.mark.parametrize(("words", "parts"), MISUSE.values(), ids=MISUSE)
def test_misuse_is_refused(cli, words, parts):
    found = cli(*words)
    line = found.refused(2)
    for part in parts:
        assert part in line
    assert found.out == ""


@pytest.mark.parametrize("words", [["run", "cartpol"], ["run", "cartpole", "--set", "discount=1.5"]])
def test_the_program_itself_refuses_with_one_line(shell, tmp_path, words):
    found = shell(*words, *(["--out", tmp_path / "out"] if "--set" in words else []))
    found.refused(2)
    assert found.out == ""


def test_an_error_leaves_nothing_on_standard_output_for_json(cli, finished):
    found = cli("evaluate", finished, "--backend", "nonsense", "--json")
    found.refused(2)
    with pytest.raises(json.JSONDecodeError):
        json.loads(found.out)
    assert found.out == ""


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("plan", "--effect", "0", "--from"), ["effect must be above 0"]),
        (("plan", "--effect", "1", "--score", "accuracy", "--from"), ["measured return, not accuracy"]),
        (("confirm", "--seeds", "0"), ["--seeds", "1"]),
    ],
)
def test_a_plan_or_a_confirmation_that_says_nothing_is_refused(cli, finished, words, parts):
    line = cli(*words, finished).refused(2)
    assert all(part in line for part in parts)
