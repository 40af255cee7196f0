"""Formatting of setting values for tables, charts and logs."""

from collections.abc import Mapping
from typing import Any

from populace.core.settings import Settings, to_dict, to_plain


def format_value(value: Any) -> str:
    """Format a value as short text: floats in `:g` format, nested settings as their kind and settings.

    `{"kind": "boltzmann", "decay": 0.9995}` is `boltzmann decay 0.9995`.
    """
    if isinstance(value, Settings):
        value = to_dict(value)
    if isinstance(value, Mapping):
        rest = [f"{key} {format_value(v)}" for key, v in value.items() if key != "kind"]
        return " ".join([str(value.get("kind", "")), *rest]).strip()
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def plain_or_text(value: Any) -> Any:
    """Return numbers, text and lists as they are, tuples as lists, and nested settings as short text."""
    if isinstance(value, Settings | Mapping):
        return format_value(value)
    return to_plain(value)
