"""What the report says of a winner and of the settings that it was chosen from."""

import numpy as np
import pytest
from fake_run import fake_run

from populace import report
from populace.report.runs import Reading
from populace.report.text import run_tables, significance, summary
from populace.report.winner_comparison import WinnerComparison

ONE_AXIS = {"learning_rate": [3e-4, 1e-3, 3e-3, 1e-2]}


def reading(path, **more):
    return Reading.of(fake_run(path, media=False, axes=ONE_AXIS, **more))


@pytest.mark.parametrize("lower", [False, True])
def test_a_clear_winner_differs_significantly_and_is_the_best_subset(lower):
    sign = -1.0 if lower else 1.0
    rows = {i: list(sign * (np.arange(8.0) / 10 - 5 * i)) for i in range(4)}
    found = WinnerComparison(0, rows, rows, lower)
    assert all(v.significant and v.probability_of_improvement.value == 1 for v in found.comparisons.values())
    assert found.best_subset == {0}
    assert found.probability_best == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}
    assert (found.winner_bias.at_most, found.winner_bias.contenders) == (0, 1)


def test_equal_settings_may_be_any_and_their_winner_owes_its_lead_to_luck():
    rows = {i: list(row) for i, row in enumerate(np.random.default_rng(0).normal(size=(6, 8)))}
    best = max(rows, key=lambda i: sum(sorted(rows[i])[2:6]))
    found = WinnerComparison(best, rows, rows)
    assert not any(v.significant for v in found.comparisons.values())
    assert len(found.best_subset) >= 5
    assert 0.3 < found.winner_bias.at_most < 0.7
    assert found.winner_bias.contenders == 6


def test_settings_of_shared_seeds_are_compared_by_seed():
    generator = np.random.default_rng(1)
    seeds = 5 * generator.normal(size=12)
    rows = {i: list(seeds + 0.2 * generator.normal(size=12) - i) for i in range(2)}
    found = WinnerComparison(0, rows, rows)
    assert found.intraclass_correlation > 0.9
    assert found.comparisons[1].paired
    assert found.comparisons[1].significant
    assert WinnerComparison(0, {0: rows[0], 1: rows[1][:9]}).intraclass_correlation is None, (
        "other seeds are not the same seeds"
    )


def test_the_report_says_what_differs_significantly_and_how_large_the_winners_bias_may_be(tmp_path):
    run = reading(tmp_path, seeds=8, diverged=())
    notes = " ".join(summary.caveats(run))
    assert "The selected setting is significantly better than" in notes
    said = " ".join(significance.details(run))
    assert "Holm's correction for the 6 pairs" in said
    assert "Hsu's multiple comparisons with the best" in said
    assert "share their seeds" in said
    head = [column.title for column in run_tables.settings_table(run).columns]
    assert head[-2:] == ["significant", "P(best)"]
    (chosen,) = [row for row in run_tables.settings_table(run).rows if row.chosen]
    assert chosen.cells[-2].text == "–"
    page = report.write([fake_run(tmp_path / "page", media=False, axes=ONE_AXIS, seeds=8)]).read_text()
    assert "Hsu&#39;s multiple comparisons" in page


@pytest.mark.parametrize("seeds", [1, 3])
def test_too_few_seeds_get_no_test_and_no_number(tmp_path, seeds):
    run = reading(tmp_path, seeds=seeds, diverged=())
    few = f"{seeds} seed{' per setting is' if seeds == 1 else 's per setting are'} too few to test"
    assert significance.sentence(run).startswith(few)
    assert significance.winner_bias(run) == ""
    (said,) = significance.details(run)
    assert said == "With fewer than 4 seeds it cannot be estimated which setting is the best."
    titles = {column.title for column in run_tables.settings_table(run).columns}
    assert not titles & {"significant", "P(best)"}


def test_a_single_setting_stands_alone(tmp_path):
    run = Reading.of(fake_run(tmp_path, media=False, axes={}, seeds=8))
    assert run.comparison is None
    assert significance.sentence(run) == significance.winner_bias(run) == ""
    assert significance.details(run) == []
