"""Panels: a run whose settings are of several tasks, task by task; tasks are never ranked."""

import dataclasses
from typing import Any

from populace.report.charts.chart import Chart
from populace.report.runs import Reading
from populace.report.sections import evaluation
from populace.report.text import summary


def answer(reading: Reading) -> str:
    """Return the main result of each task, one sentence each."""
    tasks = [f"{panel.task[0]}: {summary.answer(panel)}" for panel in reading.panels]
    return f"{len(tasks)} tasks, which are not ranked against one another. " + " ".join(tasks)


def caveats(reading: Reading) -> list[str]:
    """Return the caveats of each task's result."""
    return [f"{panel.task[0]}: {note}" for panel in reading.panels for note in summary.caveats(panel)]


def charts(reading: Reading) -> list[Chart]:
    """Return one leaderboard per task that has scores."""
    found = enumerate(map(evaluation.leaderboard, reading.panels))
    return [dataclasses.replace(chart, id=f"panel-{i}") for i, chart in found if chart]


def sections(reading: Reading) -> list[dict[str, Any]]:
    """Return the name of each task and the chart of its settings."""
    names = {f"panel-{i}": panel.task[0] for i, panel in enumerate(reading.panels)}
    return [{"task": names[chart.id], "chart": chart} for chart in charts(reading)]
