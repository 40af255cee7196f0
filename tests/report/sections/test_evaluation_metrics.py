"""What evaluations measured besides the score is drawn, with its interval, and said in words."""

import numpy as np
import pyarrow as pa
import pytest
from fake_run import fake_run

from populace import report
from populace.report.runs import Reading
from populace.report.sections.evaluation_metrics import evaluation_metrics
from populace.statistics import bootstrap_interval


def with_column(path, name, values):
    run = fake_run(path, axes={}, seeds=6, diverged=())
    table = run.tables["evaluation"]
    run.tables["evaluation"] = table.append_column(name, pa.array(values(table)))
    return run


def rising(table):
    return np.asarray(table["step"], float) / 20_000 + np.asarray(table["member"], float) / 100


def test_a_metric_has_its_interval_over_members_and_the_last_one_in_words(tmp_path):
    run = with_column(tmp_path, "boards_cleaned", rising)
    charts = {chart.title: chart for chart in evaluation_metrics(Reading.of(run))}
    assert "return" not in charts  # the score has a section of its own
    band, line = charts["boards cleaned"].traces
    last = bootstrap_interval(1 + np.arange(6) / 100)
    assert line["y"][-1] == pytest.approx(last.value, abs=1e-4)
    assert min(band["y"]) < line["y"][0]
    assert charts["boards cleaned"].caption.startswith("at last 1.02")
    page = report.write([run]).read_text(encoding="utf-8")
    assert "Metrics of the evaluations" in page
    assert charts["boards cleaned"].caption in page


def test_a_metric_of_the_held_out_environment_or_never_measured_has_none(tmp_path):
    run = with_column(tmp_path, "held_out_return", rising)
    assert "held out return" not in [chart.title for chart in evaluation_metrics(Reading.of(run))]
    run = with_column(tmp_path, "nothing", lambda table: np.full(table.num_rows, np.nan))
    assert "nothing" not in [chart.title for chart in evaluation_metrics(Reading.of(run))]
