"""The page of a forecast, in one HTML file that works offline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from populace.core.files import write as write_whole
from populace.report.forecasts import charts, text
from populace.report.forecasts.fans import fan_charts
from populace.report.page import render


def write_forecasts(
    findings: dict[str, Any], path: str | Path, *, files: Sequence[str] = (), version: str = ""
) -> Path:
    """Write the report of a forecast: fans, backtest of all models, calibration, worst series, errors.

    Its size does not grow with the number of series: 12 are drawn, and 20 listed.

    Args:
        findings: what `populace.forecasting.findings` returns.
        path: of the page.
        files: names of files beside it that hold the predictions, for a link to each.
        version: of populace, for the last line.

    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, render("forecast.html.j2", content(findings, files, version)))
    return path


def content(found: dict[str, Any], files: Sequence[str], version: str) -> dict[str, Any]:
    """Return what the template shows."""
    fans = fan_charts(found)
    single = found["series"] == 1
    shown = len(fans)
    if single:
        which = ""
    elif shown == found["series"]:
        which = f"All {shown} series."
    else:
        kinds = [entry["why"] for entry in found["fans"]]
        parts = [f"the {kinds.count('first')} first"] if "first" in kinds else []
        parts += [f"the {kinds.count(k)} {k}" for k in ("worst", "best") if k in kinds]
        which = f"{shown} of {found['series']:,} series: {', '.join(parts)} by MASE in the backtest."
    bands = [f"{100 * entry['level']:g} %" for entry in found["fans"][0]["future"]["bands"]]
    return {
        "title": f"Forecast of {found['source']}" if found["source"] else "Forecast",
        "about": "",
        "answer": text.answer(found),
        "caveats": text.caveats(found),
        "facts": text.facts(found),
        "charts": {
            "models": charts.models_chart(found),
            "calibration": charts.calibration_chart(found),
            "coverage": charts.coverage_chart(found),
            "residuals": charts.residuals_chart(found),
            "histogram": charts.histogram_chart(found),
        },
        "small_multiples": fans,
        "single": single,
        "which": which,
        "bands": " and ".join([", ".join(bands[:-1]), bands[-1]] if len(bands) > 1 else bands),
        "middle": found["fans"][0]["future"]["line is"],
        "models": text.models_table(found),
        "worst": text.worst_table(found),
        "found": found,
        "over": found["over"],
        "chosen": found["chosen"],
        "baseline": found["baseline"],
        "files": files,
        "version": version,
        "started": "",
    }
