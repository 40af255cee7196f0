"""Tables too long for a page: which rows it shows, and the CSV files beside it that hold all of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from populace.report import number_format
from populace.report.entries import MEASUREMENTS, interval_of, score_of
from populace.report.runs import Reading

SETTINGS = 200
"""Rows of settings on the page, besides that of the selected one."""
MEMBERS = 1000


def shown_members(reading: Reading) -> list[dict[str, Any]]:
    """Return the members whose rows the page shows: of very many the best and the worst 500."""
    if len(reading.members) <= MEMBERS:
        return reading.members
    sign = 1.0 if reading.lower else -1.0

    def worth(member: dict[str, Any]) -> tuple[bool, bool, float]:
        score = score_of(member, reading.measured)
        return member.get("diverged_at") is not None, score is None, sign * (score or 0.0)

    ordered = sorted(reading.members, key=worth)
    half = MEMBERS // 2
    return sorted([*ordered[:half], *ordered[-half:]], key=lambda member: member["member"])


def notes(reading: Reading, page: Path) -> dict[str, tuple[str, str]]:
    """Return for each table that is cut short what it shows, and the name of the file that has all of it."""
    found = {}
    if len(reading.settings) > SETTINGS:
        many = number_format.whole(len(reading.settings))
        found["settings"] = f"The best {SETTINGS} of {many} settings are listed; all of them are in"
    if len(reading.members) > MEMBERS:
        many = number_format.whole(len(reading.members))
        half = MEMBERS // 2
        found["members"] = f"The best and the worst {half} of {many} members are listed; all of them are in"
    return {name: (said, f"{page.stem}-{name}.csv") for name, said in found.items()}


def write(reading: Reading, page: Path) -> None:
    """Write the files that `notes` names beside the page."""
    tables = {"settings": _settings, "members": _members}
    for name, (_, file) in notes(reading, page).items():
        csv.write_csv(tables[name](reading), page.with_name(file))


def _settings(reading: Reading) -> pa.Table:
    rows = reading.ranked
    columns: dict[str, Any] = {"rank": range(1, len(rows) + 1), "setting": [e["setting"] for e in rows]}
    columns |= _values(reading, rows)
    columns |= {"members": [len(e["members"]) for e in rows], "diverged": [e.get("diverged") for e in rows]}
    for kind in MEASUREMENTS:
        found = [interval_of(entry.get(kind)) for entry in rows]
        if any(found):
            for bound in ("value", "low", "high"):
                name = kind if bound == "value" else f"{kind}_{bound}"
                columns[name] = [None if f is None else getattr(f, bound) for f in found]
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _members(reading: Reading) -> pa.Table:
    rows, by_setting = reading.members, {entry["setting"]: entry for entry in reading.settings}
    columns: dict[str, Any] = {name: [m[name] for m in rows] for name in ("member", "setting")}
    columns |= _values(reading, [by_setting[m["setting"]] for m in rows])
    columns |= {"seed": [m["seed"] for m in rows], "diverged_at": [m.get("diverged_at") for m in rows]}
    for kind in MEASUREMENTS:
        columns[kind] = [score_of(m, kind) for m in rows]
    columns["validation_step"] = [(m.get("validation") or {}).get("step") for m in rows]
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _values(reading: Reading, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return a column for each swept setting; a table or a list is written as text."""
    found = {path: [(entry.get("values") or {}).get(path) for entry in rows] for path in reading.axes}
    return {
        path: values
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        else [None if v is None else number_format.setting(v) for v in values]
        for path, values in found.items()
    }
