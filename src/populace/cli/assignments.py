"""Parses the values of --set and --sweep and applies them to a recipe."""

import tomllib
from dataclasses import replace
from typing import Any

from populace.core import settings
from populace.core.errors import UsageError
from populace.core.imports.registered import import_kinds
from populace.core.untrusted import toml
from populace.runs.recipe.kinds import controller_of
from populace.runs.recipe.options import options
from populace.runs.recipe.recipe import Recipe


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
    """Parse a TOML value (number, boolean, list, table); anything else is a string.

    Raises:
        UsageError: a number of more than 64 bits, or a value that is nested too deeply.

    """
    try:
        tomllib.loads(f"v = {text}")
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError):
        pass  # told below
    return toml.loads(f"v = {text}", "a value on the command line")["v"]


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


def changed(
    recipe: Recipe, set_: list[str], sweep: list[str], chosen: dict[str, Any], tune: str = ""
) -> Recipe:
    """Return the recipe with the changes from the command line applied.

    `--set` or `--sweep` of a setting removes the recipe's sweep over it or over its parts; `run.KEY` sets a
    key of [run], `tune.KEY` a setting of the controller, which `tune` replaces.
    A kind is set before its parts, which it would erase.

    Raises:
        UsageError: an unknown setting, a value of the wrong type or out of range, or an empty sweep.

    """
    learner, axes = recipe.learner, dict(recipe.sweep)
    controller = controller_of({"kind": tune}) if tune else recipe.controller
    run = {k: v for k, v in chosen.items() if v is not None}
    given = [assignment(text, "--set") for text in set_]
    for key, written in sorted(given, key=lambda pair: pair[0].removesuffix(".kind").count(".")):
        if key.startswith("run."):
            run[key.removeprefix("run.")] = value(written)
            continue
        if key.startswith("tune."):
            if controller is None:
                raise UsageError(f"--set {key} sets how the run is tuned, and it is not; add --tune NAME")
            controller = settings.replace(controller, key.removeprefix("tune."), value(written))
            continue
        import_kinds({key.rpartition(".")[2]: value(written)})
        learner = settings.replace(learner, key, value(written))
        axes = {path: v for path, v in axes.items() if path != key and not _is_part(path, key)}
    listed = recipe.settings
    typed = [assignment(text, "--sweep") for text in sweep]
    for key, _ in typed:
        axes = {path: v for path, v in axes.items() if not _is_part(path, key)}
    for key, written in typed:
        axes[key] = values(written)
        lost = [k for k, _ in given if _is_part(k, key)]
        if lost:
            raise UsageError(
                f"--set {lost[0]} would be lost, for each value of --sweep {key} brings its own; "
                f"sweep {lost[0]} too, with one value"
            )
        if listed:
            raise UsageError(
                "--sweep cannot be combined with a recipe that lists its [[settings]]; edit the list"
            )
    merged = recipe.options.model_dump() | run
    if any(key in chosen for key in run) or axes != recipe.sweep:
        merged |= {} if "strategy" in run or isinstance(merged["strategy"], str) else {"strategy": "auto"}
    return replace(recipe, learner=learner, sweep=axes, options=options(merged), controller=controller)


def _is_part(path: str, of: str) -> bool:
    """Return whether a path names a part of the nested setting that another path names."""
    return path != of and path.startswith(f"{of.removesuffix('.kind')}.")
