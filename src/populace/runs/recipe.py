"""Recipe: everything that makes a run, as TOML; complete, it replays the run bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from populace.core import settings, swept
from populace.core.errors import UsageError, unknown
from populace.core.files import component
from populace.core.imports import by_path, registered
from populace.core.imports import trust as trusting
from populace.core.learner import Learner
from populace.core.population import Population, outlined, sweep
from populace.core.swept import LogUniform, Uniform
from populace.core.untrusted import toml
from populace.core.untrusted.shown import shown
from populace.core.values import listed
from populace.engine import strategy
from populace.engine.controller import Controller
from populace.runs.integrity import record

_ROWS = 2_000_000
"""Of the training table, where a recipe does not say how often members are logged."""
_TABLES = ("name", "about", "learner", "sweep", "settings", "run", "controller")
_CODE = ("learner", "sweep", "settings", "controller")  # tables whose strings may name code
_RANGES = {"uniform": Uniform, "log_uniform": LogUniform}


class Options(BaseModel):
    """How a run is run: the table `[run]` of a recipe."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    steps: Annotated[int, Field(ge=1, lt=2**30, description="iterations of each member")] = 10_000
    seeds: Annotated[
        Annotated[int, Field(ge=1)] | list[int],
        Field(description="seeds per setting: how many, or which"),
    ] = 1
    seed: Annotated[int, Field(ge=0, lt=2**31, description="root of all randomness")] = 0
    samples: Annotated[
        int | None,
        Field(ge=1, description="draw so many different settings from [sweep] instead of its grid"),
    ] = None
    strategy: Annotated[
        str | list[str], Field(description="auto, vmap, map, or a number of members at a time")
    ] = "auto"
    devices: Annotated[int, Field(ge=0, description="devices to use; 0 means all")] = 0
    log_every: Annotated[
        int,
        Field(
            ge=0,
            description="iterations per row of the training table; 0: a 200th of steps, with more than "
            "10,000 members so many that it has 2 million rows",
        ),
    ] = 0
    evaluate_every: Annotated[
        int, Field(ge=0, description="iterations between evaluations; 0: a 20th of steps")
    ] = 0
    checkpoint_every: Annotated[
        float, Field(gt=0, description="seconds between checkpoints, at the least")
    ] = 30.0
    checkpoint_selection: Annotated[
        Literal["best", "last"],
        Field(description="model kept of each member: of its best evaluation, or of the last one"),
    ] = "best"
    checkpoints_kept: Annotated[int, Field(ge=1, description="newest checkpoints kept")] = 3
    final_evaluation_size: Annotated[
        int,
        Field(ge=1, description="size of each member's final evaluation, such as a number of episodes"),
    ] = 200

    confirm: Annotated[
        int,
        Field(ge=0, description="new seeds on which the winning setting and its nearest rival train again"),
    ] = 0
    start_from: Annotated[
        str,
        Field(description="weights that all members start from: a .safetensors file or a saved member"),
    ] = ""

    def window(self, members: int) -> int:
        """Return the iterations between two looks at the metrics of so many members."""
        return self.log_every or max(1, self.steps // max(1, min(200, _ROWS // members)))

    @property
    def evaluation_window(self) -> int:
        """Iterations between two evaluations."""
        return self.evaluate_every or max(1, self.steps // 20)


def options(values: Mapping[str, Any]) -> Options:
    """Return checked options.

    Raises:
        UsageError: an unknown key (with the nearest known one), a wrong type or value.

    """
    for key in values:
        if key not in Options.model_fields:
            raise unknown("key", key, Options.model_fields, where=" in [run]")
    values = {key: listed(value) for key, value in values.items()}
    if "strategy" in values:
        named = values["strategy"]
        each = isinstance(named, list | tuple)
        values["strategy"] = [strategy.check(n) for n in named] if each else strategy.check(named)
    try:
        return Options(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise UsageError(f"{key}: {first['msg'].lower()}, got {shown(values[key])}") from None


@dataclass(frozen=True)
class Recipe:
    """A learner, what is swept, and how it is run."""

    name: str
    learner: Learner
    sweep: dict[str, Any] = field(default_factory=dict)
    settings: list[dict[str, Any]] = field(default_factory=list)
    options: Options = field(default_factory=Options)
    about: str = ""
    controller: Controller | None = None

    def population(self, *, check: bool = True) -> Population:
        """Return who is trained.

        Args:
            check: whether each learner is checked, for which its environment is made.

        Raises:
            UsageError: as [`sweep`][populace.core.population.sweep] does.

        """
        o, make = self.options, sweep if check else outlined
        axes: Any = self.settings or {path: _axis(path, v) for path, v in self.sweep.items()}
        return make(self.learner, axes or None, seeds=o.seeds, samples=o.samples, seed=o.seed)

    def drawn(self) -> "Recipe":
        """Return the recipe with settings drawn at random written out, one by one."""
        if self.options.samples is None:
            return self
        listed = [dict(s) for s in self.population().settings]
        options = self.options.model_copy(update={"samples": None})
        return replace(self, sweep={}, settings=listed, options=options)

    def text(self) -> str:
        """Return the complete recipe as TOML: every setting, also those at their defaults."""
        tables: dict[str, Any] = {"name": self.name, "about": self.about}
        tables["run"] = {k: v for k, v in self.options.model_dump().items() if v is not None}
        tables["learner"] = {"kind": by_path.path_of(type(self.learner))} | settings.to_dict(self.learner)
        if self.controller is not None:
            tables["controller"] = settings.to_dict(self.controller) | {
                "kind": by_path.path_of(type(self.controller))
            }
        if self.sweep:
            tables["sweep"] = self.sweep
        if self.settings:
            tables["settings"] = [swept.written(self.learner, s) for s in self.settings]
        return tomli_w.dumps(tables)


def of_population(
    name: str,
    population: Population,
    chosen: Options,
    about: str = "",
    controller: Controller | None = None,
) -> Recipe:
    """Return the recipe of a population made in Python: its settings one by one."""
    seeds = list(population.seeds)
    changed = chosen.model_copy(update={"seeds": seeds, "seed": population.seed, "samples": None})
    listed = [dict(s) for s in population.settings if s or len(population.settings) > 1]
    component(name, "the name of a run")
    return Recipe(name, population.learner, {}, listed, changed, about, controller)


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


def controller_of(values: Mapping[str, Any]) -> Controller:
    """Return the controller that a table [controller] describes: its `kind`, and its settings.

    Raises:
        UsageError: no such controller, an unknown setting, a wrong type or value.

    """
    cls = controller_class(str(values["kind"]))
    return settings.from_dict(cls, {k: v for k, v in values.items() if k != "kind"})


def learners() -> dict[str, str]:
    """Return the short names of learners and their import paths."""
    return registered.paths("populace.learners")


def controllers() -> dict[str, str]:
    """Return the short names of controllers and their import paths."""
    return registered.paths("populace.controllers")


def controller_class(kind: str) -> type[Controller]:
    """Return the controller of a short name or of an import path `package.module:Class`.

    Raises:
        UsageError: no such controller, or it is not a `Controller`.

    """
    return registered.find_class(kind, "controller", controllers(), Controller)


def learner_class(kind: str) -> type[Learner]:
    """Return the learner of a short name or of an import path `package.module:Class`.

    Raises:
        UsageError: no such learner, or it is not a `Learner`.

    """
    return registered.find_class(kind, "learner", learners(), Learner)


def _text(tables: Mapping[str, Any], key: str, default: str, source: str) -> str:
    if not isinstance(value := tables.get(key, default), str):
        raise UsageError(f"{source}: {key} must be text, got {shown(value)}")
    return value


def _axis(path: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        return values
    if len(values) != 1 or next(iter(values)) not in _RANGES:
        raise UsageError(f"the sweep of '{path}' must be a list, or {{uniform = [low, high]}} or log_uniform")
    name, bounds = next(iter(values.items()))
    if not (isinstance(bounds, list) and len(bounds) == 2):
        raise UsageError(f"the sweep of '{path}': {name} needs [low, high], got {shown(bounds)}")
    if any(isinstance(b, bool) or not isinstance(b, int | float) for b in bounds):
        raise UsageError(f"the sweep of '{path}': {name} needs two numbers, got {shown(bounds)}")
    return _RANGES[name](float(bounds[0]), float(bounds[1]))
