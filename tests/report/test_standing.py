"""What the report says of a winner and of the settings that it was chosen from."""

import numpy as np
import pytest
from fake_run import fake_run

from populace import report
from populace.report.runs import Reading
from populace.report.standing import Standing
from populace.report.text import standing, summary, tables

ONE_AXIS = {"learning_rate": [3e-4, 1e-3, 3e-3, 1e-2]}


def reading(path, **more):
    return Reading.of(fake_run(path, media=False, axes=ONE_AXIS, **more))


@pytest.mark.parametrize("lower", [False, True])
def test_a_clear_winner_is_told_apart_and_only_it_may_be_the_best(lower):
    sign = -1.0 if lower else 1.0
    rows = {i: list(sign * (np.arange(8.0) / 10 - 5 * i)) for i in range(4)}
    found = Standing(0, rows, rows, lower)
    assert all(v.told_apart and v.chance.value == 1 for v in found.verdicts.values())
    assert found.may_be_best == {0}
    assert found.chances == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}
    assert (found.bias.at_most, found.bias.contenders) == (0, 1)


def test_equal_settings_may_be_any_and_their_winner_owes_its_lead_to_luck():
    rows = {i: list(row) for i, row in enumerate(np.random.default_rng(0).normal(size=(6, 8)))}
    best = max(rows, key=lambda i: sum(sorted(rows[i])[2:6]))
    found = Standing(best, rows, rows)
    assert not any(v.told_apart for v in found.verdicts.values())
    assert len(found.may_be_best) >= 5
    assert 0.3 < found.bias.at_most < 0.7
    assert found.bias.contenders == 6


def test_settings_of_shared_seeds_are_compared_by_seed():
    generator = np.random.default_rng(1)
    seeds = 5 * generator.normal(size=12)
    rows = {i: list(seeds + 0.2 * generator.normal(size=12) - i) for i in range(2)}
    found = Standing(0, rows, rows)
    assert found.share > 0.9
    assert found.verdicts[1].paired
    assert found.verdicts[1].told_apart
    assert Standing(0, {0: rows[0], 1: rows[1][:9]}).share is None, "other seeds are not the same seeds"


def test_the_report_says_what_is_told_apart_and_how_lucky_the_winner_may_be(tmp_path):
    run = reading(tmp_path, seeds=8, diverged=())
    notes = " ".join(summary.caveats(run))
    assert "It is told apart from" in notes
    said = " ".join(standing.details(run))
    assert "Holm's correction over the 6 pairs" in said
    assert "Hsu's comparison with the best" in said
    assert "share their seeds" in said
    head = [column.title for column in tables.settings_table(run).columns]
    assert head[-2:] == ["told apart", "best"]
    (chosen,) = [row for row in tables.settings_table(run).rows if row.chosen]
    assert chosen.cells[-2].text == "–"
    page = report.write([fake_run(tmp_path / "page", media=False, axes=ONE_AXIS, seeds=8)]).read_text()
    assert "Hsu&#39;s comparison" in page


@pytest.mark.parametrize("seeds", [1, 3])
def test_too_few_seeds_get_no_verdict_and_no_number(tmp_path, seeds):
    run = reading(tmp_path, seeds=seeds, diverged=())
    few = f"{seeds} seed{'' if seeds == 1 else 's'} per setting"
    assert standing.told_apart(run).startswith(f"{few} cannot tell 4 settings apart")
    assert standing.luck(run) == ""
    (said,) = standing.details(run)
    assert said == "With fewer than 4 seeds nothing can be said of which setting is the best."
    assert {cell.text for row in tables.settings_table(run).rows for cell in row.cells[-2:]} == {"–"}


def test_a_single_setting_stands_alone(tmp_path):
    run = Reading.of(fake_run(tmp_path, media=False, axes={}, seeds=8))
    assert run.standing is None
    assert standing.told_apart(run) == standing.luck(run) == ""
    assert standing.details(run) == []
