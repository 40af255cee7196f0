"""Several runs side by side: whose best setting is the better, and what else differed between them."""

import itertools
import tomllib
from collections.abc import Iterator
from typing import Any

from populace.report import digits
from populace.report.charts import DASHES, Chart, Dot, curve_traces, dots, layout, shorten, text
from populace.report.curves import score_grid, setting_curve
from populace.report.evaluation import improvement, profile_chart
from populace.report.runs import MEASUREMENTS, Reading, interval_of
from populace.report.tables import Cell, Column, Row, Table, pairs
from populace.statistics import Interval

SAME = "–"


class Comparison:
    """Runs with distinct names, their best settings, and the one measurement that all of them have."""

    def __init__(self, readings: list[Reading]) -> None:
        self.readings = readings
        self.names = _names(readings)
        self.scores = sorted({reading.score for reading in readings})
        self.lower = readings[0].lower
        alike = {(r.score, r.lower) for r in readings}
        self.comparable = len(alike) == 1
        self.measured = next(
            (k for k in MEASUREMENTS if all(self._found(r, k) for r in readings if r.winner)),
            "fresh",
        )

    def _found(self, reading: Reading, kind: str) -> Interval | None:
        return interval_of((reading.winner or {}).get(kind))

    def found(self, index: int) -> Interval | None:
        """Return the interquartile mean of a run's best setting."""
        return self._found(self.readings[index], self.measured)

    def members(self, index: int) -> list[float]:
        """Return the scores of the members of a run's best setting."""
        scores = ((self.readings[index].winner or {}).get(self.measured) or {}).get("scores") or []
        return [] if any(s is None for s in scores) else [float(s) for s in scores]

    def ranked(self) -> list[int]:
        """Return the runs that have a score, from the best to the worst."""
        scored = [
            (found.value if self.lower else -found.value, i)
            for i in range(len(self.readings))
            if (found := self.found(i)) is not None
        ]
        return [i for _, i in sorted(scored)] if self.comparable else [i for _, i in scored]

    def colour(self, index: int) -> str:
        """Return a run's colour."""
        return f"c{index}" if index < 7 else "muted"


def several(readings: list[Reading]) -> dict[str, Any]:
    """Return everything the comparison page shows."""
    found = Comparison(readings)
    charts: dict[str, Chart | None] = {
        "curves": curves(found),
        "leaderboard": leaderboard(found),
        "profile": profiles(found),
        "matrix": matrix(found),
    }
    environments = [dict(_environment(reading)) for reading in readings]
    recipes = [dict(_recipe(reading)) for reading in readings]
    return {
        "title": f"{len(readings)} runs compared",
        "about": " · ".join(found.names),
        "answer": answer(found),
        "charts": charts,
        "score": " / ".join(found.scores),
        "better": "lower" if found.lower else "higher",
        "measured": found.measured,
        "runs_table": runs_table(found),
        "environments": differences("environment-table", found.names, environments),
        "recipes": differences("recipe-table", found.names, recipes),
        "stopped": [n for n, r in zip(found.names, readings) if r.results["status"] == "stopped"],
        "version": readings[0].results.get("populace") or "",
        "started": "",
    }


def answer(found: Comparison) -> str:
    """Return the comparison in one or two sentences."""
    if not found.comparable:
        names = " and ".join(found.scores)
        return f"These runs measure different things ({names}), so none is the better: they only stand side by side."
    order = found.ranked()
    score = found.readings[0].score
    if not order:
        return f"None of the {len(found.names)} runs has a {score} to compare."
    best = order[0]
    extreme = "lowest" if found.lower else "highest"
    text = (
        f"Of {len(found.names)} runs, {found.names[best]} reaches the {extreme} interquartile mean {score}: "
        f"{digits.interval(found.found(best))}"
    )
    if len(order) == 1:
        return f"{text}; no other run has one."
    second = order[1]
    chance = improvement(found.members(best), found.members(second), lower=found.lower)
    text += f", before {found.names[second]} with {digits.interval(found.found(second))}. "
    told = "are told apart" if chance.low > 0.5 else "are not told apart"
    many = min(len(found.members(best)), len(found.members(second)))
    seeds = f" (on {digits.count(many, 'seed')})" if many < 10 else ""
    return (
        f"{text}A member of the first beats one of the second with probability "
        f"{digits.interval(chance)}: the two {told}{seeds}."
    )


def curves(found: Comparison) -> Chart | None:
    """Overlay the learning curves of the runs' best settings."""
    traces, legend = [], []
    for index, (reading, name) in enumerate(zip(found.readings, found.names)):
        grid = score_grid(reading)
        if grid is None or reading.winner is None:
            continue
        curve, dash = setting_curve(grid, reading.winner), DASHES[index % len(DASHES)]
        drawn = curve_traces(curve, name, found.colour(index), dash=dash, unit=reading.unit)
        label = {"label": shorten(name, 60), "color": found.colour(index), "dash": dash}
        legend.append(label | {"traces": [len(traces), len(traces) + 1]})
        traces += drawn
    if not traces:
        return None
    units = " / ".join(dict.fromkeys(reading.unit for reading in found.readings))
    axes = layout({"title": units, "rangemode": "tozero"}, {"title": " / ".join(found.scores)})
    alt = "Learning curves: the best setting of each run, interquartile mean and 95 % interval."
    return Chart("curves", alt, traces, axes, height=420, legend=legend)


