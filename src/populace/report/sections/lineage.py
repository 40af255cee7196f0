"""The section on lineage: who took over whose state, and by which settings the winner trained."""

from itertools import pairwise
from typing import Any

import numpy as np

from populace.report import number_format
from populace.report.charts.chart import COUNTS, Chart, bundle, layout, numbers
from populace.report.charts.labels import text
from populace.report.runs import Reading

LANES = 40


def section(reading: Reading) -> dict[str, Any] | None:
    """Return the content of the section; None where no state was copied, or the run does not say how."""
    if not (path := _way_of(reading)):
        return None
    member = reading.results["populations"]["winner"]
    changes = sum(before["settings"] != after["settings"] for before, after in pairwise(path))
    through = number_format.count(len({segment["member"] for segment in path}), "member")
    first = path[0]["member"]
    copies = sum(len(entry.get("copy", [])) for entry in reading.results["decisions"])
    return {
        "sentence": (
            f"{number_format.count(copies, 'time')} a member took over the state of a better one. The model "
            f"of the winner, member {member}, kept at step {number_format.whole(_kept_at(reading))}, began "
            f"as member {first} ({reading.label(_entry(reading, first))}), went through {through}, and its "
            f"settings were changed {number_format.count(changes, 'time')}."
        ),
        "replay": f"populace run {reading.folder}/winner.toml"
        if (reading.path / "winner.toml").is_file()
        else "",
    }


def charts(reading: Reading) -> list[Chart]:
    """Return the lanes of the winner's population, and each swept setting on the way to the winner."""
    if not (path := _way_of(reading)):
        return []
    return [_lanes(reading, path), *(_setting(reading, axis, path) for axis in reading.axes)]


def _way_of(reading: Reading) -> list[dict[str, Any]]:
    """Return whose states with which settings led to the winner's model; empty where none was copied."""
    if not any(entry.get("copy") for entry in reading.results.get("decisions") or []):
        return []
    return (reading.results.get("populations") or {}).get("history") or []


def _entry(reading: Reading, member: int) -> dict[str, Any]:
    return next(e for e in reading.settings if e["setting"] == reading.members[member]["setting"])


def _kept_at(reading: Reading) -> int:
    """Return the step of the evaluation by which the winner's model was kept."""
    return int(reading.members[reading.results["populations"]["winner"]]["validation"]["step"])


def _population(reading: Reading, winner: int) -> list[int]:
    """Return the members that exchanged with the winner."""
    every = reading.results["populations"]["of"] != "seed"
    seed = reading.members[winner]["seed"]
    return [m["member"] for m in reading.members if every or m["seed"] == seed]


def _lanes(reading: Reading, path: list[dict[str, Any]]) -> Chart:
    steps = int(reading.results["steps"])
    own = _population(reading, reading.results["populations"]["winner"])
    through = {segment["member"] for segment in path}
    shown = sorted(sorted(own, key=lambda m: m not in through)[:LANES])
    lane = {member: place for place, member in enumerate(reversed(shown))}
    copies = [
        (entry["step"], source, to)
        for entry in reading.results["decisions"]
        for to, source in entry.get("copy", [])
        if to in lane and source in lane
    ]
    labels = [
        f"{member}: {reading.compact(_entry(reading, member))}"
        for member in sorted(lane, key=lane.__getitem__)
    ]
    ends = np.array([0.0, steps])
    traces = [
        bundle(((ends, np.full(2, float(place))) for place in lane.values()), "grid"),
        bundle(
            ((np.full(2, float(step)), np.array([lane[s], lane[to]], float)) for step, s, to in copies),
            "muted/0.6",
        ),
        {
            "type": "scatter", "mode": "markers", "hoverinfo": "text",
            "x": numbers([step for step, *_ in copies]), "y": [lane[to] for *_, to in copies],
            "marker": {"color": "muted", "size": 6},
            "hovertext": [f"step {at}: {to} goes on from {source}" for at, source, to in copies],
        },
        _way(path, lane, _kept_at(reading)),
    ]  # fmt: skip
    drawn = layout(
        {"title": "steps", **COUNTS},
        {
            "tickvals": list(range(len(labels))),
            "ticktext": [text(label) for label in labels],
            "showgrid": False,
        },
    )
    more = len(own) - len(shown)
    return Chart(
        "lineage",
        f"Lanes of {number_format.count(len(shown), 'member')}, and who took over whose state; that of the "
        f"winner passes through {number_format.count(len(through), 'member')}.",
        traces,
        drawn,
        height=90 + 22 * max(len(shown), 4),
        caption=f"{number_format.whole(more)} other members are not drawn." if more else "",
    )


def _way(path: list[dict[str, Any]], lane: dict[int, int], end: int) -> dict[str, Any]:
    """Return the line of the winner's state through the lanes."""
    x: list[float] = []
    y: list[float] = []
    for segment, until in zip(path, [*(s["step"] for s in path[1:]), end]):
        x += [segment["step"], until]
        y += [lane[segment["member"]]] * 2
    return {
        "type": "scatter", "mode": "lines", "x": numbers(x), "y": y, "hoverinfo": "skip",
        "line": {"color": "c0", "width": 3},
    }  # fmt: skip


def _setting(reading: Reading, axis: str, path: list[dict[str, Any]]) -> Chart:
    values = [float(segment["settings"][axis]) for segment in path]
    wide = min(values) > 0 and max(values) >= 5 * min(values)
    trace = {
        "type": "scatter", "mode": "lines", "line": {"color": "c0", "width": 2, "shape": "hv"},
        "x": numbers([*(segment["step"] for segment in path), _kept_at(reading)]),
        "y": numbers([*values, values[-1]]),
    }  # fmt: skip
    name = reading.short_names[axis]
    return Chart(
        f"lineage-{list(reading.axes).index(axis)}",
        f"{axis} on the way to the winner, from {number_format.setting(values[0])} to "
        f"{number_format.setting(values[-1])}.",
        [trace],
        layout({"title": "steps", **COUNTS}, {"title": name, "type": "log" if wide else "linear"}),
        title=f"{name} on the way to the winner",
        height=220,
    )
