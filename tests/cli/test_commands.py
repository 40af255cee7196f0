"""What the commands print and write when all is well."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import populace
from populace import recipes
from populace.runs.run import Run
from tests.conftest import outcome_of

NONE = [None, None, None]


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


# -- help ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heavy", ["jax", "numpy", "orbax", "gymnax", "pyarrow", "plotly"])
def test_importing_populace_imports_nothing_heavy(heavy):
    assert _python(f"import sys, populace; print('{heavy}' in sys.modules)") == "False"


def test_help_imports_no_jax():
    code = (
        "import atexit, sys; sys.argv = ['populace', '--help']; from populace.cli import main;"
        "atexit.register(lambda: print('jax imported:', 'jax' in sys.modules)); main()"
    )
    printed = _python(code)
    assert "Usage" in printed
    assert printed.endswith("jax imported: False")


COMMANDS = (
    "run",
    "resume",
    "evaluate",
    "report",
    "list",
    "show",
    "status",
    "watch",
    "profile",
    "sample",
    "doctor",
)


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(cli, option):
    found = cli(option)
    assert found.code == 0
    assert found.err == ""
    for name in COMMANDS:
        assert f" {name} " in found.out


def test_without_words_the_help_is_printed(cli):
    found = cli()
    assert found.code == 2
    assert "Usage" in found.out + found.err


def test_the_version_is_that_of_the_package(cli):
    found = cli("--version")
    assert (found.code, found.out) == (0, f"populace {populace.__version__}\n")


OPTIONS = {
    "run": "--set --sweep --seeds --steps --strategy --target-score --tune --out --overwrite --json --quiet"
    " --no-report",
    "resume": "--steps --json --quiet --no-report",
    "evaluate": "--size --backend --seed --json",
    "report": "--out --trade-off",
    "status": "--json",
    "watch": "--port",
    "profile": "--sizes --out --repeats --json",
    "sample": "--n --out --label --temperature --seed --member --json",
    "doctor": "--json",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_its_options(cli, command):
    found = cli(command, "--help")
    assert found.code == 0
    for option in OPTIONS.get(command, "--help").split():
        assert option in found.out


# -- list, show, doctor --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("recipes", ["cartpole"]),
        ("learners", ["dqn"]),
        ("environments", ["CartPole-v1", "Acrobot-v1"]),
    ],
)
def test_list_names_what_there_is(cli, what, names):
    found = cli("list", what)
    assert found.code == 0
    assert found.err == ""
    for name in names:
        assert name in found.out


def test_a_learner_of_another_package_that_cannot_be_imported_hides_no_other(cli, monkeypatch):
    from populace.runs.recipe import kinds

    known = kinds.learners() | {"zz-broken": "nowhere_at_all.learner:Learner"}
    monkeypatch.setattr(kinds, "learners", lambda: known)
    found = cli("list", "learners")
    assert found.code == 0
    assert "dqn" in found.out
    assert "cannot import learner 'nowhere_at_all.learner:Learner'" in " ".join(found.out.split())


def test_list_lists_recipes_unless_told(cli):
    assert cli("list").out == cli("list", "recipes").out


@pytest.mark.parametrize("name", recipes.names())
def test_show_a_recipe_tells_who_trains_and_how(cli, name):
    from populace.core.settings import describe
    from populace.runs.recipe.parsing import parse

    recipe = parse(recipes.text(name), name)
    found = cli("show", name)
    assert found.code == 0
    assert recipe.about in " ".join(found.out.split())
    assert f"{len(recipe.population())} members" in found.out
    settings = [field.name for field in describe(type(recipe.learner))]
    for path in [*recipe.population().axes, *settings, "run.", "checkpoint_every"]:
        assert path in found.out


def test_show_a_recipe_file_tells_the_same_as_of_its_name(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(recipes.text("cartpole"))
    by_file, by_name = (cli("show", name).out.splitlines() for name in ("mine.toml", "cartpole"))
    assert by_file[0].startswith("mine.toml: ")
    assert by_file[2:-1] == by_name[2:-1]


def test_show_a_learner_tells_every_setting_with_type_default_range_and_meaning(cli):
    from populace.core.formatting import format_value
    from populace.core.settings import describe, variants
    from populace.rl import DQN

    found = cli("show", "dqn")
    assert found.code == 0
    said = " ".join(found.out.split())
    assert "Deep Q-learning" in said
    rows: dict[str, str] = {}
    for line in filter(str.strip, found.out.splitlines()):
        # What does not fit into a row goes on below it, further in.
        name = [*rows][-1] if line.startswith(" ") and rows else line.split()[0]
        rows[name] = rows.get(name, "") + line
    for field in describe(DQN):
        row = rows[field.name]
        assert field.meaning.help.split()[0] in row
        if field.nested:
            assert all(kind in row for kind in variants(field.hint))
            continue
        assert field.type_name in row
        assert format_value(field.default) in row
        assert field.meaning.range() in row
    assert "exploration.decay" in rows


def test_doctor_tells_of_backend_devices_versions_and_cache(cli):
    import jax

    found = cli("doctor")
    assert found.code == 0
    for word in (jax.default_backend(), "cpu:0", f"jax {jax.__version__}", "cache", "missing"):
        assert word in found.out


def test_doctor_prints_json_and_nothing_else(cli):
    import os

    found = cli("doctor", "--json")
    assert found.code == 0
    assert found.err == ""
    assert {"backend", "devices", "packages", "cache", "missing"} <= found.json.keys()
    assert found.json["cache"] == os.environ["POPULACE_CACHE"]


# -- run -----------------------------------------------------------------------------------------------


def test_a_run_folder_holds_what_was_promised(finished):
    for name in ("recipe.toml", "environment.json", "results.json"):
        assert (finished / name).is_file(), name
    assert list((finished / "metrics").glob("train-*.parquet"))
    assert list((finished / "metrics").glob("evaluation-*.parquet"))
    assert list((finished / "tensorboard").rglob("events.*"))
    assert (finished / "checkpoints" / "300").is_dir()
    assert not (finished / "report.html").exists(), "--no-report was asked"
    assert not [p for p in finished.iterdir() if p.name.startswith(".")], "nothing half-written"


def test_a_run_tells_its_progress_and_outcome(cli, small, tmp_path):
    out = tmp_path / "run"
    found = cli("run", small, "--out", out, "--no-report", "--steps", 60)
    assert found.code == 0, found.err
    assert found.err == ""
    assert "4 members  step 60 of 60" in found.out
    for word in ("frames/s", "return", "left", "best setting", "fresh episodes", str(out)):
        assert word in found.out


def test_json_is_all_that_a_run_prints_and_what_it_keeps(cli, small, tmp_path):
    out = tmp_path / "run"
    found = cli("run", small, "--out", out, "--no-report", "--steps", 60, "--json")
    assert found.code == 0
    assert found.err == ""
    assert found.json == Run.load(out).results()
    assert found.json["steps"] == 60


def test_quiet_prints_nothing(cli, small, tmp_path):
    words = ["--no-report", "--steps", 60, "--quiet"]
    found = cli("run", small, "--out", tmp_path / "run", *words)
    assert (found.code, found.out, found.err) == (0, "", "")


def test_quiet_resume_prints_nothing(cli, finished_copy):
    found = cli("resume", finished_copy, "--no-report", "--quiet")
    assert (found.code, found.out, found.err) == (0, "", "")


def test_json_of_a_finished_resume_is_its_results(cli, finished_copy):
    found = cli("resume", finished_copy, "--no-report", "--json")
    assert found.code == 0
    assert found.json == Run.load(finished_copy).results()


def test_resume_trains_on_to_more_steps(cli, finished_copy):
    line = cli("resume", finished_copy, "--steps", 200).refused(2)
    assert line.endswith("was asked for 300 steps, and only more can be added; got 200")
    found = cli("resume", finished_copy, "--steps", 310, "--no-report", "--json")
    assert (found.code, found.json["steps"], found.json["status"]) == (0, 310, "finished")


def test_start_weights_that_are_not_there_are_refused(cli, small, tmp_path):
    found = cli("run", small, "--set", "run.start_from=nowhere", "--out", tmp_path / "run")
    assert found.refused(2) == "start_from: there is no file or folder 'nowhere'"
    assert not (tmp_path / "run").exists()


def test_what_is_typed_goes_into_the_run(cli, small, tmp_path):
    out = tmp_path / "run"
    words = [
        "--set", "discount=0.9", "--set", "exploration.end=0.2", "--set", "run.final_evaluation_size=2",
        "--sweep", "tau=0.01,1", "--seeds", 1, "--steps", 40, "--strategy", "map",
    ]  # fmt: skip
    found = cli("run", small, "--out", out, "--no-report", "--quiet", *words)
    assert found.code == 0, found.err
    run = Run.load(out)
    options = run.recipe.options
    learner: Any = run.recipe.learner
    assert (learner.discount, learner.exploration.end) == (0.9, 0.2)
    assert (options.seeds, options.steps, options.strategy) == (1, 40, "map")
    assert run.population.axes == {"learning_rate": [1e-3, 3e-4], "tau": [0.01, 1]}
    assert len(run.results()["members"]) == 4
    assert run.results()["command"].startswith("populace run ")


def test_setting_what_is_swept_ends_that_sweep(cli, small, tmp_path):
    out = tmp_path / "run"
    words = ["--set", "learning_rate=5e-4", "--steps", 40, "--seeds", 1, "--no-report", "--quiet"]
    assert cli("run", small, "--out", out, *words).code == 0
    population = Run.load(out).population
    assert len(population) == 1
    learner: Any = population.learner_of(0)
    assert learner.learning_rate == 5e-4


def test_overwrite_replaces_a_run(cli, small, finished_copy):
    words = ["--steps", 40, "--seeds", 1, "--no-report", "--quiet"]
    found = cli("run", small, "--out", finished_copy, "--overwrite", *words)
    assert found.code == 0, found.err
    results = json.loads((finished_copy / "results.json").read_text())
    assert results["steps"] == 40
    checkpoints = [p.name for p in (finished_copy / "checkpoints").iterdir()]
    assert checkpoints == ["40"], "nothing of the run before is left"


def test_without_a_folder_a_run_makes_a_new_one(cli, small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--steps", 40, "--seeds", 1, "--no-report", "--quiet"]
    assert cli("run", small, *words).code == 0
    (made,) = (tmp_path / "runs").iterdir()
    assert made.name.startswith("small-")
    assert (made / "results.json").is_file()


# -- evaluate ------------------------------------------------------------------------------------------


def _numbers(found: dict) -> list[float]:
    return [x for s in found["settings"] for x in s["summary"]["iqm"]]


def test_native_evaluation_measures_every_setting(cli, finished):
    found = cli("evaluate", finished, "--size", 3, "--json")
    assert found.code == 0
    assert found.err == ""
    assert (found.json["backend"], found.json["size"]) == ("native", 3)
    assert [s["members"] for s in found.json["settings"]] == [[0, 1], [2, 3]]
    assert all(math.isfinite(x) and 1 <= x <= 500 for x in _numbers(found.json))
    for entry in found.json["settings"]:
        value, low, high = entry["summary"]["iqm"]
        assert low <= value <= high


def test_gymnasium_evaluation_measures_the_best_setting(cli, finished):
    found = cli("evaluate", finished, "--size", 3, "--backend", "gymnasium", "--json")
    assert found.code == 0
    (entry,) = found.json["settings"]
    best = json.loads((finished / "results.json").read_text())["best"]
    assert entry["setting"] == best["setting"]
    assert all(math.isfinite(x) and 1 <= x <= 500 for x in _numbers(found.json))


def test_an_evaluation_is_repeatable_and_depends_on_its_seed(cli, finished):
    words = ["evaluate", finished, "--size", 5, "--json"]
    first, again = cli(*words).json, cli(*words).json
    other = cli(*words, "--seed", 7).json
    assert first == again
    assert _numbers(first) != _numbers(other)


def test_an_evaluation_is_printed_as_a_table_and_changes_nothing(cli, finished):
    before = outcome_of(finished)
    found = cli("evaluate", finished, "--size", 2)
    assert found.code == 0
    for word in ("2 episodes per member, native", "learning_rate 0.001", "interquartile mean"):
        assert word in found.out
    assert outcome_of(finished) == before


def test_a_docstring_is_shown_in_paragraphs_that_a_terminal_wraps():
    from populace.cli.commands.descriptions import _flowing

    text = "First line\nand second, see [`Name`][a.b.Name].\n\n    y = x\n    z = y\n\n- one\n- two"
    assert _flowing(text) == "First line and second, see `Name`.\n\n    y = x\n    z = y\n\n- one\n- two"


@pytest.mark.parametrize(("mode", "order"), [("max", ["0.3", "0.2", "0.1"]), ("min", ["0.2", "0.3", "0.1"])])
def test_an_evaluation_lists_the_best_setting_first(capsys, mode, order):
    from populace.cli.results import print_evaluation

    entries = [
        {
            "setting": i,
            "values": {"rate": rate},
            "members": [i],
            "summary": {"iqm": iqm, "diverged": iqm is NONE},
        }
        for i, (rate, iqm) in enumerate([(0.1, NONE), (0.2, [-1.0] * 3), (0.3, [0.0] * 3)])
    ]
    about = {"size": 2, "unit": "", "backend": "native", "seed": 1}
    print_evaluation(about | {"mode": mode, "settings": entries})
    said = capsys.readouterr().out
    assert sorted(order, key=lambda rate: said.index(f"rate {rate}")) == order


def test_an_evaluation_cuts_no_name_in_a_narrow_terminal(capsys, monkeypatch):
    from populace.cli.results import print_evaluation

    monkeypatch.setenv("COLUMNS", "80")
    values = {"exploration.decay": 0.995, "exploration.start": 0.5, "learning_rate": 0.001}
    summary = {"iqm": [123.4, 120.1, 130.2], "diverged": 0}
    entry = {"setting": 0, "values": values, "members": [0, 1], "summary": summary}
    about = {"size": 2, "unit": "episodes", "backend": "native", "seed": 1}
    print_evaluation(about | {"mode": "max", "settings": [entry]})
    said = capsys.readouterr().out
    assert "…" not in said
    for name in (*values, "interquartile", "120.1 to 130.2"):
        assert name in said


# -- report --------------------------------------------------------------------------------------------


def test_report_writes_a_page_into_the_run(cli, finished_copy):
    found = cli("report", finished_copy)
    assert found.code == 0, found.err
    page = finished_copy / "report.html"
    assert str(page) in found.out
    assert "<html" in page.read_text()[:2000].lower()


def test_report_of_several_runs_goes_where_it_is_told(cli, finished, finished_copy, tmp_path):
    page = tmp_path / "both.html"
    found = cli("report", finished, finished_copy, "--out", page)
    assert found.code == 0, found.err
    assert str(page) in found.out
    assert page.stat().st_size > 1000
    assert not (finished / "report.html").exists()


def test_report_of_several_runs_has_a_place_of_its_own(cli, finished, finished_copy, monkeypatch):
    monkeypatch.chdir(finished_copy.parent)
    assert cli("report", finished, finished_copy).code == 0
    assert Path("comparison.html").is_file()


# -- interruption --------------------------------------------------------------------------------------


def test_an_interrupted_command_says_so_in_one_line(cli, monkeypatch):
    from populace.cli.commands import descriptions

    def interrupt(what: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(descriptions, "print_list", interrupt)
    assert cli("list").code == 130


def test_a_fault_of_ours_is_one_line_with_a_way_to_see_more(cli, monkeypatch):
    from populace.cli.commands import descriptions

    def fail(what: str) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    monkeypatch.setattr(descriptions, "print_list", fail)
    found = cli("list")
    assert found.code == 1
    assert found.err == "populace: ZeroDivisionError: first line (set POPULACE_DEBUG=1 for the traceback)\n"


def test_status_says_how_far_a_run_is_and_who_leads(cli, finished):
    found = cli("status", finished)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("Finished: 300 of 300 steps.")
    told = json.loads(cli("status", finished, "--json").out)
    results = json.loads((finished / "results.json").read_text())
    assert (told["state"], told["step"], len(told["leaders"])) == ("finished", 300, 2)
    values = {s["setting"]: s["test"]["iqm"][0] for s in results["settings"]}
    assert [one["score"][0] for one in told["leaders"]] == sorted(values.values(), reverse=True)
    assert "no run at" in cli("status", finished / "nowhere").refused(2)
