"""The page: the results of a run as charts, tables and text, in one HTML file that works offline."""

import base64
import gzip
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from populace.core.errors import UsageError
from populace.core.files import write as write_whole
from populace.core.system import memory
from populace.report import number_format
from populace.report.charts.chart import Chart
from populace.report.media import media_items
from populace.report.runs import Reading, RunLike
from populace.report.sections import (
    compare,
    evaluation,
    generalization,
    lineage,
    panels,
    sweep,
    trade_off,
    training,
)
from populace.report.sections.evaluation_metrics import evaluation_metrics
from populace.report.text import full_tables, run_tables, significance, summary, tables
from populace.report.text.comparison import budgets
from populace.report.text.final_metrics import final_metrics_table
from populace.report.text.glossary import glossary

CHARTS = ("curves", "seeds", "leaderboard", "sweep", "chosen", "profile", "improvement")
_TEMPLATES = Path(__file__).parent / "templates"


def write(runs: Sequence[RunLike], path: Path | None = None) -> Path:
    """Write the report of one run, or a comparison of several, and return its path.

    The report of a single run goes to `report.html` in its folder unless `path` is given. The page contains
    its charts, videos and scripts, and loads nothing from the network.

    Raises:
        UsageError: no runs, or several runs without a path.

    """
    if not runs:
        raise UsageError("a report needs at least one run, got none")
    if path is None:
        if len(runs) > 1:
            raise UsageError(f"a comparison of {len(runs)} runs needs a path to write to, got none")
        path = Path(runs[0].path) / "report.html"
    readings = [Reading.of(run) for run in runs]
    memory.give_back()
    content = one(readings[0], path) if len(runs) == 1 else compare.several(readings)
    page = render("run.html.j2" if len(runs) == 1 else "compare.html.j2", content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    if len(runs) == 1:
        full_tables.write(readings[0], path)
    return path


@cache
def environment() -> jinja2.Environment:
    """Return the templates; everything inserted is escaped, and what is missing is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["nobreak"] = lambda text: re.sub(r"(?<=\d) %", "\u00a0%", text)
    return made


def render(template: str, content: dict[str, Any]) -> str:
    """Render a template; everything inserted is escaped, including chart data."""
    charts = {chart.id: chart.spec() for chart in content["charts"].values() if chart}
    for several in ("small_multiples", "evaluation_metrics", "trade_off_charts", "lineage_charts"):
        charts |= {chart.id: chart.spec() for chart in content.get(several, [])}
    return (
        environment()
        .get_template(template)
        .render(
            **content,
            specs=charts,
            css=_asset("style.css"),
            script=_asset("page.js"),
            plotly=_plotly(),
        )
    )


@cache
def _plotly() -> Markup:
    """Return Plotly's script, gzipped in base64: 2 MB in the place of 5; the page unpacks it."""
    packed = gzip.compress(get_plotlyjs().encode(), mtime=0)
    return Markup(base64.b64encode(packed).decode())


def _asset(name: str) -> Markup:
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def one(reading: Reading, page: Path) -> dict[str, Any]:
    """Return the content of the report of one run, which is to be written to `page`."""
    charts: dict[str, Chart | None] = dict.fromkeys(CHARTS)
    found = panels.sections(reading)
    elsewhere = None
    if reading.panels:  # nothing that ranks, or puts scores of different tasks on one axis
        charts |= {chart.id: chart for panel in found for chart in panel["charts"].values() if chart}
    elif reading.winner is None:
        charts |= {"curves": training.learning_curves(reading)}
    else:
        charts |= _charts(reading)
    if not reading.panels:
        elsewhere = generalization.section(reading)
    if elsewhere:
        charts |= {"generalization": elsewhere["curves"], "generalization_gap": elsewhere["gap_chart"]}
    costs = None if reading.panels else trade_off.section(reading)
    ended = all(member.get("diverged_at") is not None for member in reading.members)
    ranked = len(reading.settings) > 1 and not ended
    settings_table = run_tables.settings_table(reading) if ranked else None
    members_table = run_tables.members_table(reading)
    results = reading.results
    cut = full_tables.notes(reading, page)
    members_table.cut = cut.get("members")
    if settings_table:
        settings_table.cut = cut.get("settings")
    return {
        "title": reading.name,
        "about": results.get("about") or "",
        "answer": panels.answer(reading) if found else summary.answer(reading),
        "caveats": [] if found else summary.caveats(reading),
        "panels": found,
        "scores_by_source": [] if found else summary.scores_by_source(reading),
        "bias": summary.bias(reading),
        "stopped": summary.stopped(reading),
        "significance": significance.details(reading),
        "glossary": glossary(reading),
        "facts": facts(reading),
        "charts": charts,
        "elsewhere": elsewhere,
        "lineage": lineage.section(reading),
        "trade_off": costs,
        "trade_off_charts": costs["charts"] if costs else [],
        "lineage_charts": lineage.charts(reading),
        "small_multiples": training.diagnostics(reading),
        "evaluation_metrics": evaluation_metrics(reading),
        "final_metrics": None if found else final_metrics_table(reading),
        "best_label": reading.label(reading.winner) if reading.winner else "",
        "score": reading.score,
        "statistic": reading.statistic,
        "floor": reading.results["score"].get("floor") or "missing",
        "better": "lower" if reading.lower else "higher",
        "bounds": reading.bounds,
        "seeds": max((len(entry["members"]) for entry in reading.settings), default=0),
        "swept": len(reading.settings) > 1,
        "diverged": any(member.get("diverged_at") is not None for member in reading.members),
        "unit": reading.unit,
        "evaluated": reading.evaluation.num_rows > 0,
        "settings_table": settings_table,
        "members_table": members_table,
        "media": media_items(reading.path),
        "recipe": reading.recipe,
        "strategies": results.get("strategy") or [],
        "versions": versions(reading),
        "timing": timing(reading),
        "command": results.get("command") or "",
        "replay": f"populace run {reading.folder}/recipe.toml",
        "resume": f"populace resume {reading.folder}",
        "version": results.get("populace") or "",
        "started": number_format.moment(reading.environment.get("started")),
    }


def _charts(reading: Reading) -> dict[str, Chart | None]:
    """Return the charts of a run with a winner; a single setting is not compared."""
    charts = {"curves": training.learning_curves(reading), "profile": evaluation.profile(reading)}
    if len(reading.settings) == 1:
        return charts | {"seeds": evaluation.seeds_chart(reading)}
    return charts | {
        "leaderboard": evaluation.leaderboard(reading),
        "sweep": sweep.sweep_chart(reading),
        "chosen": evaluation.validation_and_test(reading),
        "improvement": evaluation.improvement_chart(reading),
    }


def facts(reading: Reading) -> list[tuple[str, str]]:
    """Return key figures of the run."""
    timing = reading.results.get("timing") or {}
    speed = timing.get("units_per_s")
    steps = reading.results.get("steps")
    trained = [number_format.whole(count) for count in budgets.per_member(reading)]
    choosing = reading.results.get("evaluation_cost")
    return tables.pairs(
        [
            ("settings", number_format.whole(len(reading.settings)) if len(reading.settings) > 1 else None),
            ("members", number_format.whole(len(reading.members))),
            ("training steps", number_format.whole(steps)),
            (f"{reading.unit} per member", " to ".join(trained)),
            (
                f"{reading.unit} per member in evaluations",
                number_format.rough(choosing) if choosing else None,
            ),
            ("duration", number_format.duration(timing.get("wall_s"))),
            (f"{reading.unit} per second", number_format.rough(speed) if speed else None),
        ]
    )


def timing(reading: Reading) -> list[tuple[str, str]]:
    """Return wall times and throughput."""
    timing = reading.results.get("timing") or {}
    resumed = timing.get("resumed")
    speed = timing.get("units_per_s")
    return tables.pairs(
        [
            ("started", number_format.moment(reading.environment.get("started"))),
            ("wall time", number_format.duration(timing.get("wall_s"))),
            ("time in compiled training", number_format.duration(timing.get("train_s"))),
            ("throughput", f"{number_format.rough(speed)} {reading.unit}/s" if speed else None),
            ("resumed", number_format.count(resumed, "time") if resumed else "never"),
            ("learner", reading.results.get("learner")),
        ]
    )


def versions(reading: Reading) -> list[tuple[str, str]]:
    """Return versions, platform and device."""
    found = reading.environment
    first = ("populace", "commit", "python", "platform", "cpu", "cores", "backend", "devices")
    packages = sorted((found.get("packages") or {}).items())
    return tables.pairs([*((name, found.get(name)) for name in first), *packages])