def leaderboard(found: Comparison) -> Chart | None:
    """Draw the runs' best settings with their intervals."""
    rows = [
        Dot(found.names[i], interval, found.colour(i))
        for i in found.ranked()
        if (interval := found.found(i)) is not None
    ]
    if not rows or not found.comparable:
        return None
    title = f"interquartile mean {found.scores[0]}"
    return dots("leaderboard", rows, x=title, alt=f"Runs ranked; the first is {rows[0].label}.")


def profiles(found: Comparison) -> Chart | None:
    """Draw the performance profiles of the runs' best settings."""
    if not found.comparable:
        return None
    named = [(found.names[i], found.members(i), found.colour(i)) for i in found.ranked()[:6]]
    return profile_chart(named, score=found.scores[0], lower=found.lower)


def matrix(found: Comparison) -> Chart | None:
    """Draw the probability that the run of the row improves on the run of the column."""
    order = [i for i in found.ranked() if found.members(i)]
    if not found.comparable or len(order) < 2:
        return None
    chance = {
        (a, b): improvement(found.members(a), found.members(b), lower=found.lower)
        for a, b in itertools.permutations(order, 2)
    }
    z = [[chance[a, b].value if a != b else None for b in order] for a in order]
    labels = [[f"{p.value:.2f}" if (p := chance.get((a, b))) else "" for b in order] for a in order]
    hover = [
        [
            f"{text(found.names[a])} over {text(found.names[b])}<br><b>{digits.interval(p)}</b>"
            if (p := chance.get((a, b)))
            else ""
            for b in order
        ]
        for a in order
    ]
    places, names = list(range(len(order))), [text(shorten(found.names[i], 22)) for i in order]
    trace = {
        "type": "heatmap", "x": places, "y": places, "z": z, "zmin": 0, "zmax": 1,
        "text": labels, "texttemplate": "%{text}", "hovertext": hover, "hoverinfo": "text",
        "hoverongaps": False, "xgap": 2, "ygap": 2, "showscale": False,
        "colorscale": [[t / 8, f"seq:{t / 8}"] for t in range(9)],
    }  # fmt: skip
    ticks = {"tickvals": places, "ticktext": names, "showgrid": False}
    drawn = layout(
        ticks | {"title": "improves on"},
        ticks | {"range": [len(order) - 0.5, -0.5], "tickfont": {"color": "ink"}},
    )
    alt = "Matrix: the probability that a member of the row's run does better than one of the column's."
    height, width = 130 + 52 * len(order), 190 + 76 * len(order)
    return Chart("matrix", alt, [trace], drawn, height=height, min_width=width)


def runs_table(found: Comparison) -> Table:
    """List the runs with their best settings."""
    columns = [Column("run"), Column("best setting"), Column("seeds", numeric=True)]
    columns += [Column(found.measured, numeric=True, score=True), Column("diverged", numeric=True)]
    columns += [Column("wall time", numeric=True), Column("status")]
    table = Table("runs-table", "Every run and its best setting", columns)
    order = found.ranked()
    for i in order + [i for i in range(len(found.names)) if i not in order]:
        reading, interval = found.readings[i], found.found(i)
        diverged = sum(m.get("diverged_at") is not None for m in reading.members)
        wall = (reading.results.get("timing") or {}).get("wall_s")
        seeds = len(reading.winner["members"]) if reading.winner else 0
        label = reading.label(reading.winner) if reading.winner else SAME
        cells = [
            Cell(found.names[i], found.names[i], found.colour(i)),
            Cell(label if reading.axes else "the only one", label),
            Cell(digits.whole(seeds), seeds),
            Cell(digits.interval(interval), interval.value if interval else None),
            Cell(f"{digits.whole(diverged)} of {digits.whole(len(reading.members))}", diverged),
            Cell(digits.duration(wall), wall),
            Cell(str(reading.results["status"]), str(reading.results["status"])),
        ]
        table.rows.append(Row(cells, chosen=bool(order) and i == order[0]))
    return table


def differences(id: str, names: list[str], facts: list[dict[str, str]]) -> dict[str, Any]:
    """Return a table of the facts that differ between the runs, and how many agree."""
    keys = list(dict.fromkeys(key for run in facts for key in run))
    differ = [key for key in keys if len({run.get(key) for run in facts}) > 1]
    table = Table(id, "What differs", [Column("entry"), *(Column(name) for name in names)])
    for key in differ:
        cells = [Cell(run.get(key, SAME), run.get(key)) for run in facts]
        table.rows.append(Row([Cell(key, key), *cells]))
    return {"table": table, "agree": len(keys) - len(differ)}


def _environment(reading: Reading) -> Iterator[tuple[str, str]]:
    found = reading.environment
    yield from pairs((key, found[key]) for key in found if key not in ("packages", "started"))
    yield from pairs((found.get("packages") or {}).items())


def _recipe(reading: Reading) -> Iterator[tuple[str, str]]:
    try:
        recipe = tomllib.loads(reading.recipe)
    except tomllib.TOMLDecodeError:
        return
    yield from _flat(recipe, "")


def _flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", digits.setting(value)


def _names(readings: list[Reading]) -> list[str]:
    names = [reading.name for reading in readings]
    if len(set(names)) < len(names):
        names = [f"{name} ({r.path.name})" for name, r in zip(names, readings)]
    if len(set(names)) < len(names):
        names = [f"{name} #{i}" for i, name in enumerate(names, start=1)]
    return names
