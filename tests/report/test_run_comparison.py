"""Which runs are compared, and by which of their scores."""

from fake_run import fake_run

from populace import report
from populace.report.run_comparison import RunComparison, comparisons, run_names
from populace.report.runs import Reading
from populace.report.sections import compare
from populace.statistics import summarize

MORE = {"axes": {"learning_rate": [1e-3, 1e-2]}, "seeds": 6, "diverged": (), "media": False}


def runs(path, *skills: float) -> list[Reading]:
    return [
        Reading.of(fake_run(path / str(i), name=f"run {i}", skill=skill, seed=i, **MORE))
        for i, skill in enumerate(skills)
    ]


def confirm(run: Reading, scores: list[float]) -> None:
    entry = run.winner | {"diverged": 0, "test": summarize(scores).as_dict()}
    run.results["confirmation"] = {"settings": [entry]}


def test_a_confirmed_run_is_compared_by_its_confirmed_score(tmp_path):
    strong, weak = runs(tmp_path, 1.0, 0.7)
    confirm(strong, [100.0 + i for i in range(8)])
    found = RunComparison([strong, weak], ["strong", "weak"])
    assert found.kinds == ["confirmation", "test"]
    assert found.ranked == [1, 0], "on new seeds the other one is better"
    assert found.found(0).value == 103.5
    assert found.seeds(0) == 8
    content = compare.several([strong, weak])
    assert content["answer"].startswith("Of 2 runs, “run 1” reaches the highest")
    assert "“run 1” was not confirmed" in content["answer"]


def test_runs_that_tie_are_all_bold(tmp_path):
    one, two, three = runs(tmp_path, 1.0, 0.9, 0.5)
    for run in (one, two):
        run.winner["external"] = one.winner["external"]
    (panel,) = compare.several([one, two, three])["panels"]
    assert [row.chosen for row in panel["table"].rows] == [True, True, False]
    assert panel["found"].tied == [0, 1]
    assert compare.several([one, two])["answer"].startswith("Both runs reach the same")
    assert compare.several([one, two, three])["answer"].startswith("2 of 3 runs reach the same")


def test_each_measure_has_a_panel_with_its_own_direction(tmp_path):
    one, two, three = runs(tmp_path, 1.0, 0.9, 0.5)
    three.results["score"] = {"name": "total_regret", "mode": "min", "score_threshold": None}
    content = compare.several([one, three, two])
    assert [panel["better"] for panel in content["panels"]] == ["higher", "lower"]
    assert [panel["found"].names for panel in content["panels"]] == [["run 0", "run 1"], ["run 2"]]
    assert content["panels"][1]["title"] == "Total regret on cart (lower is better)"
    axes = [panel["charts"]["curves"] for panel in content["panels"]]
    assert [len(chart.legend) for chart in axes if chart] == [2], "no curve of regret was recorded"
    assert [row.chosen for row in content["panels"][1]["table"].rows] == [False]
    page = report.write(
        [fake_run(tmp_path / "a", **MORE), fake_run(tmp_path / "b", **MORE)], tmp_path / "c.html"
    )
    assert "higher is better" in page.read_text(encoding="utf-8")


def test_a_run_over_tasks_meets_the_runs_of_each(tmp_path):
    several = Reading.of(fake_run(tmp_path, **MORE | {"axes": {"env": ["cart", "Acrobot-v1"]}}))
    for entry in several.settings:
        entry["task"] = {"name": entry["values"]["env"], "identity": entry["values"]["env"]}
    several.results["best_by_task"] = [0, 1]
    (one,) = runs(tmp_path, 1.0)
    found = comparisons([several, one], ["several", "one"])
    assert [(group.task, group.names) for group in found] == [
        ("cart", ["several", "one"]),
        ("Acrobot-v1", ["several"]),
    ]
    assert [group.color(len(group.names) - 1) for group in found] == ["c1", "c0"]


def test_runs_of_one_recipe_are_named_by_their_folders(tmp_path):
    one, two = runs(tmp_path, 1.0, 0.9)
    assert run_names([one, two]) == ["run 0", "run 1"]
    two.results["name"] = "run 0"
    assert run_names([one, two]) == ["0", "1"]
    assert run_names([one, one]) == ["0 #1", "0 #2"]
