"""Panels: a run whose settings are of several tasks, task by task; tasks are never ranked."""

from dataclasses import replace
from typing import Any

from populace.report import number_format
from populace.report.charts.chart import Chart
from populace.report.runs import Reading
from populace.report.sections import evaluation, sweep, training
from populace.report.text import run_tables, summary


def answer(reading: Reading) -> str:
    """Return what the run is: its tasks, each with a panel of its own."""
    names = [panel.task[0] for panel in reading.panels]
    return (
        f"{number_format.count(len(names), 'task')} ({', '.join(names)}), which cannot be ranked against one "
        "another: each has a panel."
    )


def sections(reading: Reading) -> list[dict[str, Any]]:
    """Return the content of each task's panel."""
    return [_section(panel, f"panel-{i}") for i, panel in enumerate(reading.panels)]


def _section(panel: Reading, id: str) -> dict[str, Any]:
    charts: dict[str, Chart | None] = {
        "curves": training.learning_curves(panel),
        "leaderboard": evaluation.leaderboard(panel) if len(panel.settings) > 1 else None,
        "sweep": sweep.sweep_chart(panel),
    }
    table = run_tables.settings_table(panel)
    table.id = f"{id}-{table.id}"
    return {
        "id": id,
        "task": panel.task[0],
        "answer": summary.answer(panel),
        "caveats": summary.caveats(panel),
        "charts": {name: chart and replace(chart, id=f"{id}-{name}") for name, chart in charts.items()},
        "bounds": panel.bounds,
        "table": table if len(panel.settings) > 1 else None,
    }
