"""Recipe: everything that makes a run, as TOML; complete, it replays the run bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import tomli_w

from populace.core import settings, swept
from populace.core.errors import UsageError
from populace.core.files import component
from populace.core.imports import by_path
from populace.core.learner import Learner
from populace.core.population import Population, outlined, sweep
from populace.core.swept import LogUniform, Uniform
from populace.core.untrusted.shown import shown
from populace.engine.controller import Controller
from populace.runs.recipe.options import Options

_RANGES = {"uniform": Uniform, "log_uniform": LogUniform}


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
        return make(
            self.learner, axes or None, seeds=o.seeds, samples=o.samples, sampling=o.sampling, seed=o.seed
        )

    def drawn(self) -> "Recipe":
        """Return the recipe with settings drawn at random written out, one by one."""
        if self.options.samples is None:
            return self
        listed = [dict(s) for s in self.population().settings]
        options = self.options.model_copy(update={"samples": None, "sampling": "random"})
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
    changed = chosen.model_copy(
        update={"seeds": seeds, "seed": population.seed, "samples": None, "sampling": "random"}
    )
    listed = [dict(s) for s in population.settings if s or len(population.settings) > 1]
    component(name, "the name of a run")
    return Recipe(name, population.learner, {}, listed, changed, about, controller)


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
