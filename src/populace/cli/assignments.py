"""Parses the values of --set and --sweep and applies them to a recipe."""

import tomllib
from dataclasses import replace
from typing import Any

from populace.core import settings
from populace.core.errors import UsageError
from populace.runs.recipe import Recipe, options


def assignment(text: str, option: str) -> tuple[str, str]:
    """Split KEY=VALUE.

    Raises:
        UsageError: no `=`, or no key before it.

    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"{option} needs KEY=VALUE, got '{text}'")
    return key.strip(), value.strip()


def value(text: str) -> Any:
    """Parse a TOML value (number, boolean, list, table); anything else is a string."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def values(text: str) -> Any:
    """Parse `a,b,c` as a list, or a whole TOML value such as `{log_uniform = [1e-4, 1e-2]}`.

    Raises:
        UsageError: an empty value between, before or after commas.

    """
    whole = value(text)
    if isinstance(whole, dict | list):
        return whole
    parts = [part.strip() for part in text.split(",")]
    if not all(parts) and any(parts):
        raise UsageError(f"a swept value is empty in '{text}'; expected A,B,C")
    return [value(part) for part in parts if part]


def changed(recipe: Recipe, set_: list[str], sweep: list[str], chosen: dict[str, Any]) -> Recipe:
    """Return the recipe with the changes from the command line applied.

    `--set` of a setting removes the recipe's sweep over it or over its parts; `run.KEY` sets a key of [run].

    Raises:
        UsageError: an unknown setting, a value of the wrong type or out of range, or an empty sweep.

    """
    learner, axes = recipe.learner, dict(recipe.sweep)
    run = {k: v for k, v in chosen.items() if v is not None}
    for text in set_:
        key, written = assignment(text, "--set")
        if key.startswith("run."):
            run[key.removeprefix("run.")] = value(written)
            continue
        learner = settings.replace(learner, key, value(written))
        axes = {p: v for p, v in axes.items() if p != key and not p.startswith(f"{key}.")}
    listed = recipe.settings
    for text in sweep:
        key, written = assignment(text, "--sweep")
        axes[key] = values(written)
        if listed:
            raise UsageError(
                "--sweep cannot be combined with a recipe that lists its [[settings]]; edit the list"
            )
    merged = recipe.options.model_dump() | run
    if any(key in chosen for key in run) or axes != recipe.sweep:
        merged |= {} if "strategy" in run or isinstance(merged["strategy"], str) else {"strategy": "auto"}
    return replace(recipe, learner=learner, sweep=axes, options=options(merged))
