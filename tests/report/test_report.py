"""The words and numbers of the report, without a browser."""

import json
import re
from pathlib import Path

import pytest
from fake_run import FakeRun, fake_run

from populace import report
from populace.core.errors import UsageError
from populace.report import number_format
from populace.report import page as pages
from populace.report.charts import curves
from populace.report.runs import Reading
from populace.report.sections import compare, sweep, training
from populace.report.text import coverage, run_tables, summary
from populace.statistics import Interval, summarize

ONE_AXIS = {"learning_rate": [1e-3, 1e-2]}


def reading(path: Path, **more) -> Reading:
    return Reading.of(fake_run(path, media=False, **more))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (499.23456, "499.2"),
        (0, "0"),
        (0.001234567, "0.001235"),
        (3.2e-7, "3.2e−7"),
        (-12.5, "−12.5"),
        (20_000, "20\u202f000"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "∞"),
    ],
)
def test_numbers_have_sensible_digits(value, written):
    assert number_format.number(value) == written


@pytest.mark.parametrize(
    ("found", "written"),
    [
        (Interval(499.23, 496.01, 500.0), "499.2 (496.0 to 500.0)"),
        (Interval(480.7, 431.2, 497.9), "481 (431 to 498)"),
        (Interval(0.8712, 0.8412, 0.9012), "0.871 (0.841 to 0.901)"),
        (Interval(-0.05, -0.31, 0.2), "−0.05 (−0.31 to 0.20)"),
        (Interval(12.5, 12.5, 12.5), "12.5"),
        (None, "–"),
    ],
)
def test_the_digits_of_an_interval_follow_its_width(found, written):
    assert number_format.interval(found) == written


@pytest.mark.parametrize(
    ("counts", "name"),
    [
        ([5, 9], "95 % interval"),
        ([4, 4], "range of 4 seeds"),
        ([2, 4, 1], "range of fewer than 5 seeds"),
        ([3, 8], "95 % interval, or range of 3 seeds"),
        ([1, 1], ""),
    ],
)
def test_bounds_are_called_an_interval_only_where_they_are_one(counts, name):
    assert number_format.bounds_name(counts) == name


def test_the_page_of_few_seeds_never_says_that_it_has_an_interval(tmp_path):
    for seeds, wanted in ((4, False), (5, True)):
        page = report.write(
            [fake_run(tmp_path / str(seeds), seeds=seeds, axes=ONE_AXIS, media=False)]
        ).read_text()
        shown = re.sub(r"\\d*|<script.*?</script>", "", page, flags=re.DOTALL).replace(
            "too few for a 95 % interval", ""
        )
        assert ("95 % interval" in shown) == wanted
        assert (f"range of {seeds} seeds" in shown) != wanted


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.42, "0.42 s"), (134.2, "2 min 14 s"), (3_900, "1 h 05 min"), (None, "–")],
)
def test_durations(seconds, written):
    assert number_format.duration(seconds) == written


def test_the_sentence_names_setting_score_interval_seeds_episodes_place_and_losses(tmp_path):
    sentence = summary.answer(reading(tmp_path))
    assert re.fullmatch(
        r"The best of 16 settings – learning_rate 0\.001, exploration\.decay 0\.9\d* – reaches an "
        r"interquartile mean return of 4\d\d(\.\d)? \(range of 4 seeds: 4[\d.]+ to [45][\d.]+\), "
        r"on 200 new episodes each, in Gymnasium; 2 of 64 members diverged\.",
        sentence,
    ), sentence


def test_the_sentence_believes_outside_then_fresh_then_what_there_is(tmp_path):
    run = reading(tmp_path, external=False)
    assert number_format.value_of(run.believed(run.winner)) in summary.answer(run)
    assert run.measured == "test"
    assert "Gymnasium" not in summary.answer(run)
    run = reading(tmp_path, external=False, test=False)
    assert "no separate test" in summary.answer(run)
    assert "expect a worse one" in summary.bias(run)


def test_the_sentence_quotes_what_was_played_outside_where_it_was(tmp_path):
    run = reading(tmp_path)
    played = Interval(*run.winner["external"]["iqm"], range_of=4)
    assert number_format.interval(played, named=True) in summary.answer(run)
    assert "in Gymnasium" in summary.answer(run)


