"""How values and objects are written for people: in tables, charts, logs and notebooks."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

from populace.core.settings import Settings, to_dict, to_plain


def format_value(value: Any) -> str:
    """Format a value as short text, as recipes have it: `true`, `[8, 8]`, text bare, floats in `:g`.

    Nested settings are their kind and settings: `{"kind": "boltzmann", "decay": 0.9995}` is `boltzmann decay
    0.9995`.
    """
    if isinstance(value, Settings):
        value = to_dict(value)
    if isinstance(value, Mapping):
        rest = [f"{key} {format_value(v)}" for key, v in value.items() if key != "kind"]
        return " ".join([str(value.get("kind", "")), *rest]).strip()
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_value, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def plain_or_text(value: Any) -> Any:
    """Return numbers, text and lists as they are, tuples as lists, and nested settings as short text."""
    if isinstance(value, Settings | Mapping):
        return format_value(value)
    return to_plain(value)


class Overview:
    """Base of classes that say in a few lines what they hold, as text and as a table in notebooks.

    A person sees them who prints an object, or ends the cell of a notebook with it.
    """

    __slots__ = ()

    def _overview(self) -> tuple[str, Mapping[str, object]]:
        """Return a title, and facts by name; those that are None or empty are not shown."""
        raise NotImplementedError

    def __repr__(self) -> str:
        title, facts = self._facts()
        width = max(map(len, facts), default=0)
        return "\n".join([title, *(f"  {name:<{width}}  {fact}" for name, fact in facts.items())])

    def _repr_html_(self) -> str:
        title, facts = self._facts()
        rows = "".join(
            f'<tr><th style="text-align: left">{html.escape(name)}</th>'
            f'<td style="text-align: left">{html.escape(fact)}</td></tr>'
            for name, fact in facts.items()
        )
        return f"<div><strong>{html.escape(title)}</strong><table>{rows}</table></div>"

    def _facts(self) -> tuple[str, dict[str, str]]:
        title, facts = self._overview()
        return title, {name: str(fact) for name, fact in facts.items() if fact is not None and fact != ""}


def count(number: int, noun: str) -> str:
    """Return `1 seed`, `2 seeds`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(texts: Iterable[str], most: int = 8) -> str:
    """Return texts with commas between them, the first ones if there are many."""
    listed = list(texts)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more:,} more" if more > 0 else "")
