"""Reading recipes: what is wrong is told in one line, and nothing is imported that is not trusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from populace.core import settings
from populace.core.errors import UsageError, unknown
from populace.core.files import component
from populace.core.imports import registered
from populace.core.imports import trust as trusting
from populace.core.learner import Learner
from populace.core.untrusted import toml
from populace.core.untrusted.shown import shown
from populace.runs.integrity import record
from populace.runs.recipe.kinds import controller_of, learner_class
from populace.runs.recipe.options import options
from populace.runs.recipe.recipe import Recipe

_TABLES = ("name", "about", "learner", "sweep", "settings", "run", "controller")
_CODE = ("learner", "sweep", "settings", "controller")  # tables whose strings may name code


def read_tables(text: str, source: str) -> dict[str, Any]:
    """Return the tables of a recipe, looked at and not resolved: nothing that they name is imported.

    Raises:
        UsageError: not TOML, or an unknown key.

    """
    tables = toml.loads(text, source)
    for key in tables:
        if key not in _TABLES:
            raise unknown("key", key, _TABLES, where=f" in {source}")
    return tables


def foreign_modules(text: str) -> dict[str, str]:
    """Return the modules outside populace that a recipe names, and for each a string that names it."""
    tables = read_tables(text, "the recipe")
    return trusting.foreign([tables.get(name) for name in _CODE])


def parse(text: str, source: str, given: Learner | None = None, *, trust: bool = False) -> Recipe:
    """Read a recipe.

    Args:
        text: TOML.
        source: where it is from, for messages; a recipe in a run folder is trusted as its record says.
        given: the learner itself, where the recipe cannot make it: it holds data.
        trust: whether modules outside populace that it names may be imported.

    Raises:
        UsageError: not TOML, an unknown key, table or learner, a wrong type or value, or code outside
            populace that is not trusted; it is told before anything is imported.

    """
    tables = read_tables(text, source)
    if not trust and not record.is_trusted(Path(source).parent, text):
        names = [name for name in _CODE if given is None or name != "learner"]
        trusting.check([tables.get(name) for name in names], source)
    name = component(_text(tables, "name", "run", source), f"{source}: the name of a run")
    described = tables.get("learner")
    if not isinstance(described, dict) or "kind" not in described:
        raise UsageError(f'{source} needs a table [learner] with a `kind`, such as kind = "dqn"')
    for table in ("sweep", "run"):
        if not isinstance(tables.get(table, {}), dict):
            raise UsageError(f"{source}: {table} must be a table, [{table}]")
    listed = tables.get("settings", [])
    if not (isinstance(listed, list) and all(isinstance(s, dict) for s in listed)):
        raise UsageError(f"{source}: settings must be a list of tables, each under [[settings]]")
    if listed and tables.get("sweep"):
        raise UsageError(f"{source} has both [sweep] and [[settings]]; keep one of them")
    learner = given
    if learner is None:
        cls = learner_class(str(described["kind"]))
        registered.import_kinds([tables["learner"], tables.get("sweep"), listed])
        learner = settings.from_dict(cls, {k: v for k, v in described.items() if k != "kind"})
    controller = tables.get("controller")
    if controller is not None and not (isinstance(controller, dict) and "kind" in controller):
        raise UsageError(f'{source}: [controller] needs a `kind`, such as kind = "target-score"')
    chosen = options(tables.get("run", {}))
    if chosen.start_from and Path(source).is_file():  # its path is relative to the recipe
        chosen = chosen.model_copy(update={"start_from": str(Path(source).parent / chosen.start_from)})
    return Recipe(
        name, learner, tables.get("sweep", {}),
        listed, chosen, _text(tables, "about", "", source),
        None if controller is None else controller_of(controller),
    )  # fmt: skip


def _text(tables: Mapping[str, Any], key: str, default: str, source: str) -> str:
    if not isinstance(value := tables.get(key, default), str):
        raise UsageError(f"{source}: {key} must be text, got {shown(value)}")
    return value