def test_settings_are_listed_by_rank_from_one(tmp_path):
    run = reading(tmp_path, axes=ONE_AXIS, lower=True)
    table = run_tables.settings_table(run)
    assert [row.cells[0].text for row in table.rows] == ["1", "2"]
    assert [row.cells[0].key for row in table.rows] == [1, 2]
    assert [row.cells[2].key for row in table.rows] == [e["values"]["learning_rate"] for e in run.ranked]


@pytest.mark.parametrize("lower", [False, True])
def test_a_worse_test_score_says_how_optimistic_validation_was(tmp_path, lower):
    run = reading(tmp_path, lower=lower)
    run.winner["validation"]["iqm"], run.winner["test"]["iqm"] = [100.0, 90.0, 110.0], [93.0, 80.0, 99.0]
    worse = "Here it is 7 too optimistic." in summary.bias(run)
    assert worse is not lower
    assert ("the test score is not worse" in summary.bias(run)) is lower


def test_one_seed_has_no_interval_and_says_so(tmp_path):
    run = reading(tmp_path, axes={}, seeds=1, diverged=())
    assert "95 %" not in summary.answer(run)
    assert "single seed" in summary.answer(run)
    assert any("One seed: no interval" in caveat for caveat in summary.caveats(run))


def test_given_start_weights_are_told(tmp_path):
    run = reading(tmp_path)
    assert "given weights" not in " ".join(summary.caveats(run))
    run.results["start_weights"] = True
    assert "All members started from the same given weights" in " ".join(summary.caveats(run))


def test_what_a_controller_did_is_told(tmp_path):
    run = reading(tmp_path)
    run.results["stopped_early"] = {"step": run.results["steps"], "reason": "the target is 475"}
    run.members[0]["stopped_at"], run.members[1]["lineage"] = 100, [{"step": 100, "source": 2}]
    notes = " ".join(summary.caveats(run))
    assert "Training ended early" in notes
    assert "the target is 475. That moment was chosen" in notes
    assert "A controller stopped 1 member before the end." in notes
    assert "The state of 1 member was copied from another member." in notes


def test_settings_that_lost_rank_behind_and_are_not_compared(tmp_path):
    run = reading(tmp_path, axes=ONE_AXIS, seeds=4)
    first, *others = run.ranked
    assert run.comparison is not None
    run = reading(tmp_path, axes=ONE_AXIS, seeds=4)
    run.results["eliminated"] = True
    for member in first["members"]:
        run.members[member]["stopped_at"] = 100
    assert [e["setting"] for e in run.ranked] == [e["setting"] for e in (*others, first)]
    assert first["setting"] not in (run.comparison.scores if run.comparison else {})
    count = len(others) + 1
    assert f"1 of {count} settings were stopped before the end, from step 100 on" in " ".join(
        summary.caveats(run)
    )


def test_all_diverged_is_the_answer_even_where_something_scored_before(tmp_path):
    run = reading(tmp_path, axes=ONE_AXIS, seeds=2, diverged=(0, 1, 2, 3))
    assert summary.answer(run).startswith("All 4 members diverged, the first at step")


def test_both_numbers_stand_side_by_side_with_the_reason(tmp_path):
    run = reading(tmp_path)
    rows = summary.scores_by_source(run)
    assert [row["title"] for row in rows] == ["Validation", "Test", "External"]
    assert "selection bias" in summary.bias(run)
    assert re.search(r"\d too optimistic", summary.bias(run))


def test_lower_is_better_turns_the_ranking_round(tmp_path):
    run = reading(tmp_path, lower=True)
    values = [run.believed(entry).value for entry in run.ranked]
    assert values == sorted(values)
    last = run.comparison.comparisons[run.ranked[-1]["setting"]]
    assert last.probability_of_improvement.value > 0.9, "the winner must improve on the last in the ranking"


def test_a_later_leader_is_named_but_not_chosen(tmp_path):
    run = fake_run(tmp_path, media=False)
    other = next(e for e in run.content["settings"] if e["setting"] != run.content["best"]["setting"])
    other["external"] = other["external"] | {"iqm": [499.9, 499.8, 500.0]}
    run = Reading.of(run)
    assert run.winner is not other
    assert any("scored better" in caveat for caveat in summary.caveats(run))


