"""How the results of a run, or of an evaluation, are printed."""

import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from populace.cli.output import Terminal


def print_results(console: Console, folder: Path, results: dict[str, Any]) -> None:
    """Print the results of a run."""
    from populace.report.number_format import bounds_name

    best, score = results["best"], results["score"]["name"]
    if best is None:
        first = min(m["diverged_at"] for m in results["members"])
        all_of_them = f"all {len(results['members']):,} members"
        console.print(
            f"\n[bold]no best setting[/]  {all_of_them} diverged, the first at step {first:,}; "
            "lower the learning rate",
            highlight=False,
        )
        _print_end(console, folder, results)
        return
    setting = results["settings"][best["setting"]]
    values = ", ".join(
        f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in setting["values"].items()
    )
    console.print(f"\n[bold]best setting[/]  {escape(values) or 'the only setting'}", highlight=False)
    seeds = len(setting["members"])
    independent = results.get("independent_test", True)
    for key in ("validation", "test", "external"):
        label = "score" if independent is None else key
        summary = best[key]
        if summary is None or _headline(summary)[0] is None or (key == "test" and independent is False):
            continue  # what members were selected by, measured again, is the same number
        if key == "external":
            member = results["members"][best["member"]]["external"]
            label = member["backend"] if member else label
        value, low, high = _headline(summary)
        kind = bounds_name([seeds])
        folded = summary.get("headline") == "mean"
        what = f"mean of {seeds} folds" if folded else f"interquartile mean of {seeds} seeds"
        sure = f"({kind} {low:.4g} to {high:.4g}), {what}"
        sure = sure if kind else "(one seed: no interval)"
        if independent is False:
            sure += ", on what members were selected by: there is no test part"
        elif (key == "test" or independent is None) and results.get("test_description"):
            sure += f", on {results['test_description']}"
        text = f"  {label:<12} {score} {value:.4g} {sure}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    for entry, who in zip(
        (results.get("confirmation") or {}).get("settings", []), ("confirmed", "its rival")
    ):
        measured = entry["test"] or entry["validation"]
        value, low, high = _headline(measured)
        if value is not None:
            many = measured["n"]
            kind = bounds_name([many])
            sure = f"({kind} {low:.4g} to {high:.4g}), " if kind else ""
            text = f"  {who:<12} {score} {value:.4g} {sure}on {many} new seed{'s' * (many > 1)}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)
    diverged = sum(m["diverged_at"] is not None for m in results["members"])
    if diverged:
        console.print(
            f"  {diverged} of {len(results['members'])} members diverged; "
            f"each counts as {results['score']['floor']}",
            highlight=False,
            markup=False,
        )
    _print_end(console, folder, results)


def _print_end(console: Console, folder: Path, results: dict[str, Any]) -> None:
    timing = results["timing"]
    console.print(
        f"  {timing['wall_s']:.0f} s, {timing['units_per_s']:,.0f} {results['unit']}/s",
        highlight=False,
        markup=False,
    )
    page = folder / "report.html"
    console.print(f"\nrun     {folder}", highlight=False, markup=False, soft_wrap=True)
    if page.is_file():
        console.print(f"report  {page}", highlight=False, markup=False, soft_wrap=True)


def _headline(summary: dict[str, Any]) -> list[Any]:
    """Return `[value, low, high]` of the interquartile mean, or of folds that of the mean."""
    return summary[summary.get("headline", "iqm")]


def _best_first(entries: list[dict[str, Any]], mode: str) -> list[dict[str, Any]]:
    """Return settings by their score, the best first; those without one come last."""
    sign = 1 if mode == "min" else -1
    values = [_headline(entry["summary"])[0] for entry in entries]
    ranked = sorted(range(len(entries)), key=lambda i: math.inf if values[i] is None else sign * values[i])
    return [entries[i] for i in ranked]


def print_evaluation(found: dict[str, Any]) -> None:
    """Print a new evaluation as a table."""
    from populace.report.number_format import bounds_name

    order = _best_first(found["settings"], found["mode"])
    shown = {
        entry["setting"]: ", ".join(
            f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in entry["values"].items()
        )
        for entry in order
    }
    size = f"{found['size']} {found['unit']} per member, " if found["unit"] else ""
    title = f"{size}{found['backend']}, seed {found['seed']}"
    table = Table(title=escape(title), box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    # Lines wrap between the names of settings, never within one.
    longest = max((len(word) for values in shown.values() for word in values.split()), default=0)
    bounds_title = bounds_name(len(entry["members"]) for entry in order) or "no interval"
    folded = any(entry["summary"].get("headline") == "mean" for entry in order)
    many, statistic = ("folds", "mean") if folded else ("seeds", "interquartile mean")
    for heading in ("setting", "values", many, "diverged", statistic, bounds_title):
        table.add_column(heading, overflow="fold", min_width=longest if heading == "values" else None)
    for entry in order:
        value, low, high = _headline(entry["summary"])
        number = "-" if value is None else f"{value:.4g}"
        bounds = "-" if value is None else f"{low:.4g} to {high:.4g}"
        counts = str(len(entry["members"])), str(entry["summary"]["diverged"])
        table.add_row(str(entry["setting"]), escape(shown[entry["setting"]]), *counts, number, bounds)
    Terminal().print(table)
