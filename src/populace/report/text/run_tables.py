"""The tables of one run: its settings by rank, and its members."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from populace.report import number_format
from populace.report.entries import MEASUREMENTS, interval_of, score_of
from populace.report.runs import Reading
from populace.report.text.full_tables import SETTINGS, shown_members
from populace.report.text.tables import Cell, Column, Row, Table, count_cell, interval_cell, number_cells
from populace.report.winner_comparison import WinnerComparison

_HINTS = {
    "validation": "evaluations during training, by which settings are selected: biased upward",
    "test": "the saved models, evaluated after selection",
    "external": "the same models, evaluated in another implementation",
    "confirmation": "trained again on new seeds after selection",
}


def settings_table(reading: Reading) -> Table:
    """Return a table of all settings by rank, the score that ranks them first, then the others."""
    compared = reading.comparison
    confirmed = {entry["setting"]: interval_of(entry.get("test")) for entry in reading.confirmed}
    first, *others = _kinds(reading)
    columns = [Column("rank", numeric=True, identifies=True), _score(first), *_axes(reading)]
    if confirmed:
        columns.append(_score("confirmation"))
    columns += map(_score, others)
    if compared is not None:
        columns += [
            Column("significant", hint="whether its difference from the selected setting is (5 % level)"),
            Column("P(best)", numeric=True, hint="how often it is the best when the seeds are resampled"),
        ]
    hint = "members that reached the threshold" if reading.score_threshold else "members that did not diverge"
    columns += [Column("members", numeric=True), Column("diverged", numeric=True)]
    columns.append(Column("success", numeric=True, hint=hint))
    table = Table("settings-table", _caption(reading), columns, notes=_notes(reading))
    for place, (entry, (shown, rank)) in enumerate(zip(reading.ranked, ranks(reading))):
        if place >= SETTINGS and entry is not reading.winner:
            continue
        cells = [Cell(shown, rank, reading.color(entry)), interval_cell(interval_of(entry.get(first)))]
        cells += _values(reading, entry)
        if confirmed:
            cells.append(interval_cell(confirmed.get(entry["setting"])))
        cells += [interval_cell(interval_of(entry.get(kind))) for kind in others]
        if compared is not None:
            cells += _comparison(compared, entry["setting"])
        cells += [count_cell(len(entry["members"])), count_cell(int(entry.get("diverged") or 0))]
        rate = ((entry.get(reading.measured) or {}).get("success_rate") or [None])[0]
        cells.append(Cell(number_format.MISSING if rate is None else f"{100 * rate:.0f} %", rate))
        table.rows.append(Row(cells, chosen=entry is reading.winner))
    return table.condensed()


def ranks(reading: Reading) -> list[tuple[str, int | None]]:
    """Return the rank of each setting in ranked order, as shown and as a number; equal scores share one."""
    found = [reading.believed(entry) for entry in reading.ranked]
    values = [None if f is None else number_format.significant(f.value) for f in found]
    first: dict[float | None, int] = {}
    for place, value in enumerate(values, start=1):
        first.setdefault(value, place)
    many = Counter(values)
    return [
        (number_format.MISSING, None)
        if value is None
        else (f"{first[value]}{'=' if many[value] > 1 else ''}", first[value])
        for value in values
    ]


def _notes(reading: Reading) -> list[str]:
    if reading.winner is None or len(reading.settings) < 2:
        return []
    shown = dict(zip((entry["setting"] for entry in reading.ranked), ranks(reading)))
    rank = shown[reading.winner["setting"]][1] or 1
    notes = ["Bold: the selected setting."]
    if rank > 1:
        above = number_format.count(rank - 1, "setting")
        notes = [
            f"Bold: the selected setting. It was selected by its validation score; by the {reading.measured} "
            f"score, which was measured afterwards, {above} {'ranks' if rank == 2 else 'rank'} above it. It "
            f"is kept, because selecting again by the {reading.measured} score would bias that score too."
        ]
    if any(text.endswith("=") for text, _ in shown.values()):
        notes.append("Settings with equal scores share a rank (=).")
    return notes


def _comparison(found: WinnerComparison, setting: int) -> list[Cell]:
    comparison, chance = found.comparisons.get(setting), found.probability_best.get(setting, math.nan)
    differs = number_format.MISSING
    if comparison is not None and comparison.testable:
        differs = "yes" if comparison.significant else "no"
    share = number_format.MISSING if math.isnan(chance) else f"{100 * chance:.0f} %"
    return [Cell(differs, differs), Cell(share, None if math.isnan(chance) else chance)]


def _caption(reading: Reading) -> str:
    return f"All settings, with {reading.statistic}" + (f" and {reading.bounds}" if reading.bounds else "")


def members_table(reading: Reading) -> Table:
    """Return a table of all members with scores, setting, seed, and divergence."""
    kinds = [k for k in _by_preference(reading) if any(score_of(m, k) is not None for m in reading.members)]
    last = reading.results.get("checkpoint_selection") == "last"
    titles = {"validation": "last evaluation" if last else "best evaluation"}
    hints = _HINTS | {
        "validation": "the last evaluation during training"
        if last
        else "the best evaluation during training, which is biased upward"
    }
    scores = [
        Column(titles.get(kind, kind), numeric=True, score=True, hint=hints[kind], identifies=True)
        for kind in kinds
    ]
    columns = [
        Column("member", numeric=True, identifies=True), *scores[:1], *_axes(reading),
        Column("seed", numeric=True, identifies=True), *scores[1:],
        Column("at step" if last else "best at step", numeric=True, hint="step of that evaluation"),
        Column("state", hint="finite, or the step at which it diverged"),
    ]  # fmt: skip
    by_setting = {entry["setting"]: entry for entry in reading.settings}
    members = shown_members(reading)
    columns_of_scores = [number_cells([score_of(m, kind) for m in members]) for kind in kinds]
    table = Table("members-table", "All members", columns, searchable=True)
    for place, member in enumerate(members):
        at = member.get("diverged_at")
        entry = by_setting[member["setting"]]
        own = [cells[place] for cells in columns_of_scores]
        step = (member.get("validation") or {}).get("step")
        cells = [
            Cell(str(member["member"]), member["member"]), *own[:1], *_values(reading, entry),
            Cell(str(member["seed"]), member["seed"]), *own[1:],
            Cell(number_format.whole(step), step),
            Cell("finite", -1.0) if at is None else Cell(f"diverged at {number_format.whole(at)}", at),
        ]  # fmt: skip
        table.rows.append(Row(cells, diverged=at is not None, chosen=entry is reading.winner))
    return table.condensed()


def _by_preference(reading: Reading) -> list[str]:
    return [reading.measured, *(kind for kind in reversed(MEASUREMENTS) if kind != reading.measured)]


def _kinds(reading: Reading) -> list[str]:
    """Return the kinds of score that any setting has, the one that ranks first."""
    first, *others = _by_preference(reading)
    return [first, *(k for k in others if any(interval_of(e.get(k)) for e in reading.settings))]


def _score(kind: str) -> Column:
    return Column(kind, numeric=True, score=True, hint=_HINTS[kind])


def _axes(reading: Reading) -> list[Column]:
    numeric = {path: all(map(_is_number, values)) for path, values in reading.axes.items()}
    return [Column(reading.short_names[p], numeric=numeric[p], hint=p) for p in reading.axes]


def _values(reading: Reading, entry: dict[str, Any]) -> list[Cell]:
    values: Sequence[Any] = [(entry.get("values") or {}).get(path) for path in reading.axes]
    return [
        Cell(number_format.setting(v), float(v) if _is_number(v) else number_format.setting(v))
        for v in values
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
