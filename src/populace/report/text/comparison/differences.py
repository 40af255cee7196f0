"""Differences between runs besides their scores: recipes, versions, devices."""

from collections.abc import Iterable, Iterator
from typing import Any

from populace.core.errors import UsageError
from populace.core.untrusted import toml
from populace.report import number_format
from populace.report.runs import Reading
from populace.report.text.tables import Cell, Column, Row, Table, pairs


def differences(id: str, names: list[str], of_runs: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Return a table of the entries that differ between the runs, and the number of those that agree."""
    facts = list(of_runs)
    keys = list(dict.fromkeys(key for run in facts for key in run))
    differ = [key for key in keys if len({run.get(key) for run in facts}) > 1]
    table = Table(id, "What differs", [Column("entry"), *(Column(name) for name in names)])
    for key in differ:
        cells = [Cell(run.get(key, number_format.MISSING), run.get(key)) for run in facts]
        table.rows.append(Row([Cell(key, key), *cells]))
    return {"table": table, "agree": len(keys) - len(differ)}


def environment(reading: Reading) -> dict[str, str]:
    """Return the platform, device and versions of a run, by name."""
    found = reading.environment
    plain = [(key, found[key]) for key in found if key not in ("packages", "started")]
    return dict(pairs([*plain, *(found.get("packages") or {}).items()]))


def recipe(reading: Reading) -> dict[str, str]:
    """Return a run's recipe with dotted keys; empty if it is not valid TOML."""
    try:
        return dict(_flat(toml.loads(reading.recipe, "the recipe"), ""))
    except UsageError:
        return {}


def _flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", number_format.setting(value)