def test_a_diverged_member_counts_as_its_floor_in_the_curves(tmp_path):
    run = reading(tmp_path, axes=ONE_AXIS, seeds=4, diverged=(0,))
    found = curves.score_grid(run)
    at = run.members[0]["diverged_at"]
    assert (found.values[0, found.steps >= at] == 0.0).all()
    assert found.values[1:].min() > 0, "no other member may be as low, or the floor could be theirs"
    assert (found.values[0, found.steps < at] > 0).all()


def test_bands_that_are_not_shown_take_no_room(tmp_path):
    run = reading(tmp_path, solved=None, diverged=(9,))
    chart = training.learning_curves(run)
    bands = [trace for trace in chart.traces if "fill" in trace]
    assert [("fill" in band["meta"]) for band in bands] == [True] * 5 + [False], "that of the winner is shown"
    hidden = {(trace["fillcolor"], trace["meta"]["fill"]) for trace in bands[:-1]}
    assert ("c1/0", "c1/0.16") in hidden
    low, high = chart.layout["yaxis"]["range"]
    lines = [y for trace in chart.traces if "fill" not in trace for y in trace["y"] if y is not None]
    assert low < min(lines)
    assert max(lines) < high < 550


def test_curves_fall_back_to_training_and_then_to_none(tmp_path):
    run = reading(tmp_path, empty=True)
    assert training.learning_curves(run) is not None
    bare = Reading(run.path, run.results, run.train.slice(0, 0), run.evaluation, {}, "")
    assert training.learning_curves(bare) is None
    assert training.diagnostics(bare) == []


def test_a_metric_never_measured_gets_no_chart(tmp_path):
    titles = [chart.title for chart in training.diagnostics(reading(tmp_path))]
    assert titles == ["return", "loss", "q mean", "epsilon"]


