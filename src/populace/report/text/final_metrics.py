"""The table of everything that the final evaluation measured, with intervals over seeds."""

import math

from populace.report import number_format
from populace.report.entries import interval_of
from populace.report.runs import Reading
from populace.report.text.tables import Cell, Column, Row, Table, interval_cell
from populace.statistics import Interval, summarize

_FLOOR = "_floor"


def final_metrics_table(reading: Reading) -> Table | None:
    """Return the final evaluation's metrics of the selected setting; None where it measured the score alone.

    A metric whose name ends in `_floor` stands beside the one that it is the floor of.
    """
    winner = reading.winner or {}
    own = set(winner.get("members", []))
    rows = [(m.get("test") or {}).get("metrics") or {} for m in reading.members if m["member"] in own]
    found: dict[str, Interval | None] = {reading.results["score"]["name"]: interval_of(winner.get("test"))}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if row.get(name) is not None and math.isfinite(row[name])]
        found[name] = interval_of(summarize(values).as_dict() | {"headline": "iqm"}) if values else None
    if len(found) < 2:
        return None
    floors = {name.removesuffix(_FLOOR): value for name, value in found.items() if name.endswith(_FLOOR)}
    columns = [Column("metric", identifies=True), Column("value", numeric=True, identifies=True)]
    if floors:
        hint = "the same number of real examples: no more can be asked"
        columns.append(Column("floor", numeric=True, hint=hint, identifies=True))
    table = Table("final-metrics", "What the final evaluation measured", columns)
    for name, value in found.items():
        if value is None or (name.endswith(_FLOOR) and name.removesuffix(_FLOOR) in found):
            continue
        cells = [Cell(name.replace("_", " "), name), interval_cell(value)]
        if floors:
            floor = floors.get(name)
            cells.append(Cell("") if floor is None else Cell(number_format.number(floor.value), floor.value))
        table.rows.append(Row(cells))
    return table
