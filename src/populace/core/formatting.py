"""Words: what a value of a setting is called in tables, charts and logs."""

from collections.abc import Mapping
from typing import Any

from populace.core.settings import Settings, to_dict


def words(value: Any) -> str:
    """Return a value in words: numbers short, and of a kind with settings its kind first.

    `{"kind": "boltzmann", "decay": 0.9995}` is `boltzmann decay 0.9995`.
    """
    if isinstance(value, Settings):
        value = to_dict(value)
    if isinstance(value, Mapping):
        rest = [f"{key} {words(v)}" for key, v in value.items() if key != "kind"]
        return " ".join([str(value.get("kind", "")), *rest]).strip()
    return f"{value:g}" if isinstance(value, float) else str(value)