def test_few_values_stand_evenly_many_on_a_logarithmic_scale():
    assert sweep.scale([0.9, 0.999, 0.99]).places == [0.0, 1.0, 0.5]
    assert sweep.scale(["relu", "tanh", "relu"]).ticks == [(0.0, "relu"), (1.0, "tanh")]
    wide = sweep.scale([10**-k for k in range(9)])
    assert wide.logarithmic
    assert wide.places == pytest.approx([1 - k / 8 for k in range(9)])
    assert sweep.scale([True, False, 3, "x"]).places == pytest.approx([0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ("axes", "kind"),
    [
        ({}, None),
        (ONE_AXIS, "scatter"),
        (ONE_AXIS | {"width": [32, 64]}, "heatmap"),
        (ONE_AXIS | {"width": [32, 64], "network.activation": ["relu", "tanh"]}, "scatter"),
    ],
)
def test_the_sweep_is_drawn_by_its_number_of_axes(tmp_path, axes, kind):
    chart = sweep.sweep_chart(reading(tmp_path, axes=axes, seeds=2, diverged=()))
    assert (chart.traces[0]["type"] if chart else None) == kind


@pytest.mark.parametrize(
    "case",
    [
        {"axes": {}, "seeds": 1, "diverged": ()},
        {"axes": {}, "seeds": 1, "diverged": (0,)},
        {"axes": ONE_AXIS, "seeds": 1, "diverged": (0, 1), "test": False, "external": False},
        {"axes": ONE_AXIS, "seeds": 3, "lower": True, "solved": None, "empty": True},
        {"axes": ONE_AXIS, "status": "stopped", "test": False, "external": False},
    ],
)
def test_odd_runs_make_a_page(tmp_path, case):
    run = fake_run(tmp_path, media=False, **case)
    page = report.write([run]).read_text(encoding="utf-8")
    specs = page.split('id="specs">')[1].split("</script>")[0]
    json.loads(specs, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert ("populace resume" in page.split('class="answer"')[0]) == ("status" in case)


def test_nothing_scored_at_all_makes_a_page(tmp_path):
    run = fake_run(tmp_path, axes=ONE_AXIS, seeds=2, diverged=(0, 1, 2, 3), media=False)
    nothing = {"n": 2, "diverged": 2, "scores": [None] * 2}
    nothing |= {name: [None] * 3 for name in ("iqm", "median", "mean")}
    for entry in run.content["settings"]:
        entry |= {"validation": nothing, "test": nothing, "external": None}
    for member in run.content["members"]:
        member |= {"validation": {"score": None, "step": None}, "external": None}
    run.content["best"] = None
    page = report.write([run]).read_text(encoding="utf-8")
    assert "All 4 members diverged" in page
    assert 'id="settings"' not in page, "floors are no scores to rank"


def test_media_come_inside_and_only_from_their_folder(tmp_path):
    page = report.write([fake_run(tmp_path)]).read_text(encoding="utf-8")
    assert page.count("data:video/mp4;base64,") == 1
    assert page.count('<img src="data:image/png;base64,') == 1
    assert "Gone" not in page


def test_the_page_names_no_absolute_path(tmp_path):
    page = report.write([fake_run(tmp_path / "a run", media=False)]).read_text(encoding="utf-8")
    assert str(tmp_path) not in page
    assert "populace resume &#39;a run&#39;" in page


def test_several_runs_need_a_path_and_none_are_refused(tmp_path):
    run = fake_run(tmp_path, axes={}, media=False)
    with pytest.raises(UsageError, match="needs a path"):
        report.write([run, run])
    with pytest.raises(UsageError, match="at least one run"):
        report.write([])


def pair(tmp_path: Path) -> list[FakeRun]:
    more = {"axes": ONE_AXIS, "seeds": 6, "diverged": (), "media": False}
    weak = fake_run(tmp_path / "a", name="weak", skill=0.6, **more)
    return [weak, fake_run(tmp_path / "b", name="strong", skill=1.0, seed=1, **more)]


def test_a_comparison_names_the_better_run_and_how_sure(tmp_path):
    found = [Reading.of(run) for run in pair(tmp_path)]
    sentence = compare.several(found)["answer"]
    assert sentence.startswith("Of 2 runs, “strong” reaches the highest interquartile mean return")
    assert "the difference is significant (permutation test, p = 0.0022)" in sentence


def test_runs_that_measure_different_things_are_not_ranked(tmp_path):
    one, two = pair(tmp_path)
    two.content["score"] = {"name": "error", "mode": "min", "score_threshold": None}
    content = compare.several([Reading.of(one), Reading.of(two)])
    assert "different scores (return and error)" in content["answer"]
    assert all(panel["charts"]["leaderboard"] is None for panel in content["panels"])


def test_runs_of_different_tasks_are_not_ranked(tmp_path):
    one, two = pair(tmp_path)
    for entry in two.content["settings"]:
        entry["task"] = {"name": "Acrobot-v1", "identity": "Acrobot-v1"}
    content = compare.several([Reading.of(one), Reading.of(two)])
    assert content["answer"].startswith(
        "These runs have different tasks (cart and Acrobot-v1), so they cannot"
    )
    charts = [panel["charts"] for panel in content["panels"]]
    assert len(charts) == 2
    assert not any(found["leaderboard"] or found["profile"] for found in charts)
    assert all(found["curves"] for found in charts)


def test_what_runs_were_not_given_alike_is_in_the_sentence(tmp_path):
    one, two = pair(tmp_path)
    assert "not given the same" not in compare.several([Reading.of(one), Reading.of(two)])["answer"]
    two.content["steps"] = 5_000
    sentence = compare.several([Reading.of(one), Reading.of(two)])["answer"]
    sentence = sentence.replace("\u202f", ",")
    assert sentence.endswith("the same training per member (“weak” 80,000 frames, “strong” 20,000 frames).")


def test_a_sweep_over_tasks_is_shown_task_by_task(tmp_path):
    run = fake_run(tmp_path, axes={"env": ["cart", "Acrobot-v1"]}, seeds=6, diverged=(), media=False)
    for entry in run.content["settings"]:
        name = entry["values"]["env"]
        entry["task"] = {"name": name, "identity": name}
    run.content["best_by_task"] = [0, 1]
    content = pages.one(Reading.of(run), tmp_path / "report.html")
    assert content["answer"].startswith("2 tasks (cart, Acrobot-v1), which cannot be ranked")
    assert [panel["task"] for panel in content["panels"]] == ["cart", "Acrobot-v1"]
    assert all(panel["charts"]["curves"] for panel in content["panels"]), "each panel has its curves"
    assert all(panel["answer"].startswith("“cart on a rail” reaches") for panel in content["panels"])
    assert not any(content["charts"][name] for name in ("leaderboard", "sweep", "improvement", "curves"))
    report.write([run])


def test_only_differences_are_listed(tmp_path):
    one, two = pair(tmp_path)
    two.surroundings = one.surroundings | {"packages": {"jax": "0.11.0", "equinox": "0.13.2"}}
    content = compare.several([Reading.of(one), Reading.of(two)])
    listed = [row.cells[0].text for row in content["environments"]["table"].rows]
    assert listed == ["jax", "optax"]
    assert [row.cells[0].text for row in content["recipes"]["table"].rows] == ["recipe.name"]


def test_a_confirmed_score_leads_and_the_rival_is_named(tmp_path):
    run = fake_run(tmp_path, axes=ONE_AXIS, media=False, diverged=())
    rival, winner = run.content["settings"][:2]
    run.content["best"]["setting"] = 1
    new = [{**e, "diverged": 0, "test": summarize(s).as_dict()} for e, s in zip((winner, rival), SCORES)]
    run.content["confirmation"] = {"folder": "confirmation", "seeds": list(range(10, 18)), "settings": new}
    read = Reading.of(run)
    assert "of 404.0 (95 % interval" in summary.answer(read)
    assert summary.answer(read).endswith("on 8 new seeds that took no part in choosing it.")
    (told,) = [note for note in summary.caveats(read) if "nearest rival" in note]
    assert told.endswith("the rival is significantly worse.")
    assert not any("New seeds would tell" in note for note in summary.caveats(read))
    assert summary.scores_by_source(read)[-1]["title"] == "Confirmation"
    new[1]["test"] = summarize(SCORES[0][::-1]).as_dict()
    assert any("the difference is not significant" in note for note in summary.caveats(Reading.of(run)))


SCORES = [400.0 + i for i in (0, 1, 2, 3, 5, 6, 7, 8)], [300.0 + i for i in range(8)]


def test_without_a_test_part_nothing_is_called_fresh(tmp_path):
    run = fake_run(tmp_path, axes=ONE_AXIS, media=False, diverged=(), external=False)
    run.content |= {"independent_test": False, "test_description": "the 40 validation examples again"}
    read = Reading.of(run)
    assert "as optimistic as the validation score" in summary.bias(read)
    titles = [row["title"] for row in summary.scores_by_source(read)]
    assert titles == ["Validation", "Validation again"]


def test_the_report_says_what_the_interval_covers(tmp_path):
    run = fake_run(tmp_path, axes={}, seeds=6, media=False, diverged=(), external=False)
    assert any("With fewer than 8 seeds the interval" in note for note in summary.caveats(Reading.of(run)))
    (entry,) = run.content["settings"]
    assert coverage.sentence(Reading.of(run)) == "", "every agent has episodes of its own"
    run.content |= {"evaluation_unit": "", "test_description": "the 200 test examples"}
    assert "but not other test data" in coverage.sentence(Reading.of(run))
    entry["test"]["examples"] = {
        "size": 200, "over_examples": [470.0, 460.0, 480.0], "over_seeds_and_examples": [470.0, 450.0, 490.0],
    }  # fmt: skip
    assert coverage.sentence(Reading.of(run)).endswith("of the same kind it is 450 to 490.")
    assert coverage.sentence(Reading.of(run)) in summary.caveats(Reading.of(run))
    entry["test"]["examples"]["over_seeds_and_examples"] = None
    assert "460 to 480 with 95 % confidence; other seeds are not" in coverage.sentence(Reading.of(run))


def test_folds_are_reported_by_their_mean(tmp_path):
    run = fake_run(tmp_path, axes={}, seeds=6, media=False, diverged=(), external=False)
    (entry,) = run.content["settings"]
    for kind in ("validation", "test"):
        entry[kind] = summarize([6.0, 7, 8, 9, 10, 20], test_to_train=0.2).as_dict() | {"headline": "mean"}
    run.content |= {"evaluation_unit": "", "test_description": "each member's tested fold of 6"}
    read = Reading.of(run)
    assert "a mean return of 10" in summary.answer(read)
    assert "over 6 folds" in summary.answer(read)
    assert "Nadeau and Bengio" in coverage.sentence(read)
