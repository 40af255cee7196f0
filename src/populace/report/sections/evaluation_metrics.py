"""What evaluations measured besides the score: each metric of the best setting over training."""

import numpy as np

from populace.report import number_format
from populace.report.charts.chart import COUNTS, Chart, curve_traces, layout
from populace.report.charts.curves import grid, metrics_of, setting_curve
from populace.report.runs import Reading
from populace.statistics import Interval


def evaluation_metrics(reading: Reading) -> list[Chart]:
    """Plot the interquartile mean of each metric but the score, with its interval, and say the last one.

    Metrics of a held-out environment have a section of their own.
    """
    entry = reading.winner or (reading.ranked[0] if reading.ranked else None)
    if entry is None:
        return []
    charts = []
    for i, metric in enumerate(metrics_of(reading.evaluation)):
        found = grid(reading.evaluation, metric)
        if found is None or metric == reading.results["score"]["name"] or metric.startswith("held_out"):
            continue
        curve = setting_curve(found.thinned(), entry)
        if not np.isfinite(curve.value).any():
            continue
        name = metric.replace("_", " ")
        last = int(np.flatnonzero(np.isfinite(curve.value))[-1])
        ends = Interval(float(curve.value[last]), float(curve.low[last]), float(curve.high[last]))
        written = number_format.interval(ends)
        charts.append(
            Chart(
                f"evaluation-metric-{i}",
                f"{name} in evaluations over {reading.unit}: interquartile mean"
                + (f" with its {reading.bounds} as a band" if reading.bounds else "")
                + f"; at last {written}.",
                curve_traces(curve, name, "c0", unit=reading.unit),
                layout({"nticks": 4, **COUNTS}, {"nticks": 5})
                | {"margin": {"l": 44, "r": 10, "t": 8, "b": 28}},
                title=name,
                caption=f"at last {written}",
                height=190,
            )
        )
    return charts
